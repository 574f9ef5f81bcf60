"""Alert rules as they come in."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from services.query.api.alert_bodies import AlertBody, masked

GOOD: dict[str, Any] = {"name": "Day", "alertType": "daily_limit", "thresholdCents": 100}


def test_a_plain_limit_is_taken() -> None:
    assert AlertBody.model_validate(GOOD).threshold_cents == 100


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a\x00b"},
        {"alertType": "yearly_limit"},
        {"thresholdCents": -1},
        {"thresholdCents": 0},
        {"thresholdCents": 1.5},
        {"thresholdCents": True},
        {"thresholdCents": 10**30},
        {"thresholdCents": None},
        {"alertType": "cost_spike"},
        {"alertType": "cost_spike", "thresholdPercent": "NaN"},
        {"alertType": "cost_spike", "thresholdPercent": float("inf")},
        {"notificationEmails": ["nobody"]},
        {"notificationEmails": ["a@example.com\r\nBcc: b@example.com"]},
        {"notificationEmails": "a@example.com"},
        {"slackWebhook": "file:///etc/passwd"},
        {"webhookUrl": "https://example.com:99999/"},
        {"webhookUrl": "https://exa mple.com/"},
        {"notificationFrequency": "often"},
        {"scope": {"color": "red"}},
        {"scope": {"agent_id": "a", "user_id": "b"}},
        {"silencedUntil": "2026-10-01T00:00:00"},
        {"isActive": "perhaps"},
        {"unknown": 1},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AlertBody.model_validate({**GOOD, **wrong})


def test_a_webhook_is_shown_without_its_secret() -> None:
    assert masked("https://hooks.slack.com/services/T0/B0/secret") == "https://hooks.slack.com/…"
    assert masked(None) is None
