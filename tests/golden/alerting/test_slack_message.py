"""Whole Slack messages, as they are sent. Look at them with `python -m services.cli.slack_receiver`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from services.alerting.notice import Contribution, notice
from services.alerting.rules import Firing
from services.alerting.slack_message import slack_payload
from tests.unit.alerting.samples import LIMIT_RULE, NOW, USD, limit, spike_firing

GOLDEN = Path(__file__).parent
TOP = [Contribution("globex", 70 * USD), Contribution("acme-corp", 34 * USD), Contribution("bigco-inc", USD // 5)]

CASES: dict[str, tuple[Firing, list[Contribution]]] = {
    "feature_spike": (spike_firing(tz="Europe/Berlin"), []),
    "tenant_free_before": (spike_firing(dimension="tenant_id", value="acme-corp", usual_pico_usd=0), []),
    "daily_limit_all": (limit(), TOP),
    "monthly_limit_feature": (
        limit(
            replace(
                LIMIT_RULE, name="Chat", alert_type="monthly_limit", tenant_id="acme-corp", scope={"feature": "chat"}
            )
        ),
        [Contribution("gpt-4o", 100 * USD)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_message_is_as_reviewed(name: str) -> None:
    firing, contributions = CASES[name]
    payload = slack_payload(notice(firing, contributions, "https://spend.example/", NOW))
    file = GOLDEN / f"slack_{name}.json"
    assert payload == json.loads(file.read_text()), f"if the change is wanted, write {file.name} anew and read it"
