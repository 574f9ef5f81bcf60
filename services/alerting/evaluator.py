"""One round of watching: read rules and what was spent in one snapshot, run the stages, record what is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from services.alerting import metrics
from services.alerting.alert_store import (
    Connection,
    Outgoing,
    Told,
    go_on,
    read_going_on,
    read_known,
    read_rules,
    read_spikes,
    read_told,
    record,
    resolve,
    resolve_ended,
)
from services.alerting.firings import budget_firings, limit_firing, limit_type, spike_firings, trouble_firing
from services.alerting.mail_message import mail_payload
from services.alerting.notice import Contribution, Notice, notice, resolved_notice
from services.alerting.rules import TROUBLE_TYPES, BudgetSpend, Firing, LimitSpend, Rule, SpikeRow
from services.alerting.slack_message import slack_payload
from services.alerting.spend_store import contributions, limit_spend
from services.alerting.stages import Situation, decide
from services.alerting.troubles import lag, over, refused_book, silence, unpriced_trouble
from services.alerting.watch_store import (
    BudgetRow,
    ensure_book_rule,
    read_budgets,
    read_data_through,
    read_last_calls,
    read_refused_book,
    read_unpriced,
)
from services.alerting.webhook_message import webhook_payload
from services.alerting.windows import BUDGET_WINDOWS, day_start, window

# The detector speaks from three times the usual hour on.
_DETECTED = 200
# Without another spike for this long, one is over.
_QUIET = timedelta(hours=1)
# Events may be so far ahead.
_AHEAD = timedelta(minutes=5)
_TROUBLE_LOCK = 720_311
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
        known, going_on = read_known(connection, firings), read_going_on(connection)
    told = _pass_on(connection, firings, known, now, telling, going_on)
    resolve_spikes(connection, now)
    return told


def evaluate_limits(connection: Connection, now: datetime, telling: Telling) -> int:
    """New alerts from limits and budgets; how many. Also ends alerts whose window is over."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        rules = read_rules(connection)
        firings = [
            limit_firing(rule, spend, now) for rule in rules if (spend := _spend(connection, rule, now)) is not None
        ]
        firings += _budget_firings(connection, rules, now)
        known = read_known(connection, firings)
    told = _pass_on(connection, firings, known, now, telling)
    resolve_ended(connection, now)
    return told


def _budget_firings(connection: Connection, rules: Sequence[Rule], now: datetime) -> list[Firing]:
    rules = [rule for rule in rules if rule.alert_type == "budget"]
    firings: list[Firing] = []
    for budget in read_budgets(connection) if rules else ():
        mine = [rule for rule in rules if _watches(rule, budget)]
        if not mine:
            continue
        start, end = window(BUDGET_WINDOWS[budget.budget_window], now, budget.tz)
        own = [
            replace(rule, tenant_id=budget.tenant_id, tenant_no=budget.tenant_no, tz=budget.tz, scope=budget.scope)
            for rule in mine
        ]
        spend = limit_spend(connection, own[0], start, end)
        for rule in own:
            percent = rule.threshold_percent
            thresholds = budget.thresholds if percent is None else [int(percent)]
            firings += budget_firings(rule, budget.budget_window, budget.limit_pico_usd, thresholds, spend, now)
    return firings


def _watches(rule: Rule, budget: BudgetRow) -> bool:
    return rule.tenant_id in (None, budget.tenant_id) and (not rule.scope or dict(rule.scope) == budget.scope)


def evaluate_troubles(connection: Connection, now: datetime, telling: Telling) -> int:
    """New alerts from states that last, and the end of those that don't any more; how many were new.

    One worker at a time: whether a state is new is known by the alert that fires for it.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_TROUBLE_LOCK])
        ensure_book_rule(connection)
        rules = [rule for rule in read_rules(connection) if rule.alert_type in TROUBLE_TYPES]
        firings = [firing for rule in rules for firing in _troubles(connection, rule, now)]
        known, going_on = read_known(connection, firings), read_going_on(connection)
        told = _pass_on(connection, firings, known, now, telling, going_on)
        present = {(firing.rule.rule_id, firing.series) for firing in firings}
        for alert in read_told(connection, TROUBLE_TYPES, None):
            if (alert.rule_id, alert.series) not in present:
                _end(connection, alert, now)
    return told


def _troubles(connection: Connection, rule: Rule, now: datetime) -> Iterator[Firing]:
    through = read_data_through(connection)
    if rule.alert_type == "pipeline_lag":
        trouble = lag(through, now) if through is not None else None
        if trouble is not None:
            yield trouble_firing(replace(rule, scope={}), trouble, now)
    elif rule.alert_type == "unpriced_usage":
        refusal = read_refused_book(connection) if rule.tenant_id is None else None
        if refusal is not None:
            yield trouble_firing(replace(rule, scope={}), refused_book(*refusal), now)
        for row in read_unpriced(connection, day_start(now, rule.tz), now + _AHEAD):
            if rule.tenant_id in (None, row.tenant_id):
                named = replace(rule, tenant_id=row.tenant_id, tenant_no=row.tenant_no, tz=row.tz, scope={})
                trouble = unpriced_trouble(row.tenant_id, row.calls, row.models, day_start(now, rule.tz))
                yield trouble_firing(named, trouble, now)
    else:
        yield from _silences(connection, rule, now, min(now, through or now))


def _silences(connection: Connection, rule: Rule, now: datetime, through: datetime) -> Iterator[Firing]:
    calls = [call for call in read_last_calls(connection, now) if rule.tenant_id in (None, call.tenant_id)]
    if calls and rule.tenant_id is None:
        # A rule for all speaks when all are silent; one for a tenant when that one is.
        trouble = silence("All tenants", max(call.minute for call in calls), through, "UTC")
    else:
        trouble = next((silence(one.tenant_id, one.minute, through, one.tz) for one in calls), None)
    if trouble is not None:
        yield trouble_firing(replace(rule, scope={}), trouble, now)


def resolve_spikes(connection: Connection, now: datetime) -> int:
    """Spikes after which a whole hour went by without another are over, and that is told; how many."""
    with connection.transaction():
        told = read_told(connection, ("cost_spike",), now - _QUIET)
    return sum(_end(connection, alert, now) for alert in told)


def _end(connection: Connection, alert: Told, now: datetime) -> bool:
    words = resolved_notice(alert.title, over(alert.alert_type, alert.series), alert.payload)
    payloads = {
        "slack": slack_payload(words),
        "webhook": webhook_payload(words, now, "alert.resolved"),
        "email": mail_payload(words),
    }
    outgoing = [Outgoing(channel, target, payloads[channel]) for channel, target in alert.channels]
    return resolve(connection, alert, outgoing, now)


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
    going_on: Mapping[tuple[UUID, str, str], datetime] | None = None,
) -> int:
    situation = Situation(firings, known, going_on or {})  # type: ignore[arg-type]
    told = 0
    for firing in firings:
        dropped = decide(firing, situation)
        if dropped is not None:
            metrics.ALERTS_DROPPED.labels(dropped[0].name).inc()
            if dropped[0].name == "cool_down" and isinstance(firing.cause, SpikeRow):
                go_on(connection, firing, firing.cause.window_end)
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
    spend = firing.cause.spend if isinstance(firing.cause, BudgetSpend) else firing.cause
    if isinstance(spend, LimitSpend):
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            parts = contributions(connection, firing.rule, spend.window_start, spend.window_end)
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
