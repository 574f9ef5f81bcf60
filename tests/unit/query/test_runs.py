"""The tree of a run."""

from __future__ import annotations

import orjson

from services.query.api.requests import node_body
from services.query.read.runs import TREE_DEPTH_MAX, SectionSum, build_tree


def test_every_call_counts_at_its_section_and_at_all_above() -> None:
    root = build_tree(
        "run-1",
        [
            SectionSum("agent:a/tool:search", 2, 20, 1),
            SectionSum("agent:a/tool:search/retry:1", 1, 5, 0),
            SectionSum("agent:a", 1, 1, 0),
            SectionSum("", 1, 7, 0),
        ],
    )
    agent = root.children["agent:a"]
    search = agent.children["tool:search"]
    assert (root.calls, root.cost_pico_usd, root.own_calls) == (5, 33, 1)
    assert (agent.calls, agent.cost_pico_usd, agent.own_calls) == (4, 26, 1)
    assert (search.calls, search.cost_pico_usd, search.errors) == (3, 25, 1)
    assert search.children["retry:1"].path == "agent:a/tool:search/retry:1"


def test_children_come_dearest_first() -> None:
    root = build_tree("r", [SectionSum("a", 1, 1, 0), SectionSum("b", 1, 9, 0), SectionSum("c", 1, 9, 0)])
    assert [child.name for child in root.ordered()] == ["b", "c", "a"]


def test_a_path_of_five_hundred_segments_is_still_an_answer() -> None:
    path = "/".join("abcdefghij" * 50)
    body = node_body(build_tree("r", [SectionSum(path, 1, 1, 0)]))
    assert orjson.dumps(body)
    depth = 0
    while body["children"]:
        (body,) = body["children"]
        depth += 1
    assert depth == TREE_DEPTH_MAX
    assert body["path"] == path
