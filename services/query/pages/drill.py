"""From a feature to its requests to their attempts, and the tree of a run, as views. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from services.contracts.agents import default_label
from services.query.pages.colours import colour_class
from services.query.pages.formats import milliseconds, money, number_word, plural, share
from services.query.pages.links import segment
from services.query.pages.sentences import Sentence, Words
from services.query.read.calls import Call
from services.query.read.runs import Node, Run

# Rows of a tree that a page shows; a run with more is read through the API.
TREE_ROWS_MAX = 500
_BRANCH_OPEN_FROM = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class RequestRow:
    request_id: str
    href: str
    tenant_id: str
    occurred_at: datetime
    model: str
    colour: str
    tokens: int
    cost: int
    unpriced: int
    calls: int
    bar: Decimal
    latency: str
    latency_ms: int | None
    status: str
    attempts: int


def request_href(tenant_id: str, request_id: str) -> str:
    return f"/requests/{segment(request_id)}?tenant_id={segment(tenant_id)}"


def run_href(tenant_id: str, run_id: str) -> str:
    return f"/runs/{segment(run_id)}?tenant_id={segment(tenant_id)}"


def request_rows(requests: Sequence[list[Call]]) -> tuple[RequestRow, ...]:
    """One row a request, as they come; the bar is to the dearest."""
    costs = [sum(call.cost_pico_usd for call in calls) for calls in requests]
    dearest = max(costs, default=0)
    return tuple(_request_row(calls, cost, dearest) for calls, cost in zip(requests, costs, strict=True))


def _request_row(calls: list[Call], cost: int, dearest: int) -> RequestRow:
    last = calls[-1]
    return RequestRow(
        request_id=last.request_id,
        href=request_href(last.tenant_id, last.request_id),
        tenant_id=last.tenant_id,
        occurred_at=max(call.occurred_at for call in calls),
        model=last.model,
        colour=colour_class(last.provider),
        tokens=sum(call.prompt_tokens + call.completion_tokens for call in calls),
        cost=cost,
        unpriced=sum(call.unpriced for call in calls),
        calls=len(calls),
        bar=share(cost, dearest),
        latency=milliseconds(Decimal(last.latency_ms) if last.latency_ms is not None else None),
        latency_ms=last.latency_ms,
        status=last.status,
        attempts=len(calls),
    )


def request_sentence(calls: Sequence[Call]) -> Sentence:
    """What it cost, in how many attempts, and what of it was wasted."""
    cost, wasted = sum(c.cost_pico_usd for c in calls), sum(c.cost_pico_usd for c in calls if c.wasted)
    took = f" in {number_word(len(calls))} {plural(len(calls), 'attempt')}"
    words = [Words("This request cost "), Words(money(cost), "strong"), Words(took)]
    if wasted:
        words += [Words("; "), Words(f"{money(wasted)} of it was wasted", "alarm")]
    words.append(Words("."))
    if any(call.unpriced for call in calls):
        words.append(Words(" Part of it has no price yet."))
    return tuple(words)


@dataclass(frozen=True, slots=True)
class RunRow:
    run_id: str
    href: str
    tenant_id: str
    agent: str
    started_at: datetime
    took: str
    calls: int
    unpriced: int
    cost: int
    bar: Decimal


def run_rows(runs: Sequence[Run]) -> tuple[RunRow, ...]:
    dearest = max((run.cost_pico_usd for run in runs), default=0)
    return tuple(
        RunRow(
            run.run_id, run_href(run.tenant_id, run.run_id), run.tenant_id, default_label(run.agent_id), run.started_at,
            # From its first to its last call: of one call nothing is known of it.
            duration(run.ended_at - run.started_at) if run.calls > 1 else "–",
            run.calls, run.unpriced_events, run.cost_pico_usd,
            share(run.cost_pico_usd, dearest),
        )
        for run in runs
    )  # fmt: skip


def duration(length: timedelta) -> str:
    return milliseconds(Decimal(length // timedelta(milliseconds=1)))


@dataclass(frozen=True, slots=True)
class Branch:
    """A node as a row: `depth` from 0, `bar` to the whole run; `costly` where the money went."""

    name: str
    path: str
    depth: int
    calls: int
    errors: int
    cost: int
    bar: Decimal
    is_retry: bool
    costly: bool


def branches(root: Node) -> tuple[tuple[Branch, ...], bool]:
    """The rows of a tree, dearest first at each node, and whether some were left out."""
    rows: list[Branch] = []
    for branch in _walk(root, 0, root.cost_pico_usd):
        if len(rows) == TREE_ROWS_MAX:
            return tuple(rows), True
        rows.append(branch)
    return tuple(rows), False


def _walk(node: Node, depth: int, whole: int) -> Iterator[Branch]:
    part = share(node.cost_pico_usd, whole)
    is_retry = node.name.startswith("retry:")
    yield Branch(
        node.name,
        node.path,
        depth,
        node.calls,
        node.errors,
        node.cost_pico_usd,
        part,
        is_retry,
        part >= _BRANCH_OPEN_FROM,
    )
    for child in node.ordered():
        yield from _walk(child, depth + 1, whole)


def run_sentence(run: Run, root: Node) -> Sentence:
    """What the run cost, and where most of it went."""
    took = run.ended_at - run.started_at
    calls = f" in {number_word(run.calls)} {plural(run.calls, 'call')}" + (
        f" within {duration(took)}." if took else "."
    )
    words = [
        Words(f"This run of {default_label(run.agent_id)} cost "),
        Words(money(run.cost_pico_usd), "strong"),
        Words(calls),
    ]
    leaf = root
    while leaf.children and 2 * leaf.ordered()[0].cost_pico_usd > root.cost_pico_usd:
        leaf = leaf.ordered()[0]
    if leaf is not root and root.cost_pico_usd and len(root.children) + len(leaf.path.split("/")) > 2:
        words += [Words(" Most of it went into "), Words(leaf.name, "strong"), Words(".")]
    return tuple(words)
