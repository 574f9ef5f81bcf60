"""`Meter`: what a program uses to say what its AI calls used."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Required, Self, TypedDict, Unpack

from spendstream_sdk import scopes
from spendstream_sdk.http_transport import HttpTransport
from spendstream_sdk.ids import uuid7_int
from spendstream_sdk.records import Record
from spendstream_sdk.sender import Limits, Sender
from spendstream_sdk.stats import Stats
from spendstream_sdk.transport import Transport


class Call(TypedDict, total=False):
    """One attempt at a model: the fields of a usage event. Usage is one of: the simple form, `usage`, `units`,
    `vendor_usage`."""

    provider: Required[str]
    model: Required[str]
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
        from spendstream_sdk.kafka_transport import KafkaTransport

        meter = cls.__new__(cls)
        meter._open(KafkaTransport(bootstrap, timeout_seconds, config, topic), tenant_id, defaults, limits)
        return meter

    def _open(
        self, transport: Transport, tenant_id: str | None, defaults: Mapping[str, str] | None, limits: Limits | None
    ) -> None:
        always = {**(defaults or {}), **({"tenant_id": tenant_id} if tenant_id else {})}
        self._sender = Sender(transport, always, limits or Limits())
        self._offer = self._sender.offer

    def record(self, **call: Unpack[Call]) -> None:
        """Notes a call and returns at once; it is checked and sent in the background.

        What can't become an event (an unknown field, a negative count, no usage) is counted as rejected and logged.
        """
        time_ns = time.time_ns()
        self._offer(Record(uuid7_int(time_ns), time_ns, scopes.current.get(), call))

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
