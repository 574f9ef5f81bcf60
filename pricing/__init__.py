"""The money kernel: what a model call costs, exactly. Pure: no network, no clock, no imports from services."""
