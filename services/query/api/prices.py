"""The price book in force, and what it has no price for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from pricing.entries import END_OF_TIME_US, Entry, PriceBook
from pricing.money import usd_decimal
from pricing.usage import USAGE_CLASSES
from services.query.api.described.common import answers
from services.query.api.described.spend import Envelope, PriceBookOut, UnpricedRow
from services.query.api.parameters import Name, NoParameters, RankedParameters
from services.query.api.shapes import envelope, json_response, money_string
from services.query.api.spans import answer, read_span
from services.query.auth import Reader
from services.query.parts import QueryParts, parts_of
from services.query.read.session import reading

router = APIRouter(prefix="/api/v1/prices", tags=["prices"])
Parts = Annotated[QueryParts, Depends(parts_of)]
_PER_MILLION = 10**6


class PriceParameters(NoParameters):
    provider: Name | None = None
    model: Name | None = None


@router.get("", summary="The price book, with its history", responses=answers(PriceBookOut))
async def get_prices(_caller: Reader, asked: Annotated[PriceParameters, Query()], parts: Parts) -> Response:
    found = await parts.books.read(parts.writes, parts.book)
    rows = [
        row
        for row in book_rows(found.book)
        if asked.provider in (None, row["provider"]) and asked.model in (None, row["model"])
    ]
    refused = [{"at": one.at, "version_in_force": one.version_in_force} for one in found.refused]
    return json_response({"data": rows, "version": found.book.version, "refused": refused, "next_cursor": None})


@router.get(
    "/unpriced",
    summary="Models that calls name and the book has no price for",
    responses=answers(Envelope[UnpricedRow]),
)
async def get_unpriced(caller: Reader, asked: Annotated[RankedParameters, Query()], parts: Parts) -> Response:
    async with reading(parts.reads) as conn:
        span = await read_span(conn, caller, asked, parts.clock())
        found = await answer(
            conn, span, group_by=("provider", "model"), measures=("unpriced_events", "calls", "total_tokens"),
            order_by="unpriced_events", descending=asked.order == "desc",
        )  # fmt: skip
    rows = [{**row.dimensions, **row.figures} for row in found.rows if row.figures["unpriced_events"]]
    return json_response(envelope(rows, found))


def book_rows(book: PriceBook) -> list[dict[str, Any]]:
    """One row for each entry of each model, newest first within a model; prices in USD per million tokens."""
    return [
        _entry_row(provider.name, name, model.tier, entry)
        for provider in book.providers.values()
        for name, model in provider.models.items()
        for entry in reversed(model.entries)
    ]


def _entry_row(provider: str, model: str, tier: str, entry: Entry) -> dict[str, Any]:
    plan = entry.plan("")
    band = plan.bands[0] if plan else None
    prices = zip(USAGE_CLASSES, band.prices, strict=True) if band else ()
    return {
        "provider": provider,
        "model": model,
        "tier": tier,
        "entry_id": entry.entry_id,
        "effective_from": _moment(entry.effective_from_us),
        "effective_until": None if entry.effective_until_us == END_OF_TIME_US else _moment(entry.effective_until_us),
        "usd_per_million_tokens": {name: _usd(price * _PER_MILLION) for name, price in prices if price is not None},
        "usd_per_unit": {name: _usd(price) for name, price in (plan.unit_prices if plan else {}).items()},
        "service_tiers": sorted(entry.plans),
        "source": entry.source,
        "checked": entry.checked,
    }


def _usd(pico_usd: int) -> str:
    return money_string(usd_decimal(pico_usd))


def _moment(epoch_us: int) -> datetime | None:
    """None for an entry that has been in force since before anything."""
    return datetime.fromtimestamp(epoch_us / 1e6, UTC) if epoch_us > 0 else None
