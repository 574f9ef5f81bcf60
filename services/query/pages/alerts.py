"""What fired, who was told, and the rules, as rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from services.query.pages.formats import THIN, count, money, number_word, plural
from services.query.pages.forms import scope_words
from services.query.pages.sentences import Sentence, Words

SILENCES: Final = (("1", "for an hour"), ("24", "for a day"), ("168", "for a week"), ("0", "no longer"))
"""Hours, and how a form says them."""
_CHANNELS: Final = {"slack": "Slack", "webhook": "Webhook", "email": "E-mail"}
_PICO_PER_CENT: Final = 10**10
_REASON_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Told:
    """One message of an alert. `why` is the reason where it has not arrived."""

    channel: str
    state: str
    tone: str
    why: str


@dataclass(frozen=True, slots=True)
class Fired:
    title: str
    summary: str
    rule: str
    state: str
    tone: str
    fired_at: datetime
    told: tuple[Told, ...]


def fired_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[Fired, ...]:
    return tuple(
        Fired(
            row["title"],
            row["summary"],
            row["rule"],
            "test" if row["threshold"] == "test" else row["state"],
            "info" if row["threshold"] == "test" else "over" if row["state"] == "firing" else "ok",
            row["fired_at"],
            tuple(_told(one) for one in row["told"]),
        )
        for row in rows
    )


def _told(one: Mapping[str, Any]) -> Told:
    channel = _CHANNELS.get(one["channel"], one["channel"])
    if one["channel"] == "email" and "@" in one["target"]:
        channel = f"{channel} to {one['target']}"
    reason, tries = (one["reason"] or "")[:_REASON_LENGTH], one["attempts"]
    if one["state"] == "sent":
        return Told(channel, "sent", "ok", "")
    if one["state"] == "pending":
        tried = f"tried {count(tries)} {plural(tries, 'time')}: {reason}" if tries else ""
        return Told(channel, "trying again" if tries else "on its way", "warn" if tries else "info", tried)
    return Told(channel, one["state"], "over", reason or "no reason was given")


@dataclass(frozen=True, slots=True)
class Channel:
    """`why` is set where the last message did not arrive, `fault` then says what that means for the next."""

    name: str
    why: str
    fault: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    rule_id: str
    name: str
    kind: str
    whom: str
    threshold: str
    rank: str
    """The threshold as a number, to sort by."""
    frequency: str
    channels: tuple[Channel, ...]
    state: str
    tone: str
    silenced_until: datetime | None


def rule_rows(rows: Sequence[Mapping[str, Any]], now: datetime) -> tuple[RuleRow, ...]:
    return tuple(_rule(row, now) for row in rows)


def _rule(row: Mapping[str, Any], now: datetime) -> RuleRow:
    until: datetime | None = row["silenced_until"]
    is_silent = until is not None and until > now
    state, tone = ("active", "ok") if row["is_active"] else ("off", "info")
    if row["is_active"] and is_silent:
        state, tone = "silenced", "warn"
    set_up = (("slack", row["slack"]), ("webhook", row["webhook"]), ("email", row["emails"]))
    failing, parked = row["failing"], row["parked"]
    cents, percent = row["threshold_cents"], row["threshold_percent"]
    return RuleRow(
        rule_id=str(row["rule_id"]),
        name=row["name"],
        kind=row["alert_type"].replace("_", " "),
        whom=", ".join(part for part in (row["tenant_id"] or "all tenants", scope_words(row["scope"])) if part),
        threshold=money(cents * _PICO_PER_CENT) if cents else f"+{percent:g}{THIN}%" if percent else "",
        rank=str(cents or percent or ""),
        frequency=row["notification_frequency"],
        channels=tuple(
            Channel(
                _CHANNELS[name],
                (parked.get(name) or failing.get(name, ""))[:_REASON_LENGTH],
                "parked" if name in parked else "not reached" if name in failing else "",
            )
            for name, is_set in set_up
            if is_set
        ),
        state=state,
        tone=tone,
        silenced_until=until if is_silent else None,
    )


def alert_sentence(fired: Sequence[Mapping[str, Any]]) -> Sentence:
    real = [one for one in fired if one["threshold"] != "test"]
    firing = [one for one in real if one["state"] == "firing"]
    if not real:
        return (Words("No alert has fired yet."),)
    if not firing:
        return (Words("Nothing is firing. The last alert is resolved."),)
    number = f"{number_word(len(firing)).capitalize()} {plural(len(firing), 'alert')}"
    verb = "fires" if len(firing) == 1 else "fire"
    return (Words(number, "alarm"), Words(f" {verb}: {firing[0]['title']}."))
