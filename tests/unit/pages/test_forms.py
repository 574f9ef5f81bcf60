"""Forms, organisations and alerts as views, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from services.query.pages.alert_form import alert_body, alert_fields
from services.query.pages.alerts import Channel, fired_rows, rule_rows
from services.query.pages.budget_form import budget_change, budget_fields, new_budget
from services.query.pages.budgets import budget_rows, budget_sentence
from services.query.pages.figures import Item
from services.query.pages.forms import FormFault
from services.query.pages.links import PageState
from services.query.pages.orgs import least_pico_usd, org_rows
from services.query.pages.ranges import RangeError
from services.query.read.budgets import Budget, BudgetState
from tests.unit.pages.sample import USD, spent

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BUDGET = Budget(UUID(int=1), "acme-corp", {"agent_id": "dexter"}, "monthly", 12_500_000_000_000, [80, 100], NOW)
TYPED = {
    "name": "Team limit", "alert_type": "daily_limit", "threshold_usd": "$12.50", "notification_frequency": "once",
    "is_active": "on", "notification_emails": "a@example.com; b@example.com",
}  # fmt: skip


def faults(**typed: str) -> dict[str, str]:
    with pytest.raises(FormFault) as wrong:
        alert_body({**TYPED, **typed})
    return wrong.value.faults


def test_a_budget_goes_through_its_form_unchanged() -> None:
    fields = budget_fields(BUDGET)
    body = new_budget(fields)
    assert (body.tenant_id, body.scope, body.window) == ("acme-corp", {"agent_id": "dexter"}, "monthly")
    assert (body.limit_usd, body.thresholds) == (Decimal("12.5"), [80, 100])
    assert budget_change(fields).scope == body.scope


def test_every_wrong_field_of_a_budget_has_its_reason() -> None:
    with pytest.raises(FormFault) as wrong:
        new_budget({"tenant_id": "", "scope_kind": "user_id", "window": "hourly", "limit_usd": "-1", "thresholds": ""})
    assert set(wrong.value.faults) == {"tenant_id", "scope_value", "window", "limit_usd", "thresholds"}
    assert wrong.value.faults["limit_usd"] == "must be more than 0"


@pytest.mark.parametrize("kind", ["agent", "", "__proto__"])
def test_a_scope_is_of_a_known_kind_or_of_everything(kind: str) -> None:
    fields = {**budget_fields(BUDGET), "scope_kind": kind}
    if kind == "":
        assert new_budget(fields).scope == {}
        return
    with pytest.raises(FormFault) as wrong:
        new_budget(fields)
    assert set(wrong.value.faults) == {"scope_value"}


def test_dollars_typed_are_cents_kept_and_dollars_shown() -> None:
    body = alert_body(TYPED)
    assert (body.threshold_cents, body.notification_emails) == (1250, ["a@example.com", "b@example.com"])
    shown = {
        "name": body.name, "alertType": body.alert_type, "thresholdCents": 1250, "thresholdPercent": None,
        "organizationId": None, "scope": {}, "notificationEmails": body.notification_emails, "slackWebhook": None,
        "webhookUrl": None, "notificationFrequency": "once", "isActive": True,
    }  # fmt: skip
    assert alert_body(alert_fields(shown)) == body
    assert alert_fields(shown)["threshold_usd"] == "12.50"


@pytest.mark.parametrize(
    ("typed", "reason"),
    [("", "is needed for an alert of this kind"), ("much", "must be an amount in USD, like 250 or 12.50"),
     ("0", "must be more than 0"), ("NaN", "must be more than 0"), ("1.005", "has no parts of a cent"),
     ("9" * 30, "must be at most 1,000,000,000,000")],
)  # fmt: skip
def test_a_threshold_that_is_no_amount_says_why(typed: str, reason: str) -> None:
    assert faults(threshold_usd=typed) == {"threshold_usd": reason}


def test_a_spike_needs_its_percentage() -> None:
    assert faults(alert_type="cost_spike", threshold_usd="") == {
        "threshold_percent": "is needed for an alert of this kind"
    }
    assert alert_body({**TYPED, "alert_type": "cost_spike", "threshold_percent": "200"}).threshold_percent == 200


def test_all_wrong_fields_of_an_alert_are_said_at_once() -> None:
    found = faults(name="", threshold_usd="", webhook_url="no", notification_emails="x", notification_frequency="never")
    assert set(found) == {"name", "threshold_usd", "webhook_url", "notification_emails", "notification_frequency"}


def test_budgets_nearest_to_the_limit_come_first_and_are_named() -> None:
    def state(part: int) -> tuple[BudgetState, ZoneInfo]:
        spent_pico_usd = BUDGET.limit_pico_usd * part // 100
        return BudgetState(BUDGET, spent_pico_usd, NOW, NOW + timedelta(days=9), NOW), ZoneInfo("UTC")

    rows = budget_rows([state(10), state(120), state(80)])
    assert [(row.tone, row.meter <= 1) for row in rows] == [("over", True), ("warn", True), ("ok", True)]
    assert "".join(words.text for words in budget_sentence(rows)).startswith("Three budgets: acme-corp’s agent Dexter")
    assert rows[0].left == "$2.50 over" and rows[0].resets == "resets 1 Dec"
    assert budget_sentence(())[0].text == "No budget is set yet."


def told(**one: object) -> tuple[str, str, str]:
    message = {"channel": "slack", "target": "rule", "state": "sent", "attempts": 1, "reason": None, **one}
    row = {"title": "t", "summary": "s", "rule": "r", "state": "firing", "threshold": "100", "fired_at": NOW}
    (fired,) = fired_rows([{**row, "told": [message]}])
    return fired.told[0].channel, fired.told[0].state, fired.told[0].why


def test_the_history_says_what_became_of_each_message() -> None:
    assert told() == ("Slack", "sent", "")
    assert told(state="pending", attempts=0) == ("Slack", "on its way", "")
    assert told(state="pending", attempts=2, reason="HTTP 503") == ("Slack", "trying again", "tried 2 times: HTTP 503")
    assert told(state="parked", reason="HTTP 404: no_service") == ("Slack", "parked", "HTTP 404: no_service")
    assert told(channel="email", target="a@example.com", state="failed") == (
        "E-mail to a@example.com", "failed", "no reason was given",
    )  # fmt: skip


@pytest.mark.parametrize(("hours", "active", "state"), [(1, True, "silenced"), (-1, True, "active"), (1, False, "off")])
def test_a_rule_is_silent_until_its_time_is_over(hours: int, active: bool, state: str) -> None:
    row = {
        "rule_id": UUID(int=2), "name": "n", "alert_type": "cost_spike", "threshold_cents": None,
        "threshold_percent": Decimal(200), "tenant_id": None, "scope": {"feature": "chat"},
        "notification_frequency": "once", "is_active": active, "silenced_until": NOW + timedelta(hours=hours),
        "slack": True, "webhook": False, "emails": 0, "failing": {"slack": "HTTP 404"},
        "parked": {},
    }  # fmt: skip
    (rule,) = rule_rows([row], NOW)
    assert (rule.state, rule.whom, rule.threshold) == (state, "all tenants, feature chat", "+200\u202f%")
    assert rule.channels == (Channel("Slack", "HTTP 404", "not reached"),)
    (parked,) = rule_rows([{**row, "failing": {"slack": "parked: HTTP 410"}, "parked": {"slack": "HTTP 410"}}], NOW)
    assert parked.channels == (Channel("Slack", "HTTP 410", "parked"),)


def test_organisations_below_the_least_spend_are_left_out() -> None:
    items = (Item("acme-corp", spent(3)), Item("globex", spent(1)))
    rows = org_rows(items, spent(4), 2 * USD, {"acme-corp": "Acme"}, PageState("/orgs", "7d", None, filters=()))
    assert [(row.label, row.href, row.share) for row in rows] == [
        ("Acme", "/orgs/acme-corp?range=7d", Decimal("0.75"))
    ]  # fmt: skip


@pytest.mark.parametrize(("typed", "pico_usd"), [("", 0), ("0", 0), ("$2", 2 * USD), ("0.000069", 69_000_000)])
def test_the_least_spend_is_an_amount(typed: str, pico_usd: int) -> None:
    assert least_pico_usd(typed) == pico_usd


@pytest.mark.parametrize("typed", ["much", "-1", "NaN", "1e99"])
def test_a_least_spend_that_is_no_amount_is_refused(typed: str) -> None:
    with pytest.raises(RangeError, match="min is an amount in USD"):
        least_pico_usd(typed)
