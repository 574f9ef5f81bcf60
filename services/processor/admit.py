"""Admission in columns: finds the rows that break a rule; what exactly is wrong, the doors' rules say event by event.

The mask may only err towards suspicion: each suspect is judged by `services.contracts.admission`, so that behind Kafka
the same rules hold as at the doors.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pricing.usage import USAGE_CLASSES
from services.contracts import limits
from services.contracts.admission import OCCURRED_SECONDS_MAX, OCCURRED_SECONDS_MIN
from services.contracts.admission import admit as admit_event
from services.contracts.errors import Reason
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.batch import DeadEvent, Decoded, QuarantinedEvent
from services.processor.maps import map_lengths

REQUIRED = ("event_id", "tenant_id", "provider", "model")
TEXTS = (
    *REQUIRED, "feature", "agent_id", "run_id", "request_id", "customer_id", "user_id", "channel", "region",
    "operation", "error_type", "prompt_template_id", "prompt_template_version", "reported_cost_usd", "source",
)  # fmt: skip
Mask = NDArray[np.bool_]


def admit(decoded: Decoded) -> None:
    """Moves the events that break a rule to `dead`, those outside the acceptance window to `quarantined`."""
    suspects = _suspects(decoded.table)
    if suspects.any():
        bad = suspects.copy()
        for row in np.flatnonzero(suspects).tolist():
            dead = _judge(decoded, row)
            bad[row] = dead is not None
            if dead is not None:
                decoded.dead.append(dead)
        _drop(decoded, bad)
    outside = _outside_window(decoded.table)
    if decoded.admitted:
        outside &= [not decoded.is_admitted(row) for row in range(len(outside))]
    if outside.any():
        for row in np.flatnonzero(outside).tolist():
            decoded.quarantined.append(_quarantined(decoded, row))
        _drop(decoded, outside)


def _drop(decoded: Decoded, mask: Mask) -> None:
    decoded.keep(~mask)


def _judge(decoded: Decoded, row: int) -> DeadEvent | None:
    event = usage_pb2.UsageEvent.FromString(decoded.payloads[row])
    received_us = decoded.table.column("received_at")[row].value
    reason = admit_event(event)
    if reason is None:
        return None
    return DeadEvent(
        decoded.place(row), received_us, Reason.INVALID, reason, decoded.payloads[row], event.tenant_id, event.event_id
    )


def _quarantined(decoded: Decoded, row: int) -> QuarantinedEvent:
    table = decoded.table
    return QuarantinedEvent(
        decoded.place(row),
        table.column("received_at")[row].value,
        table.column("occurred_at")[row].value,
        table.column("tenant_id")[row].as_py(),
        table.column("event_id")[row].as_py(),
        decoded.payloads[row],
    )


def _true(condition: pa.ChunkedArray) -> Mask:
    """Nulls count as true: what can't be judged here is judged one by one."""
    return np.asarray(pc.fill_null(condition, True), dtype=bool)


def _suspects(table: pa.Table) -> Mask:
    masks = [_true(pc.equal(table.column(name), "")) for name in REQUIRED]
    occurred_us = table.column("occurred_at").cast(pa.int64())
    masks.append(_outside(occurred_us, OCCURRED_SECONDS_MIN * 1_000_000, OCCURRED_SECONDS_MAX * 1_000_000 - 1))
    masks += [_long_or_nul(table.column(name), limits.TEXT_MAX) for name in TEXTS]
    masks.append(_long_or_nul(table.column("section_path"), limits.SECTION_PATH_MAX))
    masks.append(_usage_suspects(table.column("usage")))
    masks.append(_outside(table.column("attempt"), 0, limits.ATTEMPT_MAX))
    masks.append(_outside(table.column("retry_count"), 0, limits.ATTEMPT_MAX))
    masks.append(_outside(table.column("status"), 0, max(usage_pb2.Status.values())))
    masks.append(_outside(table.column("service_tier"), 0, max(usage_pb2.ServiceTier.values())))
    masks.append(_outside(pc.fill_null(table.column("latency_ms"), 0), 0, limits.LATENCY_MS_MAX))
    # Rare enough to be looked at one by one, and then in full.
    masks.append(map_lengths(table.column("metadata")) > 0)
    masks.append(_true(pc.not_equal(table.column("reported_cost_usd"), "")))
    return reduce(np.logical_or, masks)


def _long_or_nul(column: pa.ChunkedArray, characters_max: int) -> Mask:
    size = pc.binary_length(column)
    longest = pc.max(size).as_py() or 0
    mask = np.zeros(len(column), dtype=bool)
    if longest > characters_max:
        mask |= _true(pc.greater(size, characters_max))
    if longest and _has_nul(column):
        mask |= _true(pc.match_substring(column, "\x00"))
    return mask


def _has_nul(column: pa.ChunkedArray) -> bool:
    # Scanning the raw data buffer is far cheaper than matching row by row; a slice may show a neighbour's byte,
    # which only costs the exact match.
    return any(
        b"\x00" in memoryview(data).tobytes() for data in (c.buffers()[2] for c in column.chunks) if data is not None
    )


def _outside(column: pa.ChunkedArray, low: int, high: int) -> Mask:
    return _true(pc.or_(pc.less(column, low), pc.greater(column, high)))


def _usage_suspects(usage: pa.ChunkedArray) -> Mask:
    units = pc.struct_field(usage, "units")
    # Events with units are few; theirs are judged one by one.
    mask = _true(pc.is_null(usage)) | (map_lengths(units) > 0)
    nothing_said = np.ones(len(usage), dtype=bool)
    for name in USAGE_CLASSES:
        counts = pc.struct_field(usage, name)
        nothing_said &= np.asarray(pc.is_null(counts), dtype=bool)
        mask |= _outside(pc.fill_null(counts, 0), 0, limits.COUNT_MAX)
    return mask | nothing_said


def _outside_window(table: pa.Table) -> Mask:
    occurred = np.asarray(table.column("occurred_at").cast(pa.int64()))
    received = np.asarray(table.column("received_at").cast(pa.int64()))
    too_old = occurred < received - limits.ACCEPT_PAST_SECONDS * 1_000_000
    too_early = occurred > received + limits.ACCEPT_FUTURE_SECONDS * 1_000_000
    return np.asarray(too_old | too_early, dtype=bool)
