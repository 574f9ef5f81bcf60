"""Charts as data: drawn as SVG for the first paint, hydrated by ECharts from the same numbers and the same axis. Pure.

Geometry is in per cent of the plot, so the drawing fits any width and the hydrated chart replaces it without a move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from pricing.money import PICO_PER_USD
from services.query.pages.axes import Axis, count_axis, money_axis
from services.query.pages.colours import colour_class
from services.query.pages.figures import Item, OverviewFigures, Point
from services.query.pages.formats import count, money, money_whole, percent, plural, share, short
from services.query.pages.links import PageState
from services.query.pages.ranges import PageRange, bucket_label, bucket_title

_TOTALS_UP_TO = 14
_LABELS_WANTED = 8
_BAR_SHARE = 0.64
_SERIES_MAX = 6
_WHOLE_DOLLARS_FROM = 20 * PICO_PER_USD


@dataclass(frozen=True, slots=True)
class Bar:
    """One stacked part, in per cent of the plot; y from the top."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    running: bool


@dataclass(frozen=True, slots=True)
class Label:
    x: float
    text: str
    odd: bool
    """Hidden on a phone."""


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    label: str
    colour: str
    values: tuple[int, ...]
    texts: tuple[str, ...]
    shares: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """`kind` stack, lines or steps: in steps a value without a text is a gap. `totals` is empty where a sum means
    nothing. `notes` stand under a tooltip's sum; `hrefs` is where a click on a bucket leads."""

    kind: str
    axis: Axis
    labels: tuple[Label, ...]
    titles: tuple[str, ...]
    series: tuple[Series, ...]
    totals: tuple[str, ...]
    top_texts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    hrefs: tuple[str, ...] = ()
    days: tuple[str, ...] = ()
    running: int | None = None
    """Index of the incomplete bucket, which is hatched."""
    bars: tuple[Bar, ...] = ()
    tops: tuple[tuple[float, float, str], ...] = ()

    def data(self) -> dict[str, object]:
        """What the script in the browser gets, beside the drawing."""
        return {
            "kind": self.kind,
            "axis": {"top": self.axis.top, "steps": self.axis.steps, "labels": self.axis.labels},
            "labels": [[round(label.x, 3), label.text, label.odd] for label in self.labels],
            "titles": self.titles,
            "series": [
                {"name": s.label, "colour": s.colour, "values": s.values, "texts": s.texts, "shares": s.shares}
                for s in self.series
            ],
            "totals": self.totals,
            "topTexts": self.top_texts,
            "notes": self.notes,
            "hrefs": self.hrefs,
            "days": self.days,
            "running": self.running,
            "tops": bool(self.tops),
        }


class CostOverTime(Protocol):
    """What the chart of cost is drawn from: every bucket of a range, and what each provider cost in it."""

    @property
    def shown(self) -> PageRange: ...
    @property
    def buckets(self) -> tuple[datetime, ...]: ...
    @property
    def series(self) -> tuple[Point, ...]: ...
    @property
    def providers(self) -> tuple[Item, ...]: ...


def cost_chart(figures: CostOverTime, state: PageState) -> Chart:
    """Cost per bucket, stacked by provider, the dearest at the bottom, the least summed as the rest."""
    buckets, shown = figures.buckets, figures.shown
    place = {bucket: i for i, bucket in enumerate(buckets)}
    totals, calls = [0] * len(buckets), [0] * len(buckets)
    named = [item.key for item in figures.providers if item.sums.cost_pico_usd][:_SERIES_MAX]
    values: dict[str, list[int]] = {key: [0] * len(buckets) for key in named}
    rest = [0] * len(buckets)
    for point in figures.series:
        i = place[point.bucket]
        values.get(point.key, rest)[i] += point.cost_pico_usd
        totals[i] += point.cost_pico_usd
        calls[i] += point.calls
    series = [_money_series(key, key or "(none)", colour_class(key), values[key], totals) for key in named]
    if any(rest):
        series.append(_money_series("", "others", "c-rest", rest, totals))
    running = len(buckets) - 1 if shown.running and buckets else None
    axis = money_axis(max(totals, default=0))
    days = [bucket.astimezone(shown.zone).date() for bucket in buckets]
    last = [*(day - timedelta(days=1) for day in days[1:]), shown.last_day] if shown.granularity != "hour" else days
    return Chart(
        kind="stack",
        axis=axis,
        labels=_labels(
            [bucket_label(b, shown.granularity, shown.zone, shown.days) for b in buckets],
            _every(3 if len(buckets) <= 25 else 12, buckets, shown.zone) if shown.granularity == "hour" else None,
        ),
        titles=tuple(_titles(figures, running)),
        series=tuple(series),
        totals=tuple(money(total) for total in totals),
        top_texts=tuple(_top_text(total, max(totals)) for total in totals),
        notes=tuple(f"{count(number)} {plural(number, 'call')}" for number in calls),
        hrefs=tuple(state.with_days(first, max(first, end)) for first, end in zip(days, last, strict=True)),
        days=tuple(day.isoformat() for day in days),
        running=running,
        bars=tuple(_bars(series, axis.top, running)),
        tops=_tops(totals, axis.top) if len(buckets) <= _TOTALS_UP_TO else (),
    )


def _titles(figures: CostOverTime, running: int | None) -> list[str]:
    shown = figures.shown
    titles = [bucket_title(b, shown.granularity, shown.zone) for b in figures.buckets]
    if running is not None:
        titles[running] += " · so far"
    return titles


def _money_series(key: str, label: str, colour: str, values: Sequence[int], totals: Sequence[int]) -> Series:
    shares = tuple(percent(share(v, t), 0) for v, t in zip(values, totals, strict=True))
    return Series(key, label, colour, tuple(values), tuple(money(v) if v else "" for v in values), shares)


def _labels(texts: Sequence[str], named: Sequence[int] | None = None) -> tuple[Label, ...]:
    """Names the buckets `named`, else every k-th so that about eight stand in a row; a phone shows every second."""
    if not texts:
        return ()
    if named is None:
        step = -(-len(texts) // _LABELS_WANTED)
        named = range((len(texts) - 1) % step, len(texts), step)
    crowded = len(named) > 4
    return tuple(
        Label((i + 0.5) * 100 / len(texts), texts[i], crowded and (len(named) - 1 - n) % 2 == 1)
        for n, i in enumerate(named)
    )


def _every(hours: int, buckets: Sequence[datetime], zone: ZoneInfo) -> list[int]:
    """Buckets that start at a round hour of the local day."""
    local = [bucket.astimezone(zone) for bucket in buckets]
    return [i for i, at in enumerate(local) if at.hour % hours == 0 and at.minute == 0]


def _bars(series: Sequence[Series], top: int, running: int | None) -> list[Bar]:
    bars: list[Bar] = []
    if not series:
        return bars
    slots = len(series[0].values)
    width, heights = 100 / slots * _BAR_SHARE, [0.0] * slots
    for one in series:
        for i, value in enumerate(one.values):
            if value:
                height = 100 * value / top
                heights[i] += height
                bars.append(
                    Bar((i + 0.5) * 100 / slots - width / 2, 100 - heights[i], width, height, one.colour, i == running)
                )
    return bars


def _tops(totals: Sequence[int], top: int) -> tuple[tuple[float, float, str], ...]:
    slots = len(totals)
    return tuple(
        ((i + 0.5) * 100 / slots, 100 - 100 * t / top, _top_text(t, max(totals))) for i, t in enumerate(totals) if t
    )


def _top_text(pico_usd: int, greatest_pico_usd: int) -> str:
    """Above a bar: whole dollars where the bars are not small ones."""
    return money_whole(pico_usd) if greatest_pico_usd >= _WHOLE_DOLLARS_FROM else money(pico_usd)


def token_chart(figures: OverviewFigures) -> Chart:
    """Tokens per hour over three days, prompts against completions."""
    points, zone = figures.hours, figures.shown.zone
    axis = count_axis(max((max(p.prompt_tokens, p.completion_tokens) for p in points), default=0))
    names = [_hour_label(p.bucket, zone) for p in points]
    series = (
        _token_series("prompt", [p.prompt_tokens for p in points], points),
        _token_series("completion", [p.completion_tokens for p in points], points),
    )
    titles = [bucket_title(p.bucket, "hour", zone) for p in points]
    if titles:
        titles[-1] += " · so far"
    return Chart(
        kind="lines",
        axis=axis,
        labels=_labels(names, _every(12, [p.bucket for p in points], zone)),
        titles=tuple(titles),
        series=series,
        totals=tuple(short(p.prompt_tokens + p.completion_tokens) for p in points),
        notes=tuple(f"{count(p.calls)} {plural(p.calls, 'call')}" for p in points),
        running=len(points) - 1 if points else None,
    )


def _hour_label(at: datetime, zone: ZoneInfo) -> str:
    """The day at midnight, the hour at noon."""
    local = at.astimezone(zone)
    return f"{local:%a} {local.day}" if local.hour == 0 else f"{local:%H:%M}"


def _token_series(name: str, values: Sequence[int], points: Sequence[Point]) -> Series:
    shares = tuple(
        percent(share(v, p.prompt_tokens + p.completion_tokens), 0) for v, p in zip(values, points, strict=True)
    )
    return Series(name, name, f"c-{name}", tuple(values), tuple(count(v) for v in values), shares)


def line_points(values: Sequence[int], top: int) -> str:
    """A polyline in a box of 100 by 100."""
    slots = len(values)
    return " ".join(f"{(i + 0.5) * 100 / slots:.2f},{100 - 100 * v / top:.2f}" for i, v in enumerate(values))


def step_lines(series: Series, top: int) -> list[str]:
    """Polylines of what holds for each bucket, one for each stretch without a gap."""
    slots, lines = len(series.values), list[list[str]]()
    for i, (value, text) in enumerate(zip(series.values, series.texts, strict=True)):
        if not text:
            continue
        if i == 0 or not series.texts[i - 1]:
            lines.append([])
        y = f"{100 - 100 * value / top:.2f}"
        lines[-1] += [f"{i * 100 / slots:.2f},{y}", f"{(i + 1) * 100 / slots:.2f},{y}"]
    return [" ".join(points) for points in lines]


def line_area(values: Sequence[int], top: int) -> str:
    """The polygon under a polyline."""
    slots = len(values) or 1
    return f"{50 / slots:.2f},100 {line_points(values, top)} {100 - 50 / slots:.2f},100"


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a ring of circumference 100: its length, and where it starts."""

    key: str
    label: str
    colour: str
    length: float
    offset: float
    cost_pico_usd: int
    calls: int
    share_text: str


def ring(figures: OverviewFigures) -> tuple[Slice, ...]:
    """The top five providers and the rest."""
    items = list(figures.providers)
    whole = sum(item.sums.cost_pico_usd for item in items)
    parts = [(i.key, i.key or "(none)", colour_class(i.key), i.sums.cost_pico_usd, i.sums.calls) for i in items[:5]]
    if len(items) > 5:
        others = items[5:]
        parts.append(
            (
                "",
                f"{len(others)} others",
                "c-rest",
                sum(i.sums.cost_pico_usd for i in others),
                sum(i.sums.calls for i in others),
            )
        )
    slices, offset = [], 0.0
    for key, label, colour, cost, calls in parts:
        length = float(share(cost, whole) * 100)
        slices.append(Slice(key, label, colour, length, offset, cost, calls, percent(share(cost, whole))))
        offset += length
    return tuple(slices)
