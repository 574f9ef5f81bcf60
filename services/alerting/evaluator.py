"""One round of watching: read rules and what was spent in one snapshot, run the stages, record what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from services.alerting import metrics
from services.alerting.alert_store import (
    Connection,
    Outgoing,
    read_known,
    read_rules,
    read_spikes,
    record,
    resolve_ended,
)
from services.alerting.firings import limit_firing, limit_type, spike_firings
from services.alerting.mail_message import mail_payload
from services.alerting.notice import Contribution, Notice, notice
from services.alerting.rules import Firing, LimitSpend, Rule
from services.alerting.slack_message import slack_payload
from services.alerting.spend_store import contributions, limit_spend
from services.alerting.stages import Situation, decide
from services.alerting.webhook_message import webhook_payload
from services.alerting.windows import window

# The detector speaks from three times the usual hour on.
_DETECTED = 200
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Telling:
    """How alerts are told: where links lead, and whether there is a Slack channel for rules without one."""

    public_url: str
    has_default_slack: bool


def evaluate_spikes(connection: Connection, now: datetime, telling: Telling) -> int:
    """New alerts from spikes; how many. `connection` must not be inside a transaction."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        rules = read_rules(connection)
        # A rule stricter than the detector's own must see how far the hour has grown since it was detected.
        grown = any(rule.alert_type == "cost_spike" and (rule.threshold_percent or 0) > _DETECTED for rule in rules)
        firings = list(spike_firings(rules, read_spikes(connection, now, grown=grown)))
        known = read_known(connection, firings)
    return _pass_on(connection, firings, known, now, telling)


def evaluate_limits(connection: Connection, now: datetime, telling: Telling) -> int:
    """New alerts from limits; how many. Also ends alerts whose window is over."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        firings = [
            limit_firing(rule, spend, now)
            for rule in read_rules(connection)
            if (spend := _spend(connection, rule, now)) is not None
        ]
        known = read_known(connection, firings)
    told = _pass_on(connection, firings, known, now, telling)
    resolve_ended(connection, now)
    return told


def _spend(connection: Connection, rule: Rule, now: datetime) -> LimitSpend | None:
    limit = limit_type(rule)
    if limit is None:
        return None
    try:
        start, end = window(limit, now, rule.tz)
        return limit_spend(connection, rule, start, end)
    except (ValueError, LookupError) as error:  # one rule that can't be read must not stop the others
        log.warning("rule_not_readable", rule_id=str(rule.rule_id), reason=str(error))
        return None


def _pass_on(
    connection: Connection,
    firings: Sequence[Firing],
    known: frozenset[tuple[object, ...]],
    now: datetime,
    telling: Telling,
) -> int:
    situation = Situation(firings, known)  # type: ignore[arg-type]
    told = 0
    for firing in firings:
        dropped = decide(firing, situation)
        if dropped is not None:
            metrics.ALERTS_DROPPED.labels(dropped[0].name).inc()
            continue
        try:
            told += _tell(connection, firing, now, telling)
        except (LookupError, ValueError, TypeError, ArithmeticError):
            # One alert that can't be put into words must not stop the others; it is tried again every round.
            metrics.FAILURES.labels("tell").inc()
            log.exception("alert_not_told", rule_id=str(firing.rule.rule_id), series=firing.series)
    return told


def _tell(connection: Connection, firing: Firing, now: datetime, telling: Telling) -> bool:
    parts: list[Contribution] = []
    if isinstance(firing.cause, LimitSpend):
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            parts = contributions(connection, firing.rule, firing.cause.window_start, firing.cause.window_end)
    words = notice(firing, parts, telling.public_url, now)
    payload = {**webhook_payload(words, now)["data"], "contributors": _contributors(words)}
    alert_id = record(
        connection, firing, (words.title, words.cause), payload, outgoing(firing.rule, words, now, telling), now
    )
    if alert_id is None:
        return False
    metrics.ALERTS_FIRED.labels(firing.rule.alert_type).inc()
    log.info("alert_fired", alert_id=str(alert_id), alert_type=firing.rule.alert_type, series=firing.series)
    return True


def outgoing(rule: Rule, words: Notice, now: datetime, telling: Telling) -> list[Outgoing]:
    """What is sent, by channel: the rule's own channels, else the default one."""
    found: list[Outgoing] = []
    if rule.has_slack:
        found.append(Outgoing("slack", "rule", slack_payload(words)))
    if rule.has_webhook:
        found.append(Outgoing("webhook", "rule", webhook_payload(words, now)))
    found += [Outgoing("email", address, mail_payload(words)) for address in rule.emails]
    if not found and telling.has_default_slack:
        found.append(Outgoing("slack", "default", slack_payload(words)))
    return found


def _contributors(words: Notice) -> list[dict[str, object]]:
    return [{"names": list(one.names), "text": one.text} for one in words.contributors]
