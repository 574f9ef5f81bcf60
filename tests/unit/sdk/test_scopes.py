from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from spendstream_sdk.scopes import OUTSIDE, Scope, current, run, section


def test_a_section_lies_within_its_run() -> None:
    with run("research_assistant", None) as outer, section("tool:search"), section("retry:2") as inner:
        assert inner.section_path == "agent:research_assistant/tool:search/retry:2"
        assert (inner.run_id, inner.agent_id) == (outer.run_id, "research_assistant")
    assert current.get() is OUTSIDE


def test_a_section_ends_when_its_block_raises() -> None:
    with pytest.raises(KeyError), run("a", None), section("b"):
        raise KeyError
    assert current.get() is OUTSIDE


def test_a_slash_in_a_name_does_not_make_a_segment() -> None:
    with section("tool:a/b") as scope:
        assert scope.section_path == "tool:a_b"


def test_a_decorated_function_runs_each_time_in_a_run_of_its_own() -> None:
    @run("planner", None)
    def work() -> Scope:
        return current.get()

    first, second = work(), work()
    assert first.run_id != second.run_id
    assert current.get() is OUTSIDE


async def test_tasks_side_by_side_keep_their_sections_apart() -> None:
    @section("tool:wait")
    async def work() -> str:
        await asyncio.sleep(0)
        return current.get().section_path

    async def agent(name: str) -> str:
        with run(name, None):
            await asyncio.sleep(0)
            return await work()

    paths = await asyncio.gather(agent("a"), agent("b"))
    assert list(paths) == ["agent:a/tool:wait", "agent:b/tool:wait"]


def test_a_run_keeps_an_id_it_is_given() -> None:
    with run("a", "run-7") as scope:
        assert scope.run_id == "run-7"


def test_a_generator_is_refused_as_its_calls_would_be_counted_elsewhere() -> None:
    def chunks() -> Iterator[int]:
        yield 1

    async def pieces() -> AsyncIterator[int]:
        yield 1

    for function in (chunks, pieces):
        with pytest.raises(TypeError, match="is a generator: use the run or section in a `with`"):
            run("a", None)(function)
