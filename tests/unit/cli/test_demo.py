from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from pricing.book import load_book
from pricing.kernel import price_event
from services.cli.demo import Played
from services.cli.demo_globex import FEATURES, HISTORY, TENANT_ID, events_of_hour, hours
from services.cli.demo_ids import uuid7_of
from services.cli.demo_story import BURST_SECONDS, burst, small_tenants
from services.cli.events_csv import Event
from services.cli.slack_page import page
from services.cli.times import parse_instant
from services.contracts.admission import admit
from services.contracts.json_event import decode_event
from services.processor.spike_hourly import evaluate
from services.processor.spikes import HourTotals, Measures

BASE = datetime(2026, 11, 22, 14, 35, tzinfo=UTC)
HOUR = BASE.replace(minute=0)


def test_acme_has_eight_runs_of_one_equal_call_that_can_be_checked_by_head() -> None:
    acme = [event for event in small_tenants(BASE) if event["tenant_id"] == "acme-corp"]
    assert Counter(event["customer_id"] for event in acme) == {"alice": 4, "charlie": 3, "diana": 1}
    assert len({event["run_id"] for event in acme}) == 8
    assert {(event["provider"], event["model"], event["agent_id"]) for event in acme} == {
        ("openai", "gpt-4o-mini", "research_assistant")
    }
    costs = {
        event["usage"]["input_uncached"] * Decimal("0.15") / 10**6
        + event["usage"]["output_text"] * Decimal("0.60") / 10**6
        for event in acme
    }
    assert costs == {Decimal("0.000069")}


def test_bigco_has_three_runs_for_bob_and_sarah() -> None:
    customers = [event["customer_id"] for event in small_tenants(BASE) if event["tenant_id"] == "bigco-inc"]
    assert Counter(customers) == {"bob": 2, "sarah": 1}


def test_the_small_tenants_spent_within_the_last_24_hours() -> None:
    times = [parse_instant(event["occurred_at"]) for event in small_tenants(BASE)]
    assert BASE - timedelta(hours=24) < min(times) and max(times) < BASE


def test_every_event_of_the_demo_is_acceptable_and_has_an_id_of_its_own() -> None:
    events = [
        *small_tenants(BASE),
        *(event for _, event in burst(BASE)),
        *(event for _, event in events_of_hour(HOUR, BASE)),
    ]
    assert [reason for event in events if (reason := admit(decode_event(event)))] == []
    assert len({event["event_id"] for event in events}) == len(events)


def test_an_hour_of_globex_is_the_same_whenever_it_is_asked_for() -> None:
    assert events_of_hour(HOUR, BASE) == events_of_hour(HOUR, BASE)
    assert all(HOUR <= at < HOUR + timedelta(hours=2) for at, _ in events_of_hour(HOUR, BASE))


def test_globex_has_retries_caches_channels_and_several_providers() -> None:
    day = [event for hour in hours(BASE - timedelta(days=1), BASE) for _, event in events_of_hour(hour, BASE)]
    assert {event["feature"] for event in day} == {feature.name for feature in FEATURES}
    assert {"slack", "whatsapp", "api"} <= {event["channel"] for event in day}
    assert any(event["attempt"] == 2 for event in day) and any(event.get("cache_hit") for event in day)
    assert {"openai", "anthropic", "google", "pinecone", "ollama"} <= {event["provider"] for event in day}
    assert {event["tenant_id"] for event in day} == {TENANT_ID}


def test_the_retry_of_a_call_belongs_to_the_same_request() -> None:
    events = [event for _, event in events_of_hour(HOUR, BASE)]
    retries = [event for event in events if event["attempt"] == 2]
    firsts = {event["request_id"]: event for event in events if event["attempt"] == 1}
    assert retries
    for retry in retries:
        assert retry["section_path"] == firsts[retry["request_id"]]["section_path"] + "/retry:1"


@pytest.mark.parametrize("start", [BASE, BASE + timedelta(hours=12), BASE + timedelta(days=3, minutes=24)])
def test_the_growing_prompts_are_a_spike_within_a_minute_at_any_time_of_the_week(start: datetime) -> None:
    calls = [timed for timed in burst(start) if timed[0] < start + timedelta(seconds=50)]
    # Even when its hour has just begun and nothing else came in it.
    hour = HourTotals(start.replace(minute=0), _measures(event for _, event in calls))
    past = [
        HourTotals(
            each, _measures(event for _, event in events_of_hour(each, start) if event["feature"] == "summarise")
        )
        for each in hours(start - timedelta(days=7), start - timedelta(hours=1))
    ]
    assert evaluate(hour, past) is not None
    assert evaluate(past[-1], past[:-1]) is None
    assert calls[-1][0] - calls[0][0] < timedelta(seconds=BURST_SECONDS)


def test_growing_prompts_that_straddle_the_full_hour_are_a_spike_of_one_of_the_two_hours() -> None:
    for seconds in range(0, 60, 5):
        start = HOUR + timedelta(hours=1) - timedelta(seconds=seconds)
        calls = list(burst(start))
        found = []
        for hour in (HOUR, HOUR + timedelta(hours=1)):
            mine = [event for at, event in calls if at.replace(minute=0, second=0, microsecond=0) == hour]
            past = [
                HourTotals(each, _measures(e for _, e in events_of_hour(each, start) if e["feature"] == "summarise"))
                for each in hours(hour - timedelta(days=7), hour - timedelta(hours=1))
            ]
            found.append(evaluate(HourTotals(hour, _measures(mine)), past) is not None)
        assert any(found), seconds


def _measures(events: Iterable[Event]) -> Measures:
    """What calls of gpt-4o used, at 2.50 and 10.00 USD per million tokens."""
    used = [event["usage"] for event in events]
    prompt_tokens = sum(usage.get("input_uncached", 0) for usage in used)
    completion_tokens = sum(usage.get("output_text", 0) for usage in used)
    cost_pico_usd = prompt_tokens * 2_500_000 + completion_tokens * 10_000_000
    return Measures(cost_pico_usd, len(used), len(used), prompt_tokens, completion_tokens)


def test_the_history_is_large_enough_to_be_worth_looking_at_and_small_enough_to_load_in_seconds() -> None:
    sample = list(hours(BASE - HISTORY, BASE))[::5]
    assert 30_000 <= 5 * sum(len(events_of_hour(hour, BASE)) for hour in sample) <= 60_000


def test_globex_goes_on_as_busy_as_it_was_when_the_demo_began() -> None:
    before, after = (len(events_of_hour(BASE.replace(minute=0) + days, BASE)) for days in (timedelta(0), timedelta(7)))
    assert 0.6 < after / before < 1.6


def test_an_id_of_the_demo_is_a_uuid7_of_its_time() -> None:
    at = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    # The time bits are those of RFC 9562's own example (appendix A.6).
    assert uuid7_of(at, "x").startswith("017f22e2-79b0-7")
    assert uuid7_of(at, "x")[19] in "89ab"
    assert uuid7_of(at, "x") == uuid7_of(at, "x") != uuid7_of(at, "y")


def test_how_far_the_demo_is_survives_a_restart(tmp_path: Path) -> None:
    assert Played.load(tmp_path / "demo.json") is None
    Played("2026-11-22T14:35:00.000000Z", through="x").save(tmp_path / "demo.json")
    assert Played.load(tmp_path / "demo.json") == Played("2026-11-22T14:35:00.000000Z", through="x")


def test_the_receivers_page_shows_a_messages_blocks_and_escapes_them() -> None:
    payload = {
        "text": "short",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "Spike <b>"}},
            {"type": "section", "fields": [{"type": "mrkdwn", "text": "*usual* 1"}]},
        ],
    }
    shown = page([{"received_at": "now", "payload": payload}])
    assert "Spike &lt;b&gt;" in shown
    assert "Spike <b>" not in shown
    assert "<b>usual</b> 1" in shown


def test_one_model_of_the_demo_has_no_price_so_that_the_page_of_prices_shows_what_that_looks_like() -> None:
    book, unpriced = load_book(), set()
    for _, event in (pair for hour in hours(BASE - timedelta(days=2), BASE) for pair in events_of_hour(hour, BASE)):
        usage = {name: count for name, count in event["usage"].items() if name != "units"}
        priced = price_event(
            book, usage, provider=event["provider"], model=event["model"], units=event["usage"].get("units"),
            occurred_at_us=int(parse_instant(event["occurred_at"]).timestamp()) * 1_000_000,
        )  # fmt: skip
        if priced.cost_pico_usd is None:
            unpriced.add((event["provider"], event["model"]))
    assert unpriced == {("self-hosted", "invoice-reader-7b")}
