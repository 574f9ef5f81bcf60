"""Runs and sections: where in the caller's program a call happens. A context variable, so it follows async tasks."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import ParamSpec, TypeVar, cast

from spendstream_sdk.ids import uuid7_text

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Scope:
    """One run of an agent (`run_id`, `agent_id` are None outside of any) and the section path within it."""

    run_id: str | None = None
    agent_id: str | None = None
    section_path: str = ""


OUTSIDE = Scope()
current: ContextVar[Scope] = ContextVar("spendstream_scope", default=OUTSIDE)


class Scoped:
    """Enters a scope for a `with` block, or as a decorator for each call of a function, async ones too."""

    def __init__(self, enter: Callable[[Scope], Scope]) -> None:
        self._enter = enter
        self._tokens: list[Token[Scope]] = []

    def __enter__(self) -> Scope:
        scope = self._enter(current.get())
        self._tokens.append(current.set(scope))
        return scope

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        current.reset(self._tokens.pop())

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            # It would have left the scope before its first line runs, and its calls would be counted elsewhere.
            raise TypeError(f"{function.__qualname__} is a generator: use the run or section in a `with` inside of it")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def scoped_async(*args: P.args, **kwargs: P.kwargs) -> object:
                with Scoped(self._enter):
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", scoped_async)

        @functools.wraps(function)
        def scoped(*args: P.args, **kwargs: P.kwargs) -> R:
            with Scoped(self._enter):
                return function(*args, **kwargs)

        return scoped


def run(agent_id: str, run_id: str | None) -> Scoped:
    """A new run of an agent; without a given id each entry makes its own."""

    def enter(_outer: Scope) -> Scope:
        return Scope(run_id or uuid7_text(time.time_ns()), agent_id, f"agent:{_segment(agent_id)}")

    return Scoped(enter)


def section(name: str) -> Scoped:
    """One step down in the section path: `tool:search`, `retry:2`."""

    def enter(outer: Scope) -> Scope:
        path = f"{outer.section_path}/{_segment(name)}" if outer.section_path else _segment(name)
        return Scope(outer.run_id, outer.agent_id, path)

    return Scoped(enter)


def _segment(name: str) -> str:
    return name.replace("/", "_")
