"""`Meter`: what a program uses to say what its AI calls used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Required, Self, TypedDict, TypeVar, Unpack, overload

from spendstream_sdk import scopes
from spendstream_sdk.http_transport import HttpTransport
from spendstream_sdk.ids import uuid7_int
from spendstream_sdk.records import Record
from spendstream_sdk.responses import Reported, take
from spendstream_sdk.sender import Limits, Sender
from spendstream_sdk.stats import Stats
from spendstream_sdk.streams import AsyncMeteredStream, Ending, MeteredStream, is_async
from spendstream_sdk.transport import Transport

T = TypeVar("T")
_NOTHING = object()
# Arguments that the caller may go on changing after the call.
_MAPPINGS = frozenset(("usage", "units", "vendor_usage", "metadata"))


class Fields(TypedDict, total=False):
    """What a usage event says beside provider and model. Usage is one of: the simple form, `usage`, `units`,
    `vendor_usage`."""

    # All input and all output; cached and reasoning tokens are parts of them.
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    # Disjoint classes by name: input_uncached, cache_read, output_text, …
    usage: Mapping[str, int] | None
    # What isn't tokens, by name: read_units, web_searches, …
    units: Mapping[str, int] | None
    # Instead: the usage object of the vendor's answer, as a mapping; and whose it is, where its keys don't tell.
    vendor_usage: Mapping[str, Any] | None
    vendor_usage_shape: str | None
    # When the call was made; else now. With a time zone.
    occurred_at: datetime | None
    tenant_id: str | None
    feature: str | None
    agent_id: str | None
    section_path: str | None
    run_id: str | None
    request_id: str | None
    attempt: int | None
    retry_count: int | None
    customer_id: str | None
    user_id: str | None
    channel: str | None
    region: str | None
    service_tier: str | None
    operation: str | None
    status: str | None
    superseded: bool | None
    error_type: str | None
    latency_ms: int | None
    cache_hit: bool | None
    streaming: bool | None
    tokens_estimated: bool | None
    prompt_template_id: str | None
    prompt_template_version: str | None
    reported_cost_usd: str | None
    metadata: Mapping[str, str] | None
    source: str | None


class Call(Fields):
    """One attempt at a model, in plain words."""

    provider: Required[str]
    model: Required[str]


class ResponseCall(Fields, total=False):
    """One attempt at a model of which there is a response: it says the usage. Counts given here are for when it says
    none; what is made of them is marked `tokens_estimated`."""

    # Else what the response says; for OpenAI-compatible vendors and resellers the caller knows better.
    provider: str | None
    model: str | None


class Meter:
    """Records calls and sends them to Spendstream's gateway from a thread of its own.

    Make one per process and keep it. `url` is the gateway's, `key` one with the role `ingest`; `tenant_id` and
    `defaults` hold for calls that say nothing else. Raises ValueError for a URL that is none; after that nothing here
    raises because of what is recorded or because Spendstream is away.
    """

    def __init__(
        self,
        url: str,
        key: str,
        tenant_id: str | None = None,
        *,
        defaults: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        timeout_seconds: float = 10.0,
    ) -> None:
        self._open(HttpTransport(url, key, timeout_seconds), tenant_id, defaults, limits)

    @classmethod
    def over_kafka(
        cls,
        bootstrap: str,
        tenant_id: str | None = None,
        *,
        defaults: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        timeout_seconds: float = 10.0,
        config: Mapping[str, Any] | None = None,
        topic: str = "usage.events.v1",
    ) -> Self:
        """A meter that writes to Kafka itself, for trusted services; needs the extra `kafka`."""
        with _needs("kafka"):
            from spendstream_sdk.kafka_transport import KafkaTransport

        meter = cls.__new__(cls)
        meter._open(KafkaTransport(bootstrap, timeout_seconds, config, topic), tenant_id, defaults, limits)
        return meter

    @classmethod
    def over_grpc(
        cls,
        target: str,
        key: str,
        tenant_id: str | None = None,
        *,
        tls: bool = False,
        root_certificates: bytes | None = None,
        defaults: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        timeout_seconds: float = 10.0,
    ) -> Self:
        """A meter that talks gRPC to the gateway at `host:port`; needs the extra `grpc`.

        `tls` with the system's certificate authorities, or those of `root_certificates` (PEM).
        """
        with _needs("grpc"):
            from spendstream_sdk.grpc_transport import GrpcTransport

        transport = GrpcTransport(target, key, timeout_seconds, tls=tls, root_certificates=root_certificates)
        meter = cls.__new__(cls)
        meter._open(transport, tenant_id, defaults, limits)
        return meter

    def _open(
        self, transport: Transport, tenant_id: str | None, defaults: Mapping[str, str] | None, limits: Limits | None
    ) -> None:
        always = {**(defaults or {}), **({"tenant_id": tenant_id} if tenant_id else {})}
        self._sender = Sender(transport, always, limits or Limits())
        self._offer = self._sender.offer

    @overload
    def record(self, /, **call: Unpack[Call]) -> None: ...

    @overload
    def record(self, response: object, /, **call: Unpack[ResponseCall]) -> None: ...

    def record(self, response: object = _NOTHING, /, **call: Any) -> None:
        """Notes a call and returns at once; it is checked and sent in the background.

        `response` is an answer of OpenAI's, Anthropic's or Google's library, or its JSON: only its usage and model are
        taken. What can't become an event (an unknown field, a negative count, no usage) is counted as rejected and
        logged.
        """
        time_ns = time.time_ns()
        reported = None if response is _NOTHING else take(response)
        for name in _MAPPINGS & call.keys():
            call[name] = _copied(call[name])
        self._offer(Record(uuid7_int(time_ns), time_ns, scopes.current.get(), call, reported))

    @overload
    def stream(self, stream: AsyncIterable[T], /, **call: Unpack[ResponseCall]) -> AsyncMeteredStream[T]: ...

    @overload
    def stream(self, stream: Iterable[T], /, **call: Unpack[ResponseCall]) -> MeteredStream[T]: ...

    @overload
    def stream(
        self, stream: AbstractContextManager[Iterable[T]], /, **call: Unpack[ResponseCall]
    ) -> MeteredStream[T]: ...

    @overload
    def stream(
        self, stream: AbstractAsyncContextManager[AsyncIterable[T]], /, **call: Unpack[ResponseCall]
    ) -> AsyncMeteredStream[T]: ...

    def stream(self, stream: Any, /, **call: Any) -> MeteredStream[Any] | AsyncMeteredStream[Any]:
        """Stands in for a stream of OpenAI's, Anthropic's or Google's library and records the call when it ends.

        Chunks pass through untouched. Left early, broken off or without a usage of the vendor's the output is
        estimated from what came, and marked so; give `prompt_tokens` (`estimate_tokens(prompt)`) for the input of
        such a call, without it one that says no usage is rejected, never counted as nothing.
        """
        time_ns, scope = time.time_ns(), scopes.current.get()

        def finish(reported: Reported, known: dict[str, Any]) -> None:
            self._offer(Record(uuid7_int(time_ns), time_ns, scope, {**known, **call}, reported))

        return (AsyncMeteredStream if is_async(stream) else MeteredStream)(stream, Ending(finish))

    def run(self, agent_id: str, run_id: str | None = None) -> scopes.Scoped:
        """One execution of an agent: `with meter.run("research_assistant") as run:`, or a decorator."""
        return scopes.run(agent_id, run_id)

    def section(self, name: str) -> scopes.Scoped:
        """A part of a run, nested as deep as you like: `with meter.section("tool:search"):`, or a decorator."""
        return scopes.section(name)

    def stats(self) -> Stats:
        """What became of the calls recorded so far."""
        return self._sender.stats()

    def flush(self, timeout: float = 10.0) -> bool:
        """Waits at most `timeout` seconds until nothing is queued or on its way; whether that was reached."""
        return self._sender.flush(timeout)

    def close(self, timeout: float = 10.0) -> None:
        """Flushes and ends; what isn't sent by then is counted as failed. Calls recorded later are dropped."""
        self._sender.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def flush_async(self, timeout_seconds: float = 10.0) -> bool:
        """`flush` for coroutines: the event loop goes on meanwhile."""
        return await asyncio.to_thread(self._sender.flush, timeout_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)


@contextmanager
def _needs(extra: str) -> Iterator[None]:
    """A library of an extra that isn't installed is said by what installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f'{error}: pip install "spendstream-sdk[{extra}]"', name=error.name) from error


def _copied(value: object) -> object:
    return dict(value) if isinstance(value, dict) else value
