"""Pages of those who run it: prices, the audit, keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from pricing.entries import END_OF_TIME_US, PriceBook
from pricing.usage import USAGE_CLASS_INDEX
from services.audit.engine import Question
from services.query.auth import Admin, Reader
from services.query.pages.answers import PageRoute, page
from services.query.pages.audit_page import audit_context
from services.query.pages.colours import colour_class
from services.query.pages.formats import count, listing, number_word, plural
from services.query.pages.reading import read_tenants
from services.query.pages.scope import scope_for
from services.query.pages.sentences import Sentence, Words
from services.query.pages.surroundings import surroundings
from services.query.parts import parts_of
from services.query.read.audit import live_audit
from services.query.read.session import reading
from services.query.read.statement import tenant_condition

_SHOWN_CLASSES: Final = ("input_uncached", "cache_read", "cache_write_5m", "output_text")
_MICROSECONDS: Final = 1_000_000

router = APIRouter(include_in_schema=False, route_class=PageRoute)


async def _rows(conn: AsyncConnection[Any], sql: str, values: dict[str, object]) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql.encode(), values)
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One dated entry of a model; prices are USD per million tokens, as texts."""

    provider: str
    model: str
    tier: str
    colour: str
    since: date
    until: date | None
    prices: tuple[str, ...]
    more: str
    source: str
    checked: str
    current: bool


def price_rows(book: PriceBook, today: date) -> tuple[PriceRow, ...]:
    """Every entry, models by name, the newest entry of each first."""
    return tuple(
        _price_row(provider.name, model.name.partition("/")[2], model.tier, entry, today)
        for provider in book.providers.values()
        for model in sorted(provider.models.values(), key=lambda model: model.name)
        for entry in reversed(model.entries)
    )


def _price_row(provider: str, model: str, tier: str, entry: Any, today: date) -> PriceRow:  # noqa: ANN401
    plan = entry.plan("standard")
    prices = plan.bands[0].prices if plan else ()
    since = datetime.fromtimestamp(entry.effective_from_us / _MICROSECONDS, UTC).date()
    ends = entry.effective_until_us < END_OF_TIME_US
    until = datetime.fromtimestamp(entry.effective_until_us / _MICROSECONDS, UTC).date() if ends else None
    more = [
        f"above {count(band.above_prompt_tokens)} prompt tokens dearer" for band in (plan.bands[1:] if plan else ())
    ]
    more += [f"{name.replace('_', ' ')} billed apart" for name in (plan.unit_prices if plan else ())]
    more += ["by time of day"] if plan and plan.windows else []
    more += [f"{tier_} differs" for tier_ in entry.plans if tier_ not in ("standard", "*")]
    shown = tuple(_per_million(prices[USAGE_CLASS_INDEX[name]]) if prices else "" for name in _SHOWN_CLASSES)
    current = since <= today and (until is None or today < until)
    return PriceRow(
        provider,
        model,
        tier,
        colour_class(provider),
        since,
        until,
        shown,
        ", ".join(more),
        entry.source,
        str(entry.checked),
        current,
    )


def _per_million(price_pico_usd: int | None) -> str:
    """Pico-USD a token are millionths of a dollar per million tokens: 2,500,000 reads $2.50."""
    if price_pico_usd is None:
        return ""
    whole, rest = divmod(price_pico_usd, 1_000_000)
    return f"${whole:,}.{f'{rest:06d}'.rstrip('0').ljust(2, '0')}"


@router.get("/prices")
async def prices(request: Request, principal: Reader) -> Response:
    parts = parts_of(request)
    now = parts.clock()
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), request.query_params.get("tenant"))
        where = " AND ".join(("unpriced_events > 0", "bucket >= %(since)s", *tenant_condition(scope.numbers, "")))
        unpriced = await _rows(
            conn,
            f"SELECT provider, model, sum(unpriced_events)::bigint AS calls, max(bucket) AS last FROM usage_day "
            f"WHERE {where} GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 100",
            {"since": now - timedelta(days=90)},
        )
        around = await surroundings(request, conn, principal, scope, "prices")
    book = parts.book
    names = [f"{row['provider']}/{row['model']}" for row in unpriced]
    sentence: Sentence = (Words("Every model that was called has a price."),)
    if names:
        verb = "has" if len(names) == 1 else "have"
        total = sum(row["calls"] for row in unpriced)
        sentence = (
            Words(listing(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else ""), "alarm"),
            Words(
                f" {verb} no price yet: {count(total)} {plural(total, 'call')} without a cost until the book has one."
            ),
        )
    context = {
        "rows": price_rows(book, now.date()),
        "unpriced": unpriced,
        "sentence": sentence,
        "version": book.version,
    }
    return page(request, "prices.html", {**around, **context})


@router.get("/audit")
async def audit(request: Request, principal: Admin) -> Response:
    parts = parts_of(request)
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), None)
        around = await surroundings(request, conn, principal, scope, "audit")
    report = await live_audit(parts.settings.database_dsn.get_secret_value(), Question())
    return page(request, "audit.html", {**around, **audit_context(report)})


@router.get("/keys")
async def keys(request: Request, principal: Admin) -> Response:
    parts = parts_of(request)
    async with reading(parts.reads) as conn:
        scope = scope_for(principal, await read_tenants(conn), None)
        around = await surroundings(request, conn, principal, scope, "keys")
    records = await parts.keys.list_keys(None, 1_000)
    active = sum(record.revoked_at is None for record in records)
    sentence: Sentence = (
        Words(f"{number_word(active).capitalize()} {plural(active, 'key')} beside the first admin’s."),
    )
    context = {"records": records, "sentence": sentence, "tenants": scope.names}
    return page(request, "keys.html", {**around, **context})
