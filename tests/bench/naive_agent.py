"""What is measured against: a plain Faust agent that decodes one event of each message and inserts it.

It does less than the processor (no prices, no rollups, no checks); its table's key makes it count each event once.
"""

from __future__ import annotations

import os

import faust
import psycopg

from services.contracts.stubs.spendstream.v1 import usage_pb2

TABLE = (
    "CREATE TABLE IF NOT EXISTS naive_event (event_id text PRIMARY KEY, occurred_at timestamptz, tenant_id text, "
    "provider text, model text, "
    "feature text, agent_id text, run_id text, request_id text, customer_id text, user_id text, channel text, "
    "region text, status integer, latency_ms bigint, input_uncached bigint, cache_read bigint, output_text bigint)"
)
_INSERT = (
    "INSERT INTO naive_event VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
    "ON CONFLICT DO NOTHING"
)


def row(event: usage_pb2.UsageEvent) -> tuple[object, ...]:
    usage = event.usage
    return (
        event.event_id, event.occurred_at.ToDatetime(), event.tenant_id, event.provider, event.model, event.feature,
        event.agent_id, event.run_id, event.request_id, event.customer_id, event.user_id, event.channel, event.region,
        event.status, event.latency_ms, usage.input_uncached, usage.cache_read, usage.output_text,
    )  # fmt: skip


def build(bootstrap: str, topic: str, dsn: str, group: str) -> faust.App:
    app = faust.App(group, broker=f"kafka://{bootstrap}", web_enabled=False, topic_disable_leader=True)
    events = app.topic(topic, key_serializer="raw", value_serializer="raw", value_type=bytes)
    # The plain driver is faster here than its asynchronous form: one agent has nothing else to do meanwhile.
    connection = psycopg.connect(dsn, autocommit=True)

    async def store(stream: faust.StreamT[bytes]) -> None:
        async for value in stream:
            connection.execute(_INSERT, row(usage_pb2.UsageEvent.FromString(value)))

    app.agent(events, name="store")(store)
    return app


def main() -> None:
    settings = os.environ
    app = build(
        settings["SPENDSTREAM_KAFKA_BOOTSTRAP"],
        settings["SPENDSTREAM_USAGE_TOPIC"],
        settings["SPENDSTREAM_DATABASE_DSN"],
        settings["SPENDSTREAM_CONSUMER_GROUP"],
    )
    faust.Worker(app, loglevel="WARNING").execute_from_commandline()


if __name__ == "__main__":
    main()
