"""Rules against what was spent: which firings there are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from services.alerting.rules import (
    LIMIT_TYPES,
    PICO_PER_CENT,
    BudgetSpend,
    BudgetWindow,
    Firing,
    LimitSpend,
    LimitType,
    Rule,
    SpikeRow,
    Trouble,
)
from services.alerting.windows import day_start, occasion

_USUAL_PERCENT = 100
# Which of the detector's rules an alert type listens to.
_DETECTORS = {"cost_spike": ("hour_over_usual", "minutes_over_usual"), "anomaly": ("day_over_week", "slow_burn")}
# Seconds are a small sample: five sixths of the ratio are enough for them.
_FAST_SHARE = (5, 6)


def limit_type(rule: Rule) -> LimitType | None:
    """Which limit a rule is, None for another type or one without a threshold."""
    if rule.threshold_cents is None:
        return None
    return next((known for known in LIMIT_TYPES if known == rule.alert_type), None)


def limit_firing(rule: Rule, spend: LimitSpend, now: datetime) -> Firing:
    """A limit rule's firing; `breached` from the threshold on, inclusive."""
    assert rule.threshold_cents is not None
    return Firing(
        rule=rule,
        tenant_id=rule.tenant_id,
        tz=rule.tz,
        series=series_of(rule),
        occasion=occasion(rule.frequency, spend.window_start, now, rule.tz),
        threshold=str(rule.threshold_cents),
        happened_at=now,
        breached=spend.spent_pico_usd >= rule.threshold_cents * PICO_PER_CENT,
        cause=spend,
    )


def series_of(rule: Rule) -> str:
    """all, acme-corp, acme-corp/feature=chat."""
    return (rule.tenant_id or "all") + "".join(f"/{name}={value}" for name, value in sorted(rule.scope.items()))


def budget_firings(
    rule: Rule, window: BudgetWindow, limit_pico_usd: int, thresholds: Iterable[int], spend: LimitSpend, now: datetime
) -> Iterator[Firing]:
    """A firing for each threshold of a budget; `rule` has the budget's tenant and scope. Each is told once a window."""
    for percent in sorted(set(thresholds)):
        yield Firing(
            rule=rule,
            tenant_id=rule.tenant_id,
            tz=rule.tz,
            series=f"{series_of(rule)} {window} budget",
            occasion=occasion(rule.frequency, spend.window_start, now, rule.tz),
            # With the limit in it: a raised limit is a new one to run into.
            threshold=f"{percent}% of {limit_pico_usd}",
            happened_at=now,
            breached=spend.spent_pico_usd * 100 >= limit_pico_usd * percent,
            cause=BudgetSpend(window, limit_pico_usd, percent, spend),
        )


def trouble_firing(rule: Rule, trouble: Trouble, now: datetime) -> Firing:
    """A firing for a state that lasts; `rule` has the tenant it is about. Told again as often as the rule says."""
    return Firing(
        rule=rule,
        tenant_id=rule.tenant_id,
        tz=rule.tz,
        series=series_of(rule),
        occasion=occasion(rule.frequency, trouble.since, now, rule.tz),
        threshold=rule.alert_type,
        happened_at=now,
        breached=True,
        cause=trouble,
    )


def spike_firings(rules: Iterable[Rule], spikes: Iterable[SpikeRow]) -> Iterator[Firing]:
    """A firing for each spike and each cost_spike or anomaly rule it belongs to; spikes older than the rule don't
    count.
    """
    spikes = list(spikes)
    for rule in rules:
        detectors = _DETECTORS.get(rule.alert_type, ())
        if not detectors or rule.threshold_percent is None:
            continue
        for spike in spikes:
            if spike.rule in detectors and _concerns(rule, spike):
                yield _spike_firing(rule, spike)


def _concerns(rule: Rule, spike: SpikeRow) -> bool:
    if spike.detected_at < rule.created_at or rule.tenant_id not in (None, spike.tenant_id):
        return False
    return all(spike.dimension == name and spike.value == value for name, value in rule.scope.items())


def _spike_firing(rule: Rule, spike: SpikeRow) -> Firing:
    assert rule.threshold_percent is not None
    # 200 per cent above the usual hour is three times it. The largest the window was seen to cost decides.
    cost = max(spike.observed_pico_usd, spike.current_pico_usd)
    needed = (rule.threshold_percent + _USUAL_PERCENT) * spike.usual_pico_usd
    if spike.rule == "minutes_over_usual":
        needed = needed * _FAST_SHARE[0] / _FAST_SHARE[1]
    start = spike.window_start
    return Firing(
        rule=rule,
        tenant_id=spike.tenant_id,
        tz=spike.tz,
        series=spike.series,
        # An hour is told once; "daily" keeps a series quiet for the rest of its day.
        occasion=day_start(start, spike.tz) if rule.frequency == "daily" else start,
        threshold=f"{rule.threshold_percent.normalize():f}%",
        happened_at=spike.detected_at,
        # What creeps up is held against other weeks, not against a usual window: the detector's own threshold counts.
        breached=spike.rule == "slow_burn" or cost * _USUAL_PERCENT >= needed,
        cause=spike,
    )
