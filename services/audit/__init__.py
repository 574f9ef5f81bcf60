"""The identities that must hold, checked against what is stored, and the repair of rollups from raw events."""
