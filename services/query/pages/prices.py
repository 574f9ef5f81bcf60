"""The price book as rows and as a chart: what each model costs, since when, and what has no price. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from pricing.entries import END_OF_TIME_US, Entry, ModelPrices, PriceBook
from pricing.usage import USAGE_CLASS_INDEX
from services.query.pages.axes import money_axis
from services.query.pages.charts import Chart, Label, Series
from services.query.pages.colours import colour_class
from services.query.pages.formats import count, listing, plural
from services.query.pages.sentences import Sentence, Words

SHOWN_CLASSES: Final = ("input_uncached", "cache_read", "cache_write_5m", "output_text")
_DRAWN: Final = (
    ("input_uncached", "prompt", "c-prompt"), ("output_text", "completion", "c-completion"),
    ("cache_read", "cached", "c-rest"),
)  # fmt: skip
_MICROSECONDS: Final = 1_000_000
_PER_MILLION: Final = 1_000_000
_MONTHS_MAX: Final = 60
_LABELS: Final = 8


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
    # Whose page that is.
    host: str
    checked: str
    current: bool
    href: str


def price_rows(book: PriceBook, today: date) -> tuple[PriceRow, ...]:
    """Every entry, models by name, the newest entry of each first."""
    return tuple(
        row
        for provider in book.providers.values()
        for model in sorted(provider.models.values(), key=lambda model: model.name)
        for row in model_rows(provider.name, model, today)
    )


def model_rows(provider: str, model: ModelPrices, today: date) -> Iterator[PriceRow]:
    """The entries of one model, the newest first."""
    name = model.name.partition("/")[2]
    for entry in reversed(model.entries):
        yield _price_row(provider, name, model.tier, entry, today)


def model_href(provider: str, model: str) -> str:
    return f"/prices?{urlencode({'provider': provider, 'model': model})}"


def _price_row(provider: str, model: str, tier: str, entry: Entry, today: date) -> PriceRow:
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
    more += ["by region"] if entry.regions else []
    return PriceRow(
        provider=provider,
        model=model,
        tier=tier,
        colour=colour_class(provider),
        since=since,
        until=until,
        prices=tuple(per_million(prices[USAGE_CLASS_INDEX[name]]) if prices else "" for name in SHOWN_CLASSES),
        more=", ".join(more),
        source=entry.source,
        host=(urlsplit(entry.source).hostname or "").removeprefix("www."),
        checked=str(entry.checked),
        current=since <= today and (until is None or today < until),
        href=model_href(provider, model),
    )


def per_million(price_pico_usd: int | None) -> str:
    """Pico-USD a token are millionths of a dollar per million tokens: 2,500,000 reads $2.50."""
    if price_pico_usd is None:
        return ""
    whole, rest = divmod(price_pico_usd, 1_000_000)
    return f"${whole:,}.{f'{rest:06d}'.rstrip('0').ljust(2, '0')}"


def history_chart(model: ModelPrices, now: datetime) -> Chart:
    """What a million tokens cost at the end of each month, at `now` for the running one and as announced after it."""
    months = _months(model, now)
    held = [model.entry_at(round(_moment(month, now).timestamp() * _MICROSECONDS)) for month in months]
    prices = {
        name: [plan.bands[0].prices[USAGE_CLASS_INDEX[name]] if (plan := _plan(entry)) else None for entry in held]
        for name, _label, _colour in _DRAWN
    }
    series = tuple(
        Series(
            name,
            label,
            colour,
            tuple((price or 0) * _PER_MILLION for price in prices[name]),
            tuple(per_million(price) for price in prices[name]),
            ("",) * len(months),
        )
        for name, label, colour in _DRAWN
        if any(price is not None for price in prices[name])
    )
    greatest = max((value for one in series for value in one.values), default=0)
    return Chart(
        kind="steps",
        axis=money_axis(greatest),
        labels=_month_labels(months),
        titles=tuple(_month_title(month, now) for month in months),
        series=series,
        totals=(),
        notes=tuple("" if entry is None else f"since {_since(entry)}" for entry in held),
    )


def _plan(entry: Entry | None) -> Any:  # noqa: ANN401
    return entry.plan("") if entry is not None else None


def _months(model: ModelPrices, now: datetime) -> list[date]:
    """First days of the months from the first entry to the last change or now, the newest of them."""
    moments = [datetime.fromtimestamp(start / _MICROSECONDS, UTC) for start in model.starts_us]
    first, last = min([*moments, now]).date().replace(day=1), max([*moments, now]).date().replace(day=1)
    months = [first]
    while months[-1] < last:
        months.append(_next(months[-1]))
    return months[-_MONTHS_MAX:]


def _next(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def _moment(month: date, now: datetime) -> datetime:
    """The moment a month is shown at."""
    if month == now.date().replace(day=1):
        return now
    return datetime.combine(_next(month), datetime.min.time(), UTC) - timedelta(seconds=1)


def _month_title(month: date, now: datetime) -> str:
    running = now.date().replace(day=1)
    return f"{month:%B %Y}" + (" · now" if month == running else " · announced" if month > running else "")


def _month_labels(months: Sequence[date]) -> tuple[Label, ...]:
    step = -(-len(months) // _LABELS)
    named = range((len(months) - 1) % step, len(months), step)
    return tuple(
        Label((i + 0.5) * 100 / len(months), f"{months[i]:%b %y}", (len(named) - 1 - n) % 2 == 1)
        for n, i in enumerate(named)
    )


def _since(entry: Entry) -> str:
    at = datetime.fromtimestamp(entry.effective_from_us / _MICROSECONDS, UTC)
    return f"{at.day} {at:%b %Y}"


def unpriced_sentence(unpriced: Sequence[Mapping[str, Any]]) -> Sentence:
    """Whether everything that was called has a price; rows have `provider`, `model`, `calls`, the most calls first."""
    if not unpriced:
        return (Words("Every model that was called has a price."),)
    names = [f"{row['provider']}/{row['model']}" for row in unpriced]
    verb = "has" if len(names) == 1 else "have"
    total = sum(row["calls"] for row in unpriced)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    rest = f" {verb} no price yet: {count(total)} {plural(total, 'call')} without a cost until the book has one."
    return (Words(listing(names[:3]) + more, "alarm"), Words(rest))
