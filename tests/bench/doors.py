"""How many events a second the gateway takes on one core, over gRPC and over HTTP, answered by a real broker.

The gateway is held on the first core; broker and senders have the others. A batch's bytes are made once and sent again
and again: the doors look at every event all the same, and nobody reads behind them.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc
import httpx
import orjson
import psutil

from services.contracts.json_event import encode_event
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.runtime.embedded.backends import Backends
from tests.backends import fresh_database, fresh_topics
from tests.bench.mix import BATCH_EVENTS, Mix
from tests.bench.resources import cpu_seconds
from tests.bench.services import ADMIN_KEY, environment, free_port, running, wait_ready

_SENDERS = 4
_BATCHES = 20
_HEADERS = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "application/json"}
_METADATA = (("authorization", f"Bearer {ADMIN_KEY}"),)
_METHOD = "/spendstream.v1.UsageService/"
# What one key may send is not what is measured.
_NO_LIMITS = {f"SPENDSTREAM_GATEWAY_KEY_{what}_PER_SECOND": "0" for what in ("EVENTS", "REQUESTS")}
# Sends batches until the moment (of time.monotonic), and says how many events were accepted.
Send = Callable[[int, list[bytes], float], int]


@dataclass(frozen=True, slots=True)
class Figure:
    events: int
    seconds: float
    gateway_cpu_seconds: float

    def row(self, name: str, first: float) -> str:
        rate = self.events / self.seconds
        cpu = self.gateway_cpu_seconds / self.events * 1e6
        return (
            f"| {name} | {rate:,.0f} | {rate / first:.2f} | {cpu:.1f} | {self.gateway_cpu_seconds / self.seconds:.0%} |"
        )


def measure(backends: Backends, seconds: float) -> Iterator[str]:
    yield f"Batches of {BATCH_EVENTS}, {_SENDERS} senders, {seconds:.0f} s each, the gateway on one core.\n"
    yield "| door | events/s | × HTTP | CPU-seconds per million events | of its core |"
    yield "|---|---:|---:|---:|---:|"
    first = 0.0
    for name, send, encode in (
        ("HTTP, JSON arrays", _over_http, _json),
        ("gRPC, unary", _over_grpc, _request),
        ("gRPC, client stream", _over_stream, _request),
    ):
        figure = _run(backends, send, encode, seconds)
        first = first or figure.events / figure.seconds
        yield figure.row(name, first)


def _run(
    backends: Backends, send: Send, encode: Callable[[list[usage_pb2.UsageEvent]], bytes], seconds: float
) -> Figure:
    made = Mix(time.time_ns() // 1_000).batches(_BATCHES * BATCH_EVENTS)
    batches = [encode(list(batch.events)) for _, batch in made]
    with fresh_database(backends.database_dsn) as dsn, fresh_topics(backends.kafka_bootstrap) as topics:
        http_port, grpc_port = free_port(), free_port()
        settings = (
            environment(backends, dsn, topics, http_port) | _NO_LIMITS | {"SPENDSTREAM_GRPC_PORT": str(grpc_port)}
        )
        with running("services.gateway.main", settings, http_port) as gateway:
            wait_ready(gateway)
            process = psutil.Process(gateway.process.pid)
            cores = process.cpu_affinity() or [0]
            for thread in process.threads():
                os.sched_setaffinity(thread.id, {cores[0]})
            process.cpu_affinity([cores[0]])
            port = http_port if send is _over_http else grpc_port
            _send_all(send, port, batches, 1.0, cores)  # until everything is warm
            before, started = cpu_seconds(gateway.process.pid), time.monotonic()
            events = _send_all(send, port, batches, seconds, cores)
            return Figure(events, time.monotonic() - started, cpu_seconds(gateway.process.pid) - before)


def _json(events: list[usage_pb2.UsageEvent]) -> bytes:
    return orjson.dumps([encode_event(event) for event in events])


def _request(events: list[usage_pb2.UsageEvent]) -> bytes:
    return usage_pb2.RecordUsageRequest(batch=usage_pb2.UsageBatch(events=events)).SerializeToString()


def _send_all(send: Send, port: int, batches: list[bytes], seconds: float, cores: list[int]) -> int:
    """From a process of its own, away from the gateway's core."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    worker = context.Process(target=_worker, args=(theirs, send, port, batches, seconds, cores[1:] or cores))
    worker.start()
    try:
        events: int = ours.recv()
    finally:
        worker.join(10)
    return events


def _worker(answer: object, send: Send, port: int, batches: list[bytes], seconds: float, cores: list[int]) -> None:
    os.sched_setaffinity(0, set(cores))
    until = time.monotonic() + seconds
    counts = [0] * _SENDERS

    def one(number: int) -> None:
        counts[number] = send(port, batches[number::_SENDERS], until)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(_SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answer.send(sum(counts))  # type: ignore[attr-defined]


def _over_http(port: int, batches: list[bytes], until: float) -> int:
    accepted = 0
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=_HEADERS, timeout=30, trust_env=False) as client:
        while time.monotonic() < until:
            for batch in batches:
                accepted += client.post("/v1/events", content=batch).raise_for_status().json()["accepted"]
    return accepted


def _over_grpc(port: int, batches: list[bytes], until: float) -> int:
    accepted = 0
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        record: grpc.UnaryUnaryMultiCallable[bytes, usage_pb2.RecordUsageResponse] = channel.unary_unary(
            _METHOD + "RecordUsage", response_deserializer=usage_pb2.RecordUsageResponse.FromString
        )
        while time.monotonic() < until:
            for batch in batches:
                accepted += record(batch, metadata=_METADATA, timeout=30).accepted
    return accepted


def _over_stream(port: int, batches: list[bytes], until: float) -> int:
    def messages() -> Iterator[bytes]:
        while time.monotonic() < until:
            yield from batches

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stream: grpc.StreamUnaryMultiCallable[bytes, usage_pb2.StreamUsageResponse] = channel.stream_unary(
            _METHOD + "StreamUsage", response_deserializer=usage_pb2.StreamUsageResponse.FromString
        )
        return stream(messages(), metadata=_METADATA, timeout=120).accepted
