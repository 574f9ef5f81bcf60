"""From sent to visible: events at a steady rate through Kafka and through the HTTP door, watched on `/api/v1/costs`."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import httpx
from confluent_kafka import Producer

from services.contracts.json_event import encode_event
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.runtime.embedded.backends import Backends
from tests.backends import fresh_database, fresh_topics
from tests.bench.mix import TENANTS, Mix
from tests.bench.services import ADMIN_KEY, Running, service, wait_ready

BATCH_EVENTS = 25
_HEADERS = {"authorization": f"Bearer {ADMIN_KEY}"}
# Between two looks at the API; it is part of the figures, as it is for anyone who looks.
_LOOK_SECONDS = 0.02
# Sends events of a tenant; none: waits until all is sent.
Send = Callable[[str, list[usage_pb2.UsageEvent]], None]


@dataclass
class Watched:
    """What was sent, and when how much of it was visible, by tenant."""

    sent: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: {tenant: [] for tenant in TENANTS})
    seen: list[tuple[float, dict[str, int]]] = field(default_factory=list)

    def delays(self) -> list[float]:
        """Seconds from sent to first seen, one per event."""
        delays = []
        for tenant, batches in self.sent.items():
            looks = iter(self.seen)
            moment, visible = 0.0, -1
            for sent_at, through in batches:
                while visible < through:
                    moment, counts = next(looks)
                    visible = counts.get(tenant, 0)
                delays += [moment - sent_at] * BATCH_EVENTS
        return sorted(delays)


def measure(backends: Backends, rate: int, seconds: float) -> Iterator[str]:
    """Both doors, one after the other, each on a database of its own."""
    yield "| what | events/s | sent → visible p50 ms | p99 ms | most ms |"
    yield "|---|---:|---:|---:|---:|"
    for name in ("Kafka", "HTTP door"):
        reached, delays = _run(backends, name, rate, seconds)
        p50, p99 = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
        milliseconds = " | ".join(f"{delay * 1e3:.0f}" for delay in (p50, p99, delays[-1]))
        yield f"| {name}, {seconds:.0f} s | {reached:,.0f} | {milliseconds} |"


def _run(backends: Backends, door: str, rate: int, seconds: float) -> tuple[float, list[float]]:
    with (
        fresh_database(backends.database_dsn) as dsn,
        fresh_topics(backends.kafka_bootstrap) as topics,
        service("query", backends, dsn, topics) as query,
        service("gateway", backends, dsn, topics) as gateway,
        service("processor", backends, dsn, topics) as processor,
    ):
        wait_ready(processor)
        watched = Watched()
        if door == "Kafka":
            producer = Producer({"bootstrap.servers": backends.kafka_bootstrap, "acks": "all", "linger.ms": 2})
            send = kafka_send(producer, topics.usage_events.name)
        else:
            send = _http_send(httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}", headers=_HEADERS))
        reached = send_and_watch(watched, send, query, rate, seconds)
        return reached, watched.delays()


def kafka_send(producer: Producer, topic: str) -> Send:
    """Straight to the topic, as a trusted service does."""

    def send(tenant: str, events: list[usage_pb2.UsageEvent]) -> None:
        if events:
            producer.produce(topic, usage_pb2.UsageBatch(events=events).SerializeToString(), tenant)
            producer.poll(0)
        else:
            producer.flush(10)

    return send


def _http_send(client: httpx.Client) -> Send:
    def send(tenant: str, events: list[usage_pb2.UsageEvent]) -> None:
        if events:
            body = json.dumps([encode_event(event) for event in events])
            answer = client.post("/v1/events", content=body, headers={"content-type": "application/json"})
            answer.raise_for_status()
            assert answer.json()["accepted"] == len(events)

    return send


def send_and_watch(watched: Watched, send: Send, query: Running, rate: int, seconds: float) -> float:
    """Sends at the rate, looks until all is seen; the rate that was reached."""
    total = int(rate * seconds) // BATCH_EVENTS
    looking = threading.Thread(target=_look, args=(watched, query, total * BATCH_EVENTS, seconds + 60))
    looking.start()
    started = time.monotonic()
    mix, through = Mix(time.time_ns() // 1_000), dict.fromkeys(TENANTS, 0)
    for number in range(total):
        tenant = TENANTS[number % len(TENANTS)]
        at = started + number * BATCH_EVENTS / rate
        time.sleep(max(0.0, at - time.monotonic()))
        events = [mix.event(tenant, time.time_ns() // 1_000) for _ in range(BATCH_EVENTS)]
        through[tenant] += BATCH_EVENTS
        watched.sent[tenant].append((time.monotonic(), through[tenant]))
        send(tenant, events)
    reached = total * BATCH_EVENTS / (time.monotonic() - started)
    send(TENANTS[0], [])
    looking.join()
    return reached


def _look(watched: Watched, query: Running, events: int, seconds: float) -> None:
    today = datetime.now(UTC).date()
    asked = {"from": str(today), "to": str(today + timedelta(days=2)), "group_by": "tenant_id", "measures": "calls"}
    deadline = time.monotonic() + seconds
    with httpx.Client(base_url=f"http://127.0.0.1:{query.port}", headers=_HEADERS, timeout=10) as client:
        while time.monotonic() < deadline:
            answer = client.get(f"/api/v1/costs?{urlencode(asked)}")
            answer.raise_for_status()
            counts = {row["tenant_id"]: int(row["calls"]) for row in answer.json()["data"]}
            watched.seen.append((time.monotonic(), counts))
            if sum(counts.values()) >= events:
                return
            time.sleep(_LOOK_SECONDS)
