"""What is wrong besides spend: usage without a price, a refused price book, silence, a pipeline behind. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.alerting.rules import Trouble
from services.contracts.figures import count_text

# A tenant that had calls within a day is silent after this long.
SILENT_AFTER = timedelta(minutes=60)
# Behind means so much between what the stream is counted up to and now.
BEHIND_AFTER = timedelta(minutes=2)
_PROBLEMS_NAMED = 3


# A rule without a tenant is about the book as well.
BOOK_SERIES = "all"


def unpriced_trouble(
    tenant_id: str, calls: int, models: Sequence[tuple[str, str, int]], day_start: datetime
) -> Trouble:
    """`models` are the most frequent ones, (provider, model, calls); the day is the tenant's."""
    named = ", ".join(f"{provider} / {model} ({count_text(count)})" for provider, model, count in models)
    return Trouble(
        day_start,
        f"{tenant_id}: {count_text(calls)} calls without a price today",
        f"The price book has no price for {named}. Totals leave these calls out; add the price and they heal.",
        (("Calls without a price", count_text(calls)), ("Models", named)),
    )


def refused_book(path: str, refused_at: datetime, problems: Sequence[str], version_in_force: str) -> Trouble:
    """`problems` are lines with file, line and key, the first of them named."""
    named = "; ".join(problems[:_PROBLEMS_NAMED]) + ("; …" if len(problems) > _PROBLEMS_NAMED else "")
    return Trouble(
        refused_at,
        "A new price book was refused",
        f"Version {version_in_force} stays in force. Wrong with it: {named}. Mended, it is taken within seconds.",
        (("File", path), ("In force", version_in_force)),
    )


def silence(who: str, last_call: datetime, through: datetime, tz: str) -> Trouble | None:
    """None while it isn't one. `through` is what the stream is counted up to: what is only late is no silence."""
    quiet = through - last_call
    if quiet < SILENT_AFTER:
        return None
    clock = f"{last_call.astimezone(ZoneInfo(tz)):%H:%M %Z}"
    return Trouble(
        last_call,
        f"{who}: no calls since {clock}",
        f"{who} usually calls, and nothing has come since {clock}. Has a service stopped, or stopped reporting?",
        (("Last call", clock), ("Silent for at least", f"{SILENT_AFTER // timedelta(minutes=1)} min")),
    )


def lag(through: datetime, now: datetime) -> Trouble | None:
    """None while the stream is counted closely enough."""
    behind = now - through
    if behind < BEHIND_AFTER:
        return None
    minutes = behind // timedelta(minutes=1)
    return Trouble(
        through.replace(second=0, microsecond=0),
        f"Spendstream is {minutes} min behind",
        f"Usage is counted up to {through:%H:%M:%S} UTC only. What came since is kept and will be counted; figures, "
        "spikes and budgets are late until then.",
        (("Counted up to", f"{through:%H:%M:%S} UTC"), ("Behind", f"{minutes} min")),
    )


def over(alert_type: str, series: str) -> str:
    """How the end of such an alert is said."""
    if (alert_type, series) == ("unpriced_usage", BOOK_SERIES):
        return "The newest price book is right, and in force."
    return {
        "unpriced_usage": "Every call of today has a price.",
        "no_data": "Calls are coming in again.",
        "pipeline_lag": "The stream is counted up to now again.",
        "cost_spike": "A whole hour went by without another spike.",
    }.get(alert_type, "It is over.")
