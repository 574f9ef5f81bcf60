"""A group of calls as a row of a table or a bar of a ranking. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from services.query.pages.colours import colour_class
from services.query.pages.figures import Item, Sums
from services.query.pages.formats import Change, change, count, money, per_call, percent, share

UNNAMED = "(none)"


@dataclass(frozen=True, slots=True)
class Row:
    """`share` of the whole and `bar` of the greatest, both 0 to 1."""

    key: str
    label: str
    sub: str
    href: str
    colour: str
    cost: int
    unpriced: int
    calls: int
    requests: int
    tokens: int
    per_call: int
    share: Decimal
    bar: Decimal
    bar_prompt: Decimal
    change: Change | None
    relative: str
    """The change as a number, to sort by."""
    tip: str


def rows(
    items: Iterable[Item],
    whole: Sums,
    href: Callable[[Item], str],
    *,
    by: Callable[[Sums], int] = lambda sums: sums.cost_pico_usd,
    colour: Callable[[Item], str] = lambda item: colour_class(item.key),
    limit: int | None = None,
) -> tuple[Row, ...]:
    """Greatest first. `by` is the measure that bars and order go by."""
    ordered = sorted(items, key=lambda item: (-by(item.sums), item.key))[:limit]
    greatest = by(ordered[0].sums) if ordered else 0
    return tuple(_row(item, whole, greatest, href(item), colour(item), by) for item in ordered)


def _row(item: Item, whole: Sums, greatest: int, href: str, colour: str, by: Callable[[Sums], int]) -> Row:
    sums, before = item.sums, item.before
    bar = share(by(sums), greatest)
    relative = ""
    if before is not None and before.cost_pico_usd:
        relative = f"{(Decimal(sums.cost_pico_usd) / before.cost_pico_usd - 1):.6f}"
    return Row(
        key=item.key,
        label=item.label or item.key or UNNAMED,
        sub=item.sub,
        href=href,
        colour=colour,
        cost=sums.cost_pico_usd,
        unpriced=sums.unpriced_events,
        calls=sums.calls,
        requests=sums.requests,
        tokens=sums.total_tokens,
        per_call=per_call(sums.cost_pico_usd, sums.calls),
        share=share(by(sums), by(whole)),
        bar=bar,
        bar_prompt=bar * share(sums.prompt_tokens, sums.total_tokens),
        change=change(sums.cost_pico_usd, before.cost_pico_usd, 0) if before is not None else None,
        relative=relative,
        tip=tip(sums, share(sums.cost_pico_usd, whole.cost_pico_usd)),
    )


def tip(sums: Sums, part: Decimal) -> str:
    """Lines of a tooltip, `name=text` joined by `|`: what the browser's script takes apart."""
    lines = {
        "cost": money(sums.cost_pico_usd),
        "share": percent(part),
        "calls": count(sums.calls),
        "prompt tokens": count(sums.prompt_tokens),
        "completion tokens": count(sums.completion_tokens),
    }
    return "|".join(f"{name}={text}" for name, text in lines.items())
