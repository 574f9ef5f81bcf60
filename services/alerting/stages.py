"""From a breach to an alert: the stages, in order, as one literal. Each keeps a firing or drops it with a reason. Pure.

match → inhibit → silence → dedupe, then the store records what is left in the outbox, and the senders send from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.alerting.rules import AlertKey, Firing, SpikeRow


@dataclass(frozen=True, slots=True)
class Situation:
    """What the stages may know: the other firings, and the keys of the alerts there are."""

    firings: Sequence[Firing]
    known: frozenset[AlertKey]


@dataclass(frozen=True, slots=True)
class Stage:
    """`drops` returns why a firing goes no further, or None."""

    name: str
    drops: Callable[[Firing, Situation], str | None]


def _match(firing: Firing, _situation: Situation) -> str | None:
    return None if firing.breached else "under the threshold"


def _inhibit(firing: Firing, situation: Situation) -> str | None:
    """A tenant's spike is no news where a spike of one of its features in the same hour says more."""
    spike = firing.cause
    if not isinstance(spike, SpikeRow) or spike.dimension != "tenant_id":
        return None
    for other in situation.firings:
        finer = other.cause
        if (
            isinstance(finer, SpikeRow)
            and finer.dimension != "tenant_id"
            and other.breached
            and other.rule.rule_id == firing.rule.rule_id
            and (finer.tenant_id, finer.window_start) == (spike.tenant_id, spike.window_start)
        ):
            return f"told by {finer.series}"
    return None


def _silence(firing: Firing, _situation: Situation) -> str | None:
    """A spike within a silence is never told; a limit still broken when the silence ends is told then."""
    until = firing.rule.silenced_until
    return f"silenced until {until:%Y-%m-%d %H:%M}" if until is not None and firing.happened_at < until else None


def _dedupe(firing: Firing, situation: Situation) -> str | None:
    return "already told" if firing.key in situation.known else None


PIPELINE = (
    Stage("match", _match),
    Stage("inhibit", _inhibit),
    Stage("silence", _silence),
    Stage("dedupe", _dedupe),
)


def decide(firing: Firing, situation: Situation, pipeline: Sequence[Stage] = PIPELINE) -> tuple[Stage, str] | None:
    """The stage that drops a firing and its reason, None for one to record."""
    for stage in pipeline:
        reason = stage.drops(firing, situation)
        if reason is not None:
            return stage, reason
    return None
