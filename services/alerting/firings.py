"""Rules against what was spent: which firings there are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from services.alerting.rules import LIMIT_TYPES, PICO_PER_CENT, Firing, LimitSpend, LimitType, Rule, SpikeRow
from services.alerting.windows import day_start, occasion

_USUAL_PERCENT = 100


def limit_type(rule: Rule) -> LimitType | None:
    """Which limit a rule is, None for another type or one without a threshold."""
    if rule.threshold_cents is None:
        return None
    return next((known for known in LIMIT_TYPES if known == rule.alert_type), None)


def limit_firing(rule: Rule, spend: LimitSpend, now: datetime) -> Firing:
    """A limit rule's firing; `breached` from the threshold on, inclusive."""
    assert rule.threshold_cents is not None
    scope = "".join(f"/{name}={value}" for name, value in sorted(rule.scope.items()))
    return Firing(
        rule=rule,
        tenant_id=rule.tenant_id,
        tz=rule.tz,
        series=(rule.tenant_id or "all") + scope,
        occasion=occasion(rule.frequency, spend.window_start, now, rule.tz),
        threshold=str(rule.threshold_cents),
        happened_at=now,
        breached=spend.spent_pico_usd >= rule.threshold_cents * PICO_PER_CENT,
        cause=spend,
    )


def spike_firings(rules: Iterable[Rule], spikes: Iterable[SpikeRow]) -> Iterator[Firing]:
    """A firing for each spike and each cost_spike rule it belongs to; spikes older than the rule don't count."""
    spikes = list(spikes)
    for rule in rules:
        if rule.alert_type != "cost_spike" or rule.threshold_percent is None:
            continue
        for spike in spikes:
            if _concerns(rule, spike):
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
        breached=cost * _USUAL_PERCENT >= needed,
        cause=spike,
    )
