"""Wire columns → storage columns: names for enums, the agent of a call, and what each event costs."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pricing.columns import PricedColumns, UsageColumns, price_columns
from pricing.entries import PriceBook
from pricing.money import PriceOverflowError
from pricing.table import PriceKey
from pricing.usage import COMPLETION_CLASSES, PROMPT_CLASSES, USAGE_CLASSES
from services.contracts.errors import Reason
from services.contracts.limits import LATE_SECONDS
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.processor.batch import DeadEvent, Decoded
from services.processor.maps import map_lengths

STATUS_NAMES = ("ok", "ok", "error", "timeout", "cancelled")
SERVICE_TIER_NAMES = ("standard", "standard", "batch", "flex", "priority")
# RE2 finds the leftmost match: the first agent segment, as services.contracts.agents.agent_of says.
_AGENT_SEGMENT = r"(?:^|/)agent:(?P<agent>[^/]+)"
_AS_IT_CAME = (
    "kafka_partition", "kafka_offset", "message_index", "received_at", "occurred_at", "event_key",
    "content_hash", "event_id", "tenant_id", "provider", "model", "feature", "section_path", "run_id",
    "request_id", "retry_count", "customer_id", "user_id", "channel", "region", "operation", "error_type",
    "superseded", "cache_hit", "streaming", "tokens_estimated", "latency_ms", "prompt_template_id",
    "prompt_template_version", "source", "reported_cost_usd",
)  # fmt: skip

assert len(STATUS_NAMES) == len(usage_pb2.Status.values())
assert len(SERVICE_TIER_NAMES) == len(usage_pb2.ServiceTier.values())


def price(decoded: Decoded, book: PriceBook) -> None:
    """Replaces `decoded.table` by the storage columns. Events whose cost overflows go to `dead`."""
    columns = _storage_columns(decoded.table)
    try:
        priced = price_table_rows(columns, _units_by_row(decoded.table), book)
    except PriceOverflowError as error:
        _bury(decoded, getattr(error, "rows", ()), str(error))
        price(decoded, book)
        return
    decoded.table = pa.table(columns | _cost_columns(priced, book, columns))


def _bury(decoded: Decoded, rows: tuple[int, ...], detail: str) -> None:
    if not rows:
        raise AssertionError(f"an overflow that names no row: {detail}")
    table = decoded.table
    for row in rows:
        tenant, event = (table.column(name)[row].as_py() for name in ("tenant_id", "event_id"))
        received_us = table.column("received_at")[row].value
        decoded.dead.append(
            DeadEvent(decoded.place(row), received_us, Reason.OVERFLOW, detail, decoded.payloads[row], tenant, event)
        )
    left = np.ones(len(table), dtype=bool)
    left[list(rows)] = False
    decoded.keep(left)


def _storage_columns(table: pa.Table) -> dict[str, pa.Array]:
    columns = {name: table.column(name) for name in _AS_IT_CAME}
    usage = table.column("usage")
    for name in USAGE_CLASSES:
        columns[name] = pc.fill_null(pc.struct_field(usage, name), 0)
    columns["prompt_tokens"] = _added(columns, PROMPT_CLASSES)
    columns["completion_tokens"] = _added(columns, COMPLETION_CLASSES)
    columns["attempt"] = pc.max_element_wise(table.column("attempt"), pa.scalar(1, pa.int32()))
    columns["status"] = pc.take(pa.array(STATUS_NAMES), table.column("status"))
    columns["service_tier"] = pc.take(pa.array(SERVICE_TIER_NAMES), table.column("service_tier"))
    columns["agent_id"] = _agents(table.column("agent_id"), table.column("section_path"))
    columns["units"] = _json(pc.struct_field(usage, "units"))
    columns["metadata"] = _json(table.column("metadata"))
    lateness = pc.subtract(table.column("received_at").cast(pa.int64()), table.column("occurred_at").cast(pa.int64()))
    columns["late"] = pc.greater(lateness, LATE_SECONDS * 1_000_000)
    return columns


def _added(columns: Mapping[str, pa.Array], names: tuple[str, ...]) -> pa.Array:
    total = columns[names[0]]
    for name in names[1:]:
        total = pc.add(total, columns[name])
    return total


def _agents(agent_id: pa.ChunkedArray, section_path: pa.ChunkedArray) -> pa.ChunkedArray:
    if pc.all(pc.not_equal(agent_id, "")).as_py():
        return agent_id
    paths = pc.dictionary_encode(section_path.combine_chunks())
    found = pc.struct_field(pc.extract_regex(paths.dictionary, _AGENT_SEGMENT), "agent")
    from_path = pc.take(pc.fill_null(found, ""), paths.indices)
    return pc.if_else(pc.equal(agent_id, ""), from_path, agent_id)


def _json(entries: pa.ChunkedArray) -> pa.Array:
    """Maps as JSON text with sorted keys; null where there are none, which is the rule."""
    if not map_lengths(entries).any():
        return pa.nulls(len(entries), pa.string())
    return pa.array([json.dumps(dict(e), sort_keys=True) if e else None for e in entries.to_pylist()], pa.string())


def _numpy(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(column.cast(pa.int64()), dtype=np.int64)


def _units_by_row(table: pa.Table) -> dict[int, dict[str, int]]:
    """The units of the few rows that have any."""
    units = pc.struct_field(table.column("usage"), "units")
    if not map_lengths(units).any():
        return {}
    return {row: dict(entry) for row, entry in enumerate(units.to_pylist()) if entry}


def price_table_rows(
    columns: Mapping[str, pa.ChunkedArray], units: Mapping[int, Mapping[str, int]], book: PriceBook
) -> PricedColumns:
    """Prices rows given as storage columns, `units` by row number. Raises as price_columns does."""
    codes, keys = _price_keys(columns, book)
    usage = UsageColumns(
        n=len(codes),
        counts={name: _numpy(columns[name]) for name in USAGE_CLASSES},
        key_codes=codes,
        keys=keys,
        occurred_at_us=_numpy(columns["occurred_at"]),
        cache_hit=np.asarray(columns["cache_hit"], dtype=bool),
        units=units,
    )
    return price_columns(book, usage)


def _price_keys(columns: Mapping[str, pa.ChunkedArray], book: PriceBook) -> tuple[NDArray[np.int64], list[PriceKey]]:
    """Each row's price key. Region and tenant count only where the book makes a difference by them, for few keys."""
    parts = [columns[name] for name in ("provider", "model", "service_tier")]
    if not book.regions and not book.terms:
        codes, keys = distinct_keys(parts)
        return codes, [(str(p), str(m), str(t)) for p, m, t in keys]
    parts += [_known(columns["region"], book.regions), _known(columns["tenant_id"], book.terms)]
    codes, keys = distinct_keys(parts)
    return codes, [(str(p), str(m), str(t), str(r), str(n)) for p, m, t, r, n in keys]


def _known(column: pa.ChunkedArray, names: Collection[str]) -> pa.ChunkedArray:
    """The column with '' for whatever the book does not name."""
    return pc.if_else(pc.is_in(column, pa.array(sorted(names), pa.string())), column, "")


def distinct_keys(columns: list[pa.ChunkedArray]) -> tuple[NDArray[np.int64], list[tuple[object, ...]]]:
    """Codes each row's combination of values: (int64 codes, the combinations they index)."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    dictionaries: list[tuple[list[object], int]] = []
    for column in columns:
        encoded = column.combine_chunks().dictionary_encode()
        size = max(len(encoded.dictionary), 1)
        codes = codes * size + np.asarray(encoded.indices, dtype=np.int64)
        dictionaries.append((encoded.dictionary.to_pylist(), size))
    found, inverse = np.unique(codes, return_inverse=True)
    keys = []
    for code in found.tolist():
        parts: list[object] = []
        for values, size in reversed(dictionaries):
            code, position = divmod(code, size)
            parts.append(values[position])
        keys.append(tuple(reversed(parts)))
    return inverse.astype(np.int64), keys


def _cost_columns(priced: PricedColumns, book: PriceBook, columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    cost = pa.array(priced.cost_pico_usd)
    wasted = pc.or_(pc.not_equal(columns["status"], "ok"), columns["superseded"])
    return {
        "billed_pico_usd": cost,
        "cost_pico_usd": pa.array(priced.cost_pico_usd, mask=priced.unpriced),
        "unpriced": pa.array(priced.unpriced),
        "wasted_pico_usd": pc.if_else(wasted, cost, 0),
        "response_cache_saved_pico_usd": pa.array(priced.response_cache_saved_pico_usd),
        "prompt_cache_saved_pico_usd": pa.array(priced.prompt_cache_saved_pico_usd),
        "tier": pc.take(pa.array(priced.tiers, pa.string()), pa.array(priced.tier_codes)),
        "price_entry": pc.take(pa.array(priced.entry_ids, pa.string()), pa.array(priced.entry_codes)),
        "price_book_version": pa.repeat(book.version, len(priced.unpriced)),
    }
