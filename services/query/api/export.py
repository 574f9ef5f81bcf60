"""Calls as CSV, streamed."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable

from pricing.money import usd_string
from services.query.parts import QueryParts
from services.query.read.calls import Call, CallFilter
from services.query.read.export import stream_calls
from services.query.read.session import reading

COLUMNS = (
    "date", "organization", "user", "provider", "model", "tier", "prompt_tokens", "completion_tokens", "total_tokens",
    "cost_usd", "latency_ms", "success",
)  # fmt: skip
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


async def csv_of_calls(parts: QueryParts, wanted: CallFilter) -> AsyncIterator[bytes]:
    """The lines of the file, some thousands at once."""
    yield _lines([COLUMNS])
    async with reading(parts.reads) as conn:
        async for calls in stream_calls(conn, wanted):
            yield _lines(_cells(call) for call in calls)


def _cells(call: Call) -> tuple[str, ...]:
    return (
        call.occurred_at.isoformat(),
        safe_cell(call.tenant_id),
        safe_cell(call.user_id),
        safe_cell(call.provider),
        safe_cell(call.model),
        safe_cell(call.tier),
        str(call.prompt_tokens),
        str(call.completion_tokens),
        str(call.prompt_tokens + call.completion_tokens),
        "" if call.unpriced else usd_string(call.cost_pico_usd),
        "" if call.latency_ms is None else str(call.latency_ms),
        "true" if call.status == "ok" else "false",
    )


def safe_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
