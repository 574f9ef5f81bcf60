"""Why a window cost so much: the drivers of a spike, its contributors, and one sentence with figures. Pure.

Its cost is requests × calls per request × cost of a call. Against the usual one that gives four factors whose
product is the whole growth: volume, retries, model mix (the cost of a call if every model had kept its usual price per
call) and what is left, length. The largest factors are named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pricing.money import usd_string
from services.contracts.figures import TIMES_MAX, count_text, share_text, times_text, usd_text
from services.processor.spikes import Excess, Measures, SeriesHour

DriverName = Literal["volume", "retries", "model_mix", "prompt_length", "completion_length", "price"]
CONTRIBUTORS_MAX = 3
# A factor below this is noise next to the others.
_FACTOR_MIN = 1.2
_DRIVERS_NAMED_MAX = 2
# A completion token costs about four times a prompt token at most providers; only ranks the two lengths.
_COMPLETION_WEIGHT = 4
_NAMELESS = {
    "feature": "calls without a feature",
    "agent_id": "calls without an agent",
    "model": "calls without a model",
}


@dataclass(frozen=True, slots=True)
class Part:
    """What one agent, feature and model used of a series."""

    feature: str
    agent_id: str
    model: str
    measures: Measures


@dataclass(frozen=True, slots=True)
class Driver:
    """One thing that grew: by which factor it raised the cost, and how to say it."""

    name: DriverName
    factor: float
    phrase: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """`evidence` is what the spike row keeps: figures now and usually, model mix, contributors."""

    cause: str
    drivers: tuple[Driver, ...]
    evidence: dict[str, object]


def explain(
    series: SeriesHour, tenant_id: str, excess: Excess, now: Sequence[Part], usual: Sequence[Part]
) -> Explanation:
    """`now` are the tested hour's parts, `usual` those of all of `excess.basis` together."""
    drivers = _drivers(excess, now, usual)
    head = f"{series_label(series, tenant_id)} costs {_comparison(excess)}"
    named = [driver.phrase for driver in drivers[:_DRIVERS_NAMED_MAX]]
    cause = f"{head}: {' and '.join(named)}." if named else f"{head}."
    return Explanation(cause, tuple(drivers), _evidence(series, excess, now, usual, drivers))


def series_label(series: SeriesHour, tenant_id: str) -> str:
    """chat at acme-corp; the tenant's id for the tenant as a whole."""
    if series.dimension == "tenant_id":
        return tenant_id
    return f"{series.value or _NAMELESS[series.dimension]} at {tenant_id}"


def _comparison(excess: Excess) -> str:
    cost, times = usd_text(excess.observed.measures.cost_pico_usd), times_text(excess.ratio)
    if excess.rule == "minutes_over_usual":
        pace = f"{times} its usual {'pace' if excess.usual_hour_pico_usd is None else 'hour'}"
        if excess.ratio >= TIMES_MAX and excess.usual_hour_pico_usd is None:
            pace = f"usually {usd_text(excess.usual_pico_usd)}"
        if excess.said_usual_pico_usd <= 0:
            pace = "usually nothing"
        return f"{cost} in {excess.measured.total_seconds():.0f} s, {pace}"
    if excess.usual_pico_usd <= 0:
        period = {"day_over_week": "today", "slow_burn": "in three days"}.get(excess.rule, "this hour")
        return f"{cost} {period} and usually nothing"
    if excess.rule == "day_over_week":
        return f"{times} the average day of the week before"
    if excess.rule == "slow_burn":
        return f"{times} what it cost two to three weeks ago"
    return f"{times} its usual hour"


def _per(amount: float, count: float) -> float:
    return amount / count if count else 0.0


def _retry_share(measures: Measures) -> float:
    return _per(measures.calls - measures.requests, measures.calls)


def _total(parts: Sequence[Part]) -> Measures:
    return sum((part.measures for part in parts), Measures())


def _by(parts: Sequence[Part], key: Callable[[Part], str]) -> dict[str, Measures]:
    totals: dict[str, Measures] = defaultdict(Measures)
    for part in parts:
        totals[key(part)] += part.measures
    return dict(totals)


def _drivers(excess: Excess, now_parts: Sequence[Part], usual_parts: Sequence[Part]) -> list[Driver]:
    now, usual, windows = _total(now_parts), _total(usual_parts), excess.usual_windows
    if not now.calls or not usual.calls:
        return []
    usual_calls = usual.calls / windows
    # An hour of retries only (their first attempts lay before it) still has a volume.
    volume = _per(now.requests or now.calls, (usual.requests or usual.calls) / windows)
    retries = _per(now.calls, usual_calls) / volume
    mix = _mix_factor(now_parts, usual_parts)
    length = _per(_per(now.cost_pico_usd, now.calls), _per(usual.cost_pico_usd, usual.calls) * mix)
    found = [
        Driver("volume", volume, _grew("calls", count_text, usual_calls, now.calls)),
        Driver("retries", retries, f"{_grew('retries', share_text, _retry_share(usual), _retry_share(now))} of calls"),
        Driver("model_mix", mix, _mix_phrase(now_parts, usual_parts)),
        _length_driver(length, now, usual),
    ]
    return sorted((driver for driver in found if driver.factor >= _FACTOR_MIN), key=lambda d: -d.factor)


def _grew(what: str, text: Callable[[float], str], before: float, after: float) -> str:
    return f"{what} grew from {text(before)} to {text(after)}"


def _mix_factor(now_parts: Sequence[Part], usual_parts: Sequence[Part]) -> float:
    """The cost of a call at today's model mix over the usual one, every model at its usual cost per call.

    A model that wasn't there before has no usual cost; it counts with today's.
    """
    now, usual = _by(now_parts, lambda p: p.model), _by(usual_parts, lambda p: p.model)
    calls, before = _total(now_parts).calls, _total(usual_parts)
    usual_cost = _per(before.cost_pico_usd, before.calls)
    mixed = 0.0
    for model, measures in now.items():
        known = usual.get(model)
        source = known if known is not None and known.calls else measures
        mixed += _per(measures.calls, calls) * _per(source.cost_pico_usd, source.calls)
    return mixed / usual_cost if usual_cost and mixed else 1.0


def _mix_phrase(now_parts: Sequence[Part], usual_parts: Sequence[Part]) -> str:
    """Names the model whose share of calls, weighted by what its call costs now, grew most."""
    now, usual = _by(now_parts, lambda p: p.model), _by(usual_parts, lambda p: p.model)
    calls, usual_calls = _total(now_parts).calls, _total(usual_parts).calls

    def shares(model: str) -> tuple[float, float]:
        return _per(usual.get(model, Measures()).calls, usual_calls), _per(now[model].calls, calls)

    def weight(model: str) -> float:
        before, after = shares(model)
        return (after - before) * _per(now[model].cost_pico_usd, now[model].calls)

    model = max(sorted(now), key=weight)
    before, after = shares(model)
    return f"{model} went from {share_text(before)} to {share_text(after)} of calls"


def _length_driver(factor: float, now: Measures, usual: Measures) -> Driver:
    prompt = (_per(usual.prompt_tokens, usual.calls), _per(now.prompt_tokens, now.calls))
    completion = (_per(usual.completion_tokens, usual.calls), _per(now.completion_tokens, now.calls))
    prompt_growth, completion_growth = prompt[1] - prompt[0], _COMPLETION_WEIGHT * (completion[1] - completion[0])
    if max(prompt_growth, completion_growth) <= 0:
        before, after = (usd_text(round(_per(of.cost_pico_usd, of.calls))) for of in (usual, now))
        return Driver("price", factor, f"a call costs {after} instead of {before}")
    if prompt_growth >= completion_growth:
        return Driver("prompt_length", factor, f"{_grew('prompts', count_text, *prompt)} tokens")
    return Driver("completion_length", factor, f"{_grew('completions', count_text, *completion)} tokens")


def _evidence(
    series: SeriesHour,
    excess: Excess,
    now_parts: Sequence[Part],
    usual_parts: Sequence[Part],
    drivers: Sequence[Driver],
) -> dict[str, object]:
    now, usual, windows = _total(now_parts), _total(usual_parts), excess.usual_windows
    return {
        "drivers": [
            {"name": driver.name, "factor": round(driver.factor, 2), "phrase": driver.phrase} for driver in drivers
        ],
        "usual_windows": round(windows, 4),
        "measured_seconds": excess.measured.total_seconds(),
        "calls": _pair(now.calls, _per(usual.calls, windows)),
        "prompt_tokens_per_call": _pair(_per(now.prompt_tokens, now.calls), _per(usual.prompt_tokens, usual.calls)),
        "completion_tokens_per_call": _pair(
            _per(now.completion_tokens, now.calls), _per(usual.completion_tokens, usual.calls)
        ),
        "retry_share": _pair(_retry_share(now), _retry_share(usual)),
        "cost_per_call_usd": {
            name: usd_string(round(_per(of.cost_pico_usd, of.calls))) for name, of in (("now", now), ("usual", usual))
        },
        "model_mix": _model_mix(now_parts, usual_parts),
        "contributors": _contributors(series, excess.said_usual_pico_usd, now_parts, usual_parts),
        **({} if excess.usual_hour_pico_usd is None else {"usual_hour_usd": usd_string(excess.usual_hour_pico_usd)}),
    }


def _pair(now: float, usual: float) -> dict[str, float]:
    return {"now": round(now, 4), "usual": round(usual, 4)}


def _model_mix(now_parts: Sequence[Part], usual_parts: Sequence[Part]) -> dict[str, dict[str, float]]:
    """Each model's share of the calls, now and usually."""
    now, usual = _by(now_parts, lambda p: p.model), _by(usual_parts, lambda p: p.model)
    calls, usual_calls = _total(now_parts).calls, _total(usual_parts).calls
    nothing = Measures()
    return {
        model: _pair(_per(now.get(model, nothing).calls, calls), _per(usual.get(model, nothing).calls, usual_calls))
        for model in sorted(now.keys() | usual.keys())
    }


def _contributors(
    series: SeriesHour, usual_pico_usd: int, now_parts: Sequence[Part], usual_parts: Sequence[Part]
) -> list[dict[str, object]]:
    """Those that grew most: agent and model of a feature, else feature and model. Share is of all that grew."""
    by_feature = series.dimension != "feature"
    named: Literal["feature", "agent_id"] = "feature" if by_feature else "agent_id"
    costs: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for index, parts in enumerate((now_parts, usual_parts)):
        for part in parts:
            costs[part.feature if by_feature else part.agent_id, part.model][index] += part.measures.cost_pico_usd
    # The usual hour may be a median: its parts are shares of it, so that they add up to the figure above them.
    whole = sum(before for _, before in costs.values())
    usual = {key: before * usual_pico_usd // whole if whole else 0 for key, (_, before) in costs.items()}
    growth = {key: cost - usual[key] for key, (cost, _) in costs.items()}
    grown = sum(amount for amount in growth.values() if amount > 0)
    ranked = sorted((key for key in growth if growth[key] > 0), key=lambda key: (-growth[key], key))
    return [
        {
            named: name,
            "model": model,
            "cost_usd": usd_string(costs[name, model][0]),
            "usual_usd": usd_string(usual[name, model]),
            "share_of_growth": round(growth[name, model] / grown, 4),
        }
        for name, model in ranked[:CONTRIBUTORS_MAX]
    ]
