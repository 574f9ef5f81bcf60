"""What `meter.record` costs the program that calls it. All that follows is done in the sender's thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace

from spendstream_sdk import Limits, Meter
from spendstream_sdk.records import Event
from spendstream_sdk.transport import Delivered

_ROUNDS = 400
_CALLS = 50
_RESPONSE = SimpleNamespace(
    object="chat.completion",
    model="gpt-4o-mini",
    service_tier="default",
    usage=SimpleNamespace(prompt_tokens=180, completion_tokens=70, total_tokens=250),
)


class _Taken:
    """Takes everything at once: what is measured is the caller's side."""

    def send(self, events: Sequence[Event]) -> Delivered:
        return Delivered(len(events))

    def close(self) -> None:
        pass

    abandon = close


def measure() -> Iterator[str]:
    yield f"Bursts of {_CALLS} calls within a run, {_ROUNDS} of them, the sender's thread at work between them.\n"
    yield "| recorded | µs a call, median | 90th percentile |"
    yield "|---|---:|---:|"
    meter = Meter.__new__(Meter)
    meter._open(_Taken(), "acme", None, Limits(queue_records_max=1_000_000))
    plain = lambda: meter.record(  # noqa: E731 - what is called is what is measured
        provider="openai", model="gpt-4o-mini", prompt_tokens=180, completion_tokens=70, feature="research"
    )
    response = lambda: meter.record(_RESPONSE, feature="research")  # noqa: E731
    with meter.run("research_assistant"):
        for name, call in (("plain usage", plain), ("a response object", response)):
            seconds = _timed(call)
            median, ninth = seconds[_ROUNDS // 2], seconds[_ROUNDS * 9 // 10]
            yield f"| {name} | {median * 1e6:.1f} | {ninth * 1e6:.1f} |"
    meter.flush(30)
    expected = 2 * _ROUNDS * _CALLS
    if meter.stats().sent != expected:
        raise AssertionError(f"{meter.stats()}, expected {expected} sent")
    meter.close()


def _timed(call: Callable[[], None]) -> list[float]:
    """Seconds a call, of each burst, sorted."""
    found = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(_CALLS):
            call()
        found.append((time.perf_counter() - started) / _CALLS)
        time.sleep(0.002)
    return sorted(found)
