"""What becomes an alert, and what is dropped where and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from services.alerting.firings import spike_firings
from services.alerting.rules import AlertKey, Firing
from services.alerting.stages import PIPELINE, Situation, decide
from tests.unit.alerting.samples import LIMIT_RULE, NOON, NOW, SPEND, SPIKE, SPIKE_RULE, USD, limit, spike_firing


def dropped_by(firing: Firing, *others: Firing, known: frozenset[AlertKey] = frozenset()) -> str | None:
    dropped = decide(firing, Situation((firing, *others), known))
    return None if dropped is None else dropped[0].name


def test_the_stages_stand_in_order() -> None:
    assert [stage.name for stage in PIPELINE] == ["match", "inhibit", "silence", "dedupe", "cool_down"]


def test_a_spike_of_three_times_passes_a_rule_of_two_hundred_per_cent() -> None:
    assert dropped_by(spike_firing()) is None
    assert dropped_by(spike_firing(observed_pico_usd=3 * USD, current_pico_usd=3 * USD, usual_pico_usd=USD)) is None


def test_a_stricter_rule_waits_until_the_hour_has_grown_to_it() -> None:
    strict = replace(SPIKE_RULE, threshold_percent=Decimal(400))
    assert dropped_by(spike_firing(strict)) == "match"
    assert dropped_by(spike_firing(strict, current_pico_usd=5 * SPIKE.usual_pico_usd)) is None


def test_a_limit_passes_from_its_threshold_on() -> None:
    assert dropped_by(limit()) is None
    assert dropped_by(limit(spend=replace(SPEND, spent_pico_usd=100 * USD))) is None
    assert dropped_by(limit(spend=replace(SPEND, spent_pico_usd=100 * USD - 1))) == "match"


def test_a_tenants_spike_gives_way_to_its_features_spike() -> None:
    whole = spike_firing(spike_id=UUID(int=9), dimension="tenant_id", value="acme-corp")
    assert dropped_by(whole) is None
    assert dropped_by(whole, spike_firing()) == "inhibit"
    assert dropped_by(whole, spike_firing(tenant_id="bigco-inc")) is None
    assert dropped_by(whole, spike_firing(window_start=NOON - timedelta(hours=1))) is None
    assert dropped_by(spike_firing(), whole) is None


def test_what_was_told_first_keeps_its_coarser_and_finer_views_quiet_unless_they_say_more() -> None:
    agent = spike_firing(spike_id=UUID(int=8), dimension="agent_id", value="helper")
    assert dropped_by(agent, spike_firing()) == "inhibit"
    assert dropped_by(spike_firing(), agent) is None
    assert dropped_by(spike_firing(), agent, known=frozenset({agent.key})) == "inhibit"
    larger = spike_firing(observed_pico_usd=20 * USD, current_pico_usd=20 * USD)
    assert dropped_by(larger, agent, known=frozenset({agent.key})) is None


def test_hours_in_a_row_are_one_incident_for_a_rule_that_tells_once() -> None:
    after = spike_firing(window_start=NOON + timedelta(hours=1), window_end=NOON + timedelta(hours=2))

    def dropped(firing: Firing, until: datetime) -> str | None:
        key = (firing.rule.rule_id, firing.series, firing.threshold)
        found = decide(firing, Situation((firing,), frozenset(), {key: until}))
        return found[0].name if found else None

    assert dropped(after, NOON + timedelta(hours=1)) == "cool_down"
    assert dropped(after, NOON) is None
    every = spike_firing(replace(SPIKE_RULE, frequency="every"), window_start=NOON + timedelta(hours=1))
    assert dropped(every, NOON + timedelta(hours=1)) is None


def test_a_silenced_spike_is_never_told_and_a_limit_after_the_silence() -> None:
    until = NOW + timedelta(hours=1)
    assert dropped_by(spike_firing(replace(SPIKE_RULE, silenced_until=until))) == "silence"
    assert dropped_by(limit(replace(LIMIT_RULE, silenced_until=until))) == "silence"
    assert dropped_by(limit(replace(LIMIT_RULE, silenced_until=until), now=until)) is None


def test_what_is_known_is_not_told_again() -> None:
    firing = spike_firing()
    assert dropped_by(firing, known=frozenset({firing.key})) == "dedupe"


def test_two_tenants_and_two_thresholds_are_alerts_of_their_own() -> None:
    keys = {
        spike_firing().key,
        spike_firing(tenant_id="bigco-inc").key,
        spike_firing(dimension="tenant_id", value="acme-corp").key,
        limit().key,
        limit(replace(LIMIT_RULE, threshold_cents=5_000)).key,
    }
    assert len(keys) == 5


def test_a_rule_sees_its_own_tenant_and_scope_and_nothing_from_before_it_was_made() -> None:
    def seen(**changes: object) -> int:
        return len(list(spike_firings([replace(SPIKE_RULE, **changes)], [SPIKE])))  # type: ignore[arg-type]

    assert seen() == 1
    assert seen(tenant_id="acme-corp") == 1 and seen(tenant_id="bigco-inc") == 0
    assert seen(scope={"feature": "chat"}) == 1 and seen(scope={"feature": "search"}) == 0
    assert seen(created_at=NOW + timedelta(seconds=1)) == 0
    assert seen(alert_type="anomaly") == 0


def test_a_daily_spike_rule_tells_a_series_once_a_local_day() -> None:
    daily = replace(SPIKE_RULE, frequency="daily")
    first, second = spike_firing(daily), spike_firing(daily, window_start=NOON + timedelta(hours=3))
    assert first.key == second.key
    # In Kiritimati (UTC+14) the 8th has begun at 10:00 UTC on the 7th.
    kiritimati = [spike_firing(daily, tz="Pacific/Kiritimati", window_start=NOON - timedelta(hours=h)) for h in (0, 3)]
    assert kiritimati[0].key != kiritimati[1].key
