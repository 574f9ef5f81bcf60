"""Limits of an event, the same at every door and behind Kafka."""

from __future__ import annotations

# Counts per usage class and per unit in one call.
COUNT_MAX = 1_000_000_000
LATENCY_MS_MAX = 86_400_000
ATTEMPT_MAX = 10_000
# Characters of an id or a name; section_path may be longer.
TEXT_MAX = 200
SECTION_PATH_MAX = 1_000
METADATA_ENTRIES_MAX = 16
METADATA_KEY_MAX = 64
METADATA_VALUE_MAX = 200
UNITS_ENTRIES_MAX = 16

ACCEPT_PAST_SECONDS = 35 * 86_400
ACCEPT_FUTURE_SECONDS = 5 * 60
# An event that comes more than this after it happened is late.
LATE_SECONDS = 600
