"""What an alert says, whatever channel says it: title with the number, cause, figures, contributors, a link. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from pricing.money import parse_usd, usd_string
from services.alerting.rules import PICO_PER_CENT, BudgetSpend, Firing, LimitSpend, SpikeRow, Trouble
from services.alerting.windows import BUDGET_WINDOWS
from services.contracts.figures import TIMES_MAX, count_text, share_text, times_text, usd_text

CONTRIBUTORS_MAX = 3
_KEPT_FACTS = ("rule", "alert_type", "tenant_id", "series", "threshold", "window_start")
_PERIOD = {
    "daily_limit": ("today", "day"),
    "weekly_limit": ("this week", "week"),
    "monthly_limit": ("this month", "month"),
}
_NAMELESS = {
    "feature": "calls without a feature",
    "agent_id": "calls without an agent",
    "model": "calls without a model",
}
_FILTERS = ("provider", "model", "feature", "agent_id")


@dataclass(frozen=True, slots=True)
class Figure:
    """A label and its value, both for people."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Contributor:
    """`names` were made up by callers (a feature, an agent, a model): never to be read as markup."""

    names: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one part of a limit's window has cost."""

    name: str
    cost_pico_usd: int


@dataclass(frozen=True, slots=True)
class _Words:
    """How a detector's rule names what it compares."""

    usual: str
    now: str
    before: str


_WORDS = {
    "hour_over_usual": _Words("its usual hour", "This hour", "Usual hour"),
    "minutes_over_usual": _Words("its usual pace", "Just now", "Usual in that time"),
    "day_over_week": _Words("its average day", "Today", "Average day"),
    "slow_burn": _Words("what it cost two weeks before", "Last three days", "Two weeks before"),
}


@dataclass(frozen=True, slots=True)
class Notice:
    title: str
    # One sentence that stands alone, and one that follows the title.
    cause: str
    because: str
    figures: tuple[Figure, ...]
    contributors: tuple[Contributor, ...]
    view_url: str
    # For programs: the webhook's data and the alert's payload.
    facts: Mapping[str, Any]


def notice(firing: Firing, contributions: Sequence[Contribution], public_url: str, now: datetime) -> Notice:
    """`contributions`, the dearest first, only for a limit; a spike brings its own."""
    if isinstance(firing.cause, SpikeRow):
        return _spike_notice(firing, firing.cause, public_url)
    if isinstance(firing.cause, BudgetSpend):
        return _budget_notice(firing, firing.cause, contributions, public_url, now)
    if isinstance(firing.cause, Trouble):
        return _trouble_notice(firing, firing.cause, public_url, now)
    return _limit_notice(firing, firing.cause, contributions, public_url, now)


def _spike_notice(firing: Firing, spike: SpikeRow, public_url: str) -> Notice:
    cost = max(spike.observed_pico_usd, spike.current_pico_usd)
    label = _spike_label(spike)
    usual = _said_usual(spike)
    times = times_text(cost / usual) if usual > 0 else ""
    cause = _spike_cause(spike, cost, label, times)
    title = f"{label}: {usd_text(cost)} {_period(spike)}"
    filters = {} if spike.dimension == "tenant_id" else {spike.dimension: spike.value}
    # With the day before, so that the view shows what it grew from.
    day_before = spike.window_start - timedelta(days=1)
    facts = {
        **_facts(firing, spike.window_start, spike.window_end, cost),
        "usual_usd": usd_string(usual),
        "spike_id": str(spike.spike_id),
        "evidence": dict(spike.evidence),
    }
    return Notice(
        title=f"{title}, {_against(spike, cost, times)}",
        cause=cause,
        because=_because(spike) or cause,
        figures=_spike_figures(spike, cost),
        contributors=tuple(_spike_contributors(spike)),
        view_url=view_url(public_url, spike.tenant_id, day_before, spike.window_end, spike.tz, filters),
        facts=facts,
    )


def _spike_label(spike: SpikeRow) -> str:
    if spike.dimension == "tenant_id":
        return spike.tenant_id
    return f"{spike.value or _NAMELESS[spike.dimension]} at {spike.tenant_id}"


def _period(spike: SpikeRow) -> str:
    if spike.rule == "minutes_over_usual":
        return f"in {float(spike.evidence.get('measured_seconds', 60)):.0f} s"
    if spike.rule == "day_over_week":
        return "today" if _is_today(spike) else f"on {_day(spike.window_start, spike.tz)}"
    return "in three days" if spike.rule == "slow_burn" else f"since {_clock(spike.window_start, spike.tz)}"


def _against(spike: SpikeRow, cost: int, times: str) -> str:
    """4.1 × its usual hour. A pace a hundred times the usual one says more in dollars."""
    if not times:
        return "usually nothing"
    if spike.rule == "minutes_over_usual" and cost >= TIMES_MAX * spike.usual_pico_usd and not _is_over_hour(spike):
        return f"usually {usd_text(spike.usual_pico_usd)}"
    return f"{times} {_words(spike).usual}"


def _is_over_hour(spike: SpikeRow) -> bool:
    """Whether seconds have cost so much that they are held against the whole usual hour."""
    return "usual_hour_usd" in spike.evidence


def _said_usual(spike: SpikeRow) -> int:
    return parse_usd(str(spike.evidence["usual_hour_usd"])) if _is_over_hour(spike) else spike.usual_pico_usd


def _words(spike: SpikeRow) -> _Words:
    words = _WORDS[spike.rule]
    return replace(words, usual="its usual hour", before="Usual hour") if _is_over_hour(spike) else words


def _is_today(spike: SpikeRow) -> bool:
    """Whether the day was still running when it was found: what comes just after midnight may be the day's before."""
    return spike.detected_at < spike.window_end


def _spike_cause(spike: SpikeRow, cost: int, label: str, times: str) -> str:
    """The detector's sentence, with the ratio of now where the hour has gone on growing since."""
    phrases = _phrases(spike)
    if spike.rule != "hour_over_usual" or cost == spike.observed_pico_usd or not times or not phrases:
        return spike.cause
    return f"{label} costs {times} its usual hour: {' and '.join(phrases)}."


def _because(spike: SpikeRow) -> str:
    """Prompts grew from 900 to 3,700 tokens."""
    drivers, phrases = spike.evidence.get("drivers", []), _phrases(spike)
    if not phrases:
        return ""
    sentence = " and ".join(phrases) + "."
    # A sentence about the mix starts with a model's name, which is written as it is.
    return sentence if drivers[0].get("name") == "model_mix" else sentence[0].upper() + sentence[1:]


def _phrases(spike: SpikeRow) -> list[str]:
    return [str(driver["phrase"]) for driver in spike.evidence.get("drivers", []) if "phrase" in driver][:2]


def _spike_figures(spike: SpikeRow, cost: int) -> tuple[Figure, ...]:
    evidence = spike.evidence
    is_over = spike.rule == "day_over_week" and not _is_today(spike)
    figures = [
        Figure(_day(spike.window_start, spike.tz) if is_over else _words(spike).now, usd_text(cost)),
        Figure(_words(spike).before, usd_text(_said_usual(spike))),
    ]
    per_call = evidence.get("cost_per_call_usd")
    if per_call:
        now, usual = (usd_text(parse_usd(per_call[when])) for when in ("now", "usual"))
        figures.append(Figure("Cost of a call", f"{now}, usually {usual}"))
    for key, label, text in (
        ("calls", "Calls", count_text),
        ("prompt_tokens_per_call", "Prompt tokens", count_text),
        ("completion_tokens_per_call", "Completion tokens", count_text),
        ("retry_share", "Retries", share_text),
    ):
        pair = evidence.get(key)
        # Fewer retries than usual explain nothing, and the message is read on a watch.
        if pair and (pair["now"] > pair["usual"] if key == "retry_share" else pair["now"] or pair["usual"]):
            per = " a call" if key.endswith("_per_call") else ""
            figures.append(Figure(label, f"{text(pair['now'])}{per}, usually {text(pair['usual'])}"))
    return tuple(figures)


def _spike_contributors(spike: SpikeRow) -> Sequence[Contributor]:
    found = []
    for contributor in spike.evidence.get("contributors", [])[:CONTRIBUTORS_MAX]:
        who = str(contributor.get("agent_id", contributor.get("feature", "")))
        names = (who or ("(no feature)" if "feature" in contributor else "(no agent)"), str(contributor["model"]))
        cost, usual = (usd_text(parse_usd(str(contributor[key]))) for key in ("cost_usd", "usual_usd"))
        share = f"{float(contributor['share_of_growth']):.0%}".replace("%", " %")
        found.append(Contributor(names, f"{cost}, usually {usual} ({share} of the rise)"))
    return found


def _limit_notice(
    firing: Firing, spend: LimitSpend, contributions: Sequence[Contribution], public_url: str, now: datetime
) -> Notice:
    assert firing.rule.threshold_cents is not None
    limit = firing.rule.threshold_cents * PICO_PER_CENT
    period, window = _PERIOD[firing.rule.alert_type]
    who = " ".join([*(f"{value} at" for value in firing.rule.scope.values()), firing.tenant_id or "All tenants"])
    top = tuple(part for part in contributions if part.cost_pico_usd > 0)[:CONTRIBUTORS_MAX]
    dearest = f"; {top[0].name or 'no name'} explains {usd_text(top[0].cost_pico_usd)}" if top else ""
    left = _duration(spend.window_end - now)
    figures = [
        Figure("Spent", usd_text(spend.spent_pico_usd)),
        Figure("Limit", usd_text(limit)),
        Figure("Used", share_text(spend.spent_pico_usd / limit)),
        Figure("Starts again", _moment(spend.window_end, firing.tz)),
        Figure("Calls", count_text(spend.calls)),
    ]
    if spend.unpriced_events:
        figures.append(Figure("Unpriced calls", count_text(spend.unpriced_events)))
    cause = f"{firing.rule.name}: the {window}'s limit is used up with {left} of the {window} left{dearest}."
    facts = {
        **_facts(firing, spend.window_start, spend.window_end, spend.spent_pico_usd),
        "limit_usd": usd_string(limit),
        "contributors": [{"name": part.name, "cost_usd": usd_string(part.cost_pico_usd)} for part in top],
    }
    return Notice(
        title=f"{who}: {usd_text(spend.spent_pico_usd)} {period}, limit {usd_text(limit)}",
        cause=cause,
        because=cause,
        figures=tuple(figures),
        contributors=tuple(_shared(part, spend.spent_pico_usd) for part in top),
        view_url=view_url(public_url, firing.tenant_id, spend.window_start, now, firing.tz, dict(firing.rule.scope)),
        facts=facts,
    )


def _budget_notice(
    firing: Firing, budget: BudgetSpend, contributions: Sequence[Contribution], public_url: str, now: datetime
) -> Notice:
    spend, limit = budget.spend, budget.limit_pico_usd
    period, window = _PERIOD[BUDGET_WINDOWS[budget.budget_window]]
    who = " ".join([*(f"{value} at" for value in firing.rule.scope.values()), firing.tenant_id or "All tenants"])
    used, left = share_text(spend.spent_pico_usd / limit), _duration(spend.window_end - now)
    top = tuple(part for part in contributions if part.cost_pico_usd > 0)[:CONTRIBUTORS_MAX]
    over = spend.spent_pico_usd - limit
    state = f"{usd_text(over)} over the {window}'s budget" if over > 0 else f"{usd_text(-over)} of the budget are left"
    has, its = ("has", "its") if firing.tenant_id else ("have", "their")
    cause = (
        f"{who} {has} used {used} of {its} {budget.budget_window} budget: {state}, with {left} of the {window} to go."
    )
    return Notice(
        title=f"{who}: {used} of {usd_text(limit)} used {period}",
        cause=cause,
        because=cause,
        figures=(
            Figure("Spent", usd_text(spend.spent_pico_usd)),
            Figure("Budget", usd_text(limit)),
            Figure("Used", used),
            Figure("Threshold", f"{budget.percent} %"),
            Figure("Starts again", _moment(spend.window_end, firing.tz)),
            Figure("Calls", count_text(spend.calls)),
        ),
        contributors=tuple(_shared(part, spend.spent_pico_usd) for part in top),
        view_url=view_url(public_url, firing.tenant_id, spend.window_start, now, firing.tz, dict(firing.rule.scope)),
        facts={
            **_facts(firing, spend.window_start, spend.window_end, spend.spent_pico_usd),
            "limit_usd": usd_string(limit),
            "threshold_percent": budget.percent,
            "budget_window": budget.budget_window,
        },
    )


def _trouble_notice(firing: Firing, trouble: Trouble, public_url: str, now: datetime) -> Notice:
    start = min(trouble.since, now - timedelta(days=1))
    facts = {**_facts(firing, trouble.since, now, 0), "window_end": None, "observed_usd": None}
    return Notice(
        title=trouble.title,
        cause=trouble.because,
        because=trouble.because,
        figures=tuple(Figure(label, value) for label, value in trouble.figures),
        contributors=(),
        view_url=view_url(public_url, firing.tenant_id, start, now + timedelta(seconds=1), firing.tz, {}),
        facts=facts,
    )


def resolved_notice(title: str, because: str, payload: Mapping[str, Any]) -> Notice:
    """That it is over: `title` and `payload` are those of the alert."""
    return Notice(
        title=f"Over: {title}",
        cause=because,
        because=because,
        figures=(),
        contributors=(),
        view_url=str(payload.get("view_url", "")),
        facts={name: payload[name] for name in _KEPT_FACTS if name in payload},
    )


def _shared(part: Contribution, spent_pico_usd: int) -> Contributor:
    share = share_text(part.cost_pico_usd / spent_pico_usd) if spent_pico_usd > 0 else "0 %"
    return Contributor((part.name or "(none)",), f"{usd_text(part.cost_pico_usd)} ({share})")


def _facts(firing: Firing, start: datetime, end: datetime, observed_pico_usd: int) -> dict[str, Any]:
    return {
        "rule": firing.rule.name,
        "alert_type": firing.rule.alert_type,
        "tenant_id": firing.tenant_id,
        "series": firing.series,
        "threshold": firing.threshold,
        "window_start": start.isoformat(),
        "window_end": end.isoformat(),
        "observed_usd": usd_string(observed_pico_usd),
    }


def view_url(
    public_url: str, tenant_id: str | None, start: datetime, end: datetime, tz: str, filters: Mapping[str, str]
) -> str:
    """The overview on the local days from `start` to `end` (exclusive), narrowed to the alert's series."""
    zone = ZoneInfo(tz)
    first, last = start.astimezone(zone).date(), (end - timedelta(microseconds=1)).astimezone(zone).date()
    parts = [("tenant", tenant_id)] if tenant_id is not None else []
    parts += [("range", "custom"), ("startDate", first.isoformat()), ("endDate", last.isoformat())]
    parts += [(name, filters[name]) for name in _FILTERS if filters.get(name)]
    return f"{public_url.rstrip('/')}/?{urlencode(parts, quote_via=quote)}"


def _clock(moment: datetime, tz: str) -> str:
    return f"{moment.astimezone(ZoneInfo(tz)):%H:%M %Z}"


def _moment(moment: datetime, tz: str) -> str:
    local = moment.astimezone(ZoneInfo(tz))
    return f"{local.day} {local:%b %H:%M %Z}"


def _day(moment: datetime, tz: str) -> str:
    local = moment.astimezone(ZoneInfo(tz))
    return f"{local.day} {local:%b}"


def _duration(left: timedelta) -> str:
    hours = max(left, timedelta()) / timedelta(hours=1)
    if hours >= 48:
        return f"{hours / 24:.0f} days"
    return f"{hours:.0f} h" if hours >= 2 else f"{hours * 60:.0f} min"
