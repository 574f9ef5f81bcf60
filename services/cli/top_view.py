"""What `spendstream top` shows, made of answers of `/api/v1/costs`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

MEASURES = ("cost_usd", "calls", "total_tokens", "errors", "wasted_cost_usd")
_BAR_CELLS = 16
_SPARKS = " ▁▂▃▄▅▆▇█"
_POINTS_MAX = 60
_FIGURES = ("cost", "share", "calls", "tokens", "per call", "errors")
_BARS_FROM_COLUMNS = 100
_NAME_COLUMNS = (12, 40)
_ACCENT, _QUIET = "cyan", "dim"


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the system. `rows` are the dearest, `totals` those of all; money is exact. `past` is what each
    bucket of the window cost, oldest first."""

    at: datetime
    window: timedelta
    by: str
    tenant_id: str | None
    rows: tuple[dict[str, Any], ...]
    totals: dict[str, Any]
    past: tuple[Decimal, ...]
    unpriced_events: int
    data_through: datetime | None

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it; figures as the API has them."""
        return {
            "at": self.at.isoformat(),
            "window_seconds": round(self.window.total_seconds()),
            "by": self.by,
            "tenant_id": self.tenant_id,
            "rows": list(self.rows),
            "totals": self.totals,
            "unpriced_events": self.unpriced_events,
            "data_through": self.data_through.isoformat() if self.data_through else None,
        }


def render(look: Look, width: int, trouble: str = "") -> RenderableType:
    """The whole screen, `width` columns wide; `trouble` is why the last look failed."""
    parts: list[RenderableType] = [_head(look), Text(sparkline(look.past), style=_ACCENT), _table(look, width)]
    if not look.rows:
        parts.append(Text("Nothing was spent in this window. Send an event, or take a longer --window.", style=_QUIET))
    if trouble:
        parts.append(Text(trouble, style="bold red"))
    return Group(*parts)


def _head(look: Look) -> Text:
    hours = Decimal(look.window // timedelta(seconds=1)) / 3600
    cost = Decimal(look.totals.get("cost_usd") or 0)
    text = Text()
    text.append(f"{usd(cost)}", style="bold")
    text.append(f" in the last {window_text(look.window)}", style=_QUIET)
    if look.tenant_id:
        text.append(f" by {look.tenant_id}", style=_QUIET)
    text.append(f"   {usd(cost / hours)} an hour   {int(look.totals.get('calls') or 0):,} calls\n")
    wasted = Decimal(look.totals.get("wasted_cost_usd") or 0)
    if wasted:
        text.append(f"{usd(wasted)} wasted   ", style="yellow")
    if look.unpriced_events:
        text.append(f"{look.unpriced_events:,} calls without a price   ", style="bold yellow")
    if look.data_through is not None:
        behind = max(look.at - look.data_through, timedelta())
        text.append(f"counted up to {behind.total_seconds():.0f} s ago", style=_QUIET)
    return text


def _table(look: Look, width: int) -> Table:
    """Figures are shown whole; names give way where there is little room, and bars first."""
    bars = width >= _BARS_FROM_COLUMNS
    whole = Decimal(look.totals.get("cost_usd") or 0)
    most = max((Decimal(row["cost_usd"] or 0) for row in look.rows), default=Decimal(0))
    figures = [_row_figures(row, whole) for row in look.rows]
    used = sum(max(map(len, column)) + 2 for column in zip(_FIGURES, *figures, strict=True))
    least, best = _NAME_COLUMNS
    name_columns = max(least, min(best, width - used - (_BAR_CELLS + 2 if bars else 0)))
    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    table.add_column(look.by.removesuffix("_id"), overflow="ellipsis", max_width=name_columns, no_wrap=True)
    if bars:
        table.add_column("", no_wrap=True)
    for heading in _FIGURES:
        table.add_column(heading, justify="right", no_wrap=True)
    for row, shown in zip(look.rows, figures, strict=True):
        name, errors = str(row[look.by]), Text(shown[-1], style="yellow" if row["errors"] else _QUIET)
        bar = Text("█" * _cells(Decimal(row["cost_usd"] or 0), most), style=_ACCENT)
        table.add_row(
            Text(name or "(none)", style="" if name else _QUIET), *([bar] if bars else []), *shown[:-1], errors
        )
    return table


def _row_figures(row: dict[str, Any], whole: Decimal) -> tuple[str, ...]:
    """As `_FIGURES` names them."""
    cost, calls = Decimal(row["cost_usd"] or 0), int(row["calls"] or 0)
    return (
        usd(cost),
        f"{cost / whole:.1%}" if whole else "–",
        f"{calls:,}",
        f"{int(row['total_tokens'] or 0):,}",
        usd(cost / calls) if calls else "–",
        f"{int(row['errors'] or 0):,}",
    )


def _cells(cost: Decimal, most: Decimal) -> int:
    """At least one where something was spent, so that little differs from nothing."""
    return max(1, round(_BAR_CELLS * cost / most)) if most and cost else 0


def sparkline(amounts: Sequence[Decimal]) -> str:
    """A character an amount, or for several of them where there are many, the largest one full; little differs from
    nothing."""
    each = -(-len(amounts) // _POINTS_MAX) or 1
    amounts = [sum(amounts[start : start + each], Decimal(0)) for start in range(0, len(amounts), each)]
    most = max(amounts, default=Decimal(0))
    steps = len(_SPARKS) - 1
    return "".join(_SPARKS[max(1, round(steps * amount / most)) if amount and most else 0] for amount in amounts)


def usd(amount: Decimal) -> str:
    """For reading: cents from a dollar on, else three significant digits, never an exponent."""
    if amount >= 1 or amount == 0:
        return f"${amount:,.2f}"
    digits = -amount.adjusted() + 2
    return f"${amount:.{digits}f}"


def window_text(window: timedelta) -> str:
    seconds = round(window.total_seconds())
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds % size == 0:
            count = seconds // size
            return name if count == 1 else f"{count} {name}s"
    return f"{seconds} seconds"


def amounts(rows: Iterable[dict[str, Any]]) -> tuple[Decimal, ...]:
    """The cost of each bucket of an answer, oldest first."""
    return tuple(Decimal(row["cost_usd"] or 0) for row in sorted(rows, key=lambda row: str(row["bucket"])))
