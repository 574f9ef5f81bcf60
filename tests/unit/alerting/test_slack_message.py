"""The Slack message: within Slack's limits, and nobody's name can become markup."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from services.alerting.notice import Notice, notice
from services.alerting.slack_message import slack_payload
from tests.unit.alerting.samples import NOW, SPIKE, spike_firing

PUBLIC = "https://spend.example"


def texts(value: object) -> list[str]:
    """Every `text` that Slack reads as markdown."""
    if isinstance(value, dict):
        own = [value["text"]] if value.get("type") == "mrkdwn" else []
        return own + [text for item in value.values() for text in texts(item)]
    return [text for item in value for text in texts(item)] if isinstance(value, list) else []


def hostile(name: str) -> dict[str, Any]:
    spike = replace(
        SPIKE,
        value=name,
        cause=f"{name} at acme-corp costs 3.9 × its usual hour.",
        evidence={**SPIKE.evidence, "contributors": [{**SPIKE.evidence["contributors"][0], "agent_id": name}]},
    )
    firing = spike_firing(value=spike.value, cause=spike.cause, evidence=spike.evidence)
    return slack_payload(notice(firing, [], PUBLIC, NOW))


@pytest.mark.parametrize(
    "name", ["<!channel>", "<!here|here>", "<@U123>", "<#C123>", "<https://evil.example|click>", "a&b"]
)
def test_angle_brackets_and_ampersands_are_escaped_wherever_slack_reads_markdown(name: str) -> None:
    payload = hostile(name)
    escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert escaped in payload["text"]
    for text in [payload["text"], *texts(payload["blocks"])]:
        assert name not in text
    assert any(escaped in text for text in texts(payload["blocks"]))


@pytest.mark.parametrize("name", ["@channel", "@here", "@everyone", "@CHANNEL"])
def test_nobody_is_mentioned_by_a_name(name: str) -> None:
    assert name.lower() not in json.dumps(hostile(name)["blocks"][:4], ensure_ascii=False).lower()
    assert name.lower() not in hostile(name)["text"].lower()


def test_markdown_in_a_name_stays_text() -> None:
    payload = hostile("*bold* `code` _it_ :boom:\nnext")
    title, cause, _figures, contributors = payload["blocks"][:4]
    assert title["text"]["type"] == cause["text"]["type"] == "plain_text"
    assert "`*bold* ˋcodeˋ _it_ :boom: next`" in contributors["text"]["text"]
    assert not title["text"]["emoji"]


def test_slacks_limits_are_kept_with_the_longest_names() -> None:
    payload = hostile("<" * 200)
    assert len(payload["blocks"]) <= 50
    title, cause, figures, contributors, actions = payload["blocks"]
    assert len(title["text"]["text"]) <= 150
    assert len(cause["text"]["text"]) <= 3_000
    assert len(figures["fields"]) <= 10 and all(len(field["text"]) <= 2_000 for field in figures["fields"])
    assert len(contributors["text"]["text"]) <= 3_000
    assert all(len(button["url"]) <= 3_000 for button in actions["elements"])


def test_words_that_are_too_long_are_cut() -> None:
    title, cause = slack_payload(Notice("t" * 999, "c", "x" * 9_999, (), (), PUBLIC, {}))["blocks"][:2]
    assert len(title["text"]["text"]) == 150 and len(cause["text"]["text"]) == 3_000


def test_a_link_too_long_for_a_button_is_left_out() -> None:
    words = Notice("t", "c", "c", (), (), "https://spend.example/?" + "x" * 3_000, {})
    assert [block["type"] for block in slack_payload(words)["blocks"]] == ["header", "section"]
