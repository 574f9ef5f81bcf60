"""Arrow → PostgreSQL's binary COPY format, and the columns each table takes."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pgpq
import pyarrow as pa
import pyarrow.compute as pc

from services.contracts.rollups import Rollup

_AT = pa.timestamp("us", "UTC")
_ROWS_AT_ONCE = 4_096
# What COPY is sent, piece by piece; empty where there is nothing to send.
CopyData: TypeAlias = tuple[bytes, ...]
# Types must match the table's exactly: binary COPY does not convert.
_TYPES: dict[str, pa.DataType] = {
    "occurred_at": _AT, "received_at": _AT, "bucket": _AT, "started_at": _AT, "ended_at": _AT,
    "tenant_no": pa.int32(), "kafka_partition": pa.int16(),
    "latency_bucket": pa.int16(),
}  # fmt: skip

IDENTITY_COLUMNS = ("tenant_no", "event_key", "content_hash", "occurred_at")
EVENT_COLUMNS = (
    "occurred_at", "tenant_no", "event_key", "event_id", "received_at", "kafka_partition", "kafka_offset",
    "provider", "model", "feature", "agent_id", "section_path", "run_id", "request_id", "attempt",
    "retry_count", "customer_id", "user_id", "channel", "region", "service_tier", "operation", "status",
    "error_type", "superseded", "cache_hit", "streaming", "tokens_estimated", "latency_ms",
    "prompt_template_id", "prompt_template_version", "source", "input_uncached", "cache_read", "cache_write_5m",
    "cache_write_1h", "output_text", "output_reasoning", "input_audio", "output_audio", "input_image",
    "output_image", "units", "metadata", "reported_cost_usd", "cost_pico_usd", "response_cache_saved_pico_usd",
    "prompt_cache_saved_pico_usd", "tier", "price_entry", "price_book_version",
)  # fmt: skip
# What most events leave at the table's default; a flush in which all do does not send it.
SELDOM_COLUMNS = frozenset({
    "retry_count", "error_type", "superseded", "cache_hit", "streaming", "tokens_estimated",
    "prompt_template_id", "prompt_template_version", "cache_write_5m", "cache_write_1h", "output_reasoning",
    "input_audio", "output_audio", "input_image", "output_image", "units", "metadata", "reported_cost_usd",
    "response_cache_saved_pico_usd", "prompt_cache_saved_pico_usd",
})  # fmt: skip
RUN_COLUMNS = (
    "tenant_no", "run_id", "kafka_partition", "agent_id", "started_at", "ended_at", "calls", "unpriced_events",
    "billed_pico_usd",
)  # fmt: skip
UNPRICED_COLUMNS = ("provider", "model", "price_book_version", "occurred_at", "tenant_no", "event_key")


def rollup_columns(rollup: Rollup) -> tuple[str, ...]:
    return ("bucket", "tenant_no", *rollup.dimensions, "kafka_partition", *rollup.measures)


def event_columns(events: pa.Table) -> tuple[str, ...]:
    """The columns of `EVENT_COLUMNS` but for those that all of these events leave at the table's default: zero, false,
    '' or, for `units` and `metadata`, NULL."""
    return tuple(name for name in EVENT_COLUMNS if name not in SELDOM_COLUMNS or not _all_default(events.column(name)))


def _all_default(column: pa.ChunkedArray) -> bool:
    if column.null_count:
        return bool(column.null_count == len(column))
    if pa.types.is_string(column.type):
        return not pc.sum(pc.binary_length(column)).as_py()
    return not bool(np.asarray(column).any())


def to_copy(table: pa.Table, columns: tuple[str, ...]) -> CopyData:
    """The bytes of `COPY … FROM STDIN (FORMAT binary)` for `columns` in this order; an int64 stays bigint, 16 bytes go
    into uuid."""
    selected = pa.table({name: _cast(table.column(name), name) for name in columns}).combine_chunks()
    encoder = pgpq.ArrowToPostgresBinaryEncoder(selected.schema)
    # In pieces: the encoder doubles its buffer as it grows, and holds the interpreter while it works.
    batches = selected.to_batches(max_chunksize=_ROWS_AT_ONCE)
    return (encoder.write_header(), *map(encoder.write_batch, batches), encoder.finish())


def _cast(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    wanted = _TYPES.get(name)
    return column if wanted is None or column.type == wanted else pc.cast(column, wanted)


def copy_statement(table: str, columns: tuple[str, ...]) -> str:
    return f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT binary)"
