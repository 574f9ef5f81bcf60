"""What a spike is blamed on, one cause at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from services.processor.spike_baselines import Usual
from services.processor.spike_causes import Explanation, Part, explain
from services.processor.spike_fast import Jump, fast_excess
from services.processor.spikes import Excess, HourTotals, Measures, SeriesHour

NOON = datetime(2026, 10, 7, 12, tzinfo=UTC)
CHAT = SeriesHour(1, "feature", "chat", NOON)
# Pico-USD a token: $2.50 and $10.00 per million.
PROMPT, COMPLETION = 2_500_000, 10_000_000
HOURS = 24
BASIS = tuple(NOON - timedelta(hours=age) for age in range(1, HOURS + 1))


def part(
    calls: int, prompt: int, completion: int, model: str = "gpt-4o", agent: str = "helper", feature: str = "chat",
    requests: int | None = None, price: int = 1,
) -> Part:  # fmt: skip
    cost = calls * (prompt * PROMPT + completion * COMPLETION) * price
    requests = calls if requests is None else requests
    return Part(feature, agent, model, Measures(cost, calls, requests, calls * prompt, calls * completion))


def explained(now: list[Part], usual_hour: list[Part], series: SeriesHour = CHAT) -> Explanation:
    """`usual_hour` happened in each of the hours of the basis."""
    usual = [usual_hour_part for usual_hour_part in usual_hour for _ in range(HOURS)]
    observed = sum((p.measures for p in now), Measures())
    before = sum((p.measures for p in usual_hour), Measures())
    basis = tuple(NOON - timedelta(hours=age) for age in range(1, HOURS + 1))
    excess = Excess(HourTotals(NOON, observed), before.cost_pico_usd, basis)
    return explain(series, "acme-corp", excess, now, usual)


def test_grown_prompts_are_named_with_their_tokens() -> None:
    # 900 x 2.5 + 20 x 10 = 2,450 and 3,700 x 2.5 + 20 x 10 = 9,450 micro-USD a call: 3.86 times.
    result = explained([part(120, 3_700, 20)], [part(120, 900, 20)])
    assert result.cause == "chat at acme-corp costs 3.9 × its usual hour: prompts grew from 900 to 3,700 tokens."
    assert [driver.name for driver in result.drivers] == ["prompt_length"]


def test_grown_volume_is_named_with_calls_an_hour() -> None:
    result = explained([part(480, 900, 200)], [part(120, 900, 200)])
    assert result.cause == "chat at acme-corp costs 4.0 × its usual hour: calls grew from 120 to 480."


def test_grown_completions_are_named() -> None:
    result = explained([part(120, 900, 1_500)], [part(120, 900, 200)])
    assert result.cause.endswith(": completions grew from 200 to 1,500 tokens.")


def test_a_dearer_model_is_named_with_its_share() -> None:
    usual = [part(90, 900, 200, model="small"), part(30, 900, 200, model="large", price=20)]
    now = [part(10, 900, 200, model="small"), part(110, 900, 200, model="large", price=20)]
    assert explained(now, usual).cause.endswith(": large went from 25 % to 91.7 % of calls.")


def test_a_retry_storm_is_named_with_its_share() -> None:
    result = explained([part(400, 900, 200, requests=100)], [part(102, 900, 200, requests=100)])
    assert result.cause == "chat at acme-corp costs 3.9 × its usual hour: retries grew from 2 % to 75 % of calls."


def test_a_dearer_call_of_the_same_length_is_named_with_its_cost() -> None:
    result = explained([part(120, 900, 200, price=4)], [part(120, 900, 200)])
    assert result.cause.endswith(": a call costs $0.017 instead of $0.00425.")


def test_two_causes_are_both_named_the_larger_first() -> None:
    result = explained([part(240, 3_700, 20)], [part(120, 900, 20)])
    assert result.cause.endswith(": prompts grew from 900 to 3,700 tokens and calls grew from 120 to 240.")


def test_the_factors_multiply_to_the_whole_growth() -> None:
    usual = [part(90, 900, 200, model="small"), part(30, 900, 200, model="large", price=20)]
    now = [part(100, 1_800, 300, model="small", requests=60), part(110, 1_700, 300, model="large", price=20)]
    result = explained(now, usual)
    product = 1.0
    for driver in result.drivers:
        product *= driver.factor
    grown = sum(p.measures.cost_pico_usd for p in now) / sum(p.measures.cost_pico_usd for p in usual)
    assert abs(product / grown - 1) < 0.25  # factors under 1.2 are left out


def test_contributors_are_those_that_grew_most() -> None:
    now = [part(100, 3_700, 20, agent="dexter"), part(20, 900, 20, agent="helper"), part(50, 900, 20, agent="new")]
    result = explained(now, [part(100, 900, 20, agent="dexter"), part(20, 900, 20, agent="helper")])
    contributors = cast("list[dict[str, Any]]", result.evidence["contributors"])
    assert [c["agent_id"] for c in contributors] == ["dexter", "new"]
    assert contributors[0]["cost_usd"] == "0.945" and contributors[0]["usual_usd"] == "0.245"
    # dexter grew by $0.70, new by $0.1225.
    assert contributors[0]["share_of_growth"] == round(0.70 / 0.8225, 4)


def test_contributors_add_up_to_the_usual_hour_also_where_it_is_a_median() -> None:
    now = [part(100, 3_700, 20, agent="dexter"), part(20, 3_700, 20, agent="helper")]
    before = [part(90, 900, 20, agent="dexter"), part(10, 900, 20, agent="helper")]
    observed = sum((p.measures for p in now), Measures())
    basis = tuple(NOON - timedelta(days=age) for age in (1, 2, 3))
    excess = Excess(HourTotals(NOON, observed), 200_000_000_000, basis)
    evidence = explain(CHAT, "acme-corp", excess, now, [*before, *before, *before]).evidence
    contributors = cast("list[dict[str, Any]]", evidence["contributors"])
    assert [c["usual_usd"] for c in contributors] == ["0.18", "0.02"]


def test_a_tenants_contributors_are_features() -> None:
    whole = SeriesHour(1, "tenant_id", "", NOON)
    result = explained([part(100, 3_700, 20), part(9, 900, 20, feature="")], [part(100, 900, 20)], whole)
    assert result.cause.startswith("acme-corp costs ")
    contributors = cast("list[dict[str, Any]]", result.evidence["contributors"])
    assert [c["feature"] for c in contributors] == ["chat", ""]


def test_a_series_that_was_free_is_said_to_be() -> None:
    free = Part("chat", "helper", "llama3", Measures(0, 100, 100, 90_000, 20_000))
    cause = explained([part(120, 900, 200)], [free]).cause
    assert cause.startswith("chat at acme-corp costs $0.51 this hour and usually nothing")


def test_the_evidence_holds_the_figures_now_and_usually() -> None:
    evidence = explained([part(120, 3_700, 20)], [part(100, 900, 20)]).evidence
    assert evidence["calls"] == {"now": 120, "usual": 100.0}
    assert evidence["prompt_tokens_per_call"] == {"now": 3_700.0, "usual": 900.0}
    assert evidence["completion_tokens_per_call"] == {"now": 20.0, "usual": 20.0}
    assert evidence["retry_share"] == {"now": 0.0, "usual": 0.0}
    assert evidence["model_mix"] == {"gpt-4o": {"now": 1.0, "usual": 1.0}}
    assert evidence["usual_windows"] == HOURS


def test_seconds_that_cost_more_than_a_usual_hour_are_held_against_it() -> None:
    """20 calls an hour at 900 tokens; 20 calls in 24 seconds at 9,000."""
    usual = Usual(cost_pico_usd=20 * 900 * PROMPT, calls=20.0, spread=0.4, kind="day", basis=BASIS)
    jump = Jump(NOON, 24.0, part(20, 9_000, 0).measures, round(usual.cost_pico_usd * 24 / 3_600))
    excess = fast_excess(jump, [], usual)
    assert excess is not None and excess.usual_pico_usd == jump.usual_pico_usd
    result = explain(CHAT, "acme-corp", excess, [part(20, 9_000, 0)], [part(20, 900, 0)] * HOURS)
    assert result.cause == (
        "chat at acme-corp costs $0.45 in 24 s, 10 × its usual hour: prompts grew from 900 to 9,000 tokens."
    )
    assert result.evidence["calls"] == {"now": 20, "usual": 20.0} and result.evidence["usual_hour_usd"] == "0.045"
