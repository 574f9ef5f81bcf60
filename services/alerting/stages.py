"""From a breach to an alert: the stages, in order, as one literal. Each keeps a firing or drops it with a reason. Pure.

match → inhibit → silence → dedupe → cool down, then the store records what is left in the outbox, and the senders send
from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from services.alerting.rules import AlertKey, Firing, SpikeRow, Trouble

_HOUR = timedelta(hours=1)
# The narrower one is the better news.
_BREADTH = {"feature": 0, "agent_id": 1, "model": 2, "tenant_id": 3}


@dataclass(frozen=True, slots=True)
class Situation:
    """What the stages may know: the other firings, and the keys of the alerts there are."""

    firings: Sequence[Firing]
    known: frozenset[AlertKey]
    # Until when the alerts that fire now last, by rule, series and threshold.
    going_on: Mapping[tuple[UUID, str, str], datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    """`drops` returns why a firing goes no further, or None."""

    name: str
    drops: Callable[[Firing, Situation], str | None]


def _match(firing: Firing, _situation: Situation) -> str | None:
    return None if firing.breached else "under the threshold"


def _inhibit(firing: Firing, situation: Situation) -> str | None:
    """One jump is a spike of the feature, its agent, the model and the tenant. The narrowest tells it, or who was
    first, as long as it explains at least half of what the other one costs too much.
    """
    spike = firing.cause
    if not isinstance(spike, SpikeRow) or firing.key in situation.known:
        return None
    for other in situation.firings:
        rival = other.cause
        if (
            isinstance(rival, SpikeRow)
            and rival.dimension != spike.dimension
            and other.breached
            and other.rule.rule_id == firing.rule.rule_id
            and (rival.tenant_id, rival.window_start, rival.window_end)
            == (spike.tenant_id, spike.window_start, spike.window_end)
            and (_BREADTH[rival.dimension] < _BREADTH[spike.dimension] or other.key in situation.known)
            and 2 * _excess(rival) >= _excess(spike)
        ):
            return f"told by {rival.series}"
    return None


def _excess(spike: SpikeRow) -> int:
    return spike.observed_pico_usd - spike.usual_pico_usd


def _silence(firing: Firing, _situation: Situation) -> str | None:
    """A spike within a silence is never told; a limit still broken when the silence ends is told then."""
    until = firing.rule.silenced_until
    return f"silenced until {until:%Y-%m-%d %H:%M}" if until is not None and firing.happened_at < until else None


def _dedupe(firing: Firing, situation: Situation) -> str | None:
    return "already told" if firing.key in situation.known else None


def _cool_down(firing: Firing, situation: Situation) -> str | None:
    """Hours in a row are one incident, told once, and so is a state that goes on; the others say how often they want to
    hear.
    """
    until = situation.going_on.get((firing.rule.rule_id, firing.series, firing.threshold))
    if until is None or firing.rule.frequency != "once":
        return None
    if isinstance(firing.cause, Trouble):
        return "goes on"
    if isinstance(firing.cause, SpikeRow) and firing.cause.window_end - firing.cause.window_start <= _HOUR:
        return "the hour before was told" if until >= firing.cause.window_start else None
    return None


PIPELINE = (
    Stage("match", _match),
    Stage("inhibit", _inhibit),
    Stage("silence", _silence),
    Stage("dedupe", _dedupe),
    Stage("cool_down", _cool_down),
)


def decide(firing: Firing, situation: Situation, pipeline: Sequence[Stage] = PIPELINE) -> tuple[Stage, str] | None:
    """The stage that drops a firing and its reason, None for one to record."""
    for stage in pipeline:
        reason = stage.drops(firing, situation)
        if reason is not None:
            return stage, reason
    return None
