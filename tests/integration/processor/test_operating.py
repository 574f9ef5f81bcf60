"""What an operator meets: gaps, halts, dead letters, quarantine, another topic, a stream that stands still."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from services.cli.main import main
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.runtime.embedded.backends import Backends
from services.runtime.topics import ensure_topics
from tests.backends import FreshTopics
from tests.integration.processor.running import Processor, produce, serialized, wait_settled, wait_until
from tests.ledger import books
from tests.relay import Relay


class Operator:
    """Runs commands on these backends."""

    def __init__(self, backends: Backends, dsn: str, topics: FreshTopics) -> None:
        self.backends = backends
        self._environment = {
            "SPENDSTREAM_DATABASE_DSN": dsn,
            "SPENDSTREAM_KAFKA_BOOTSTRAP": backends.kafka_bootstrap,
            "SPENDSTREAM_USAGE_TOPIC": topics.usage_events.name,
            "SPENDSTREAM_DEAD_LETTER_TOPIC": topics.dead_letter.name,
        }

    def run(self, *arguments: str, code: int = 0) -> Any:  # noqa: ANN401
        done = CliRunner().invoke(main, [*arguments, "--json"], env=self._environment)
        assert done.exit_code == code, (done.output, done.exception)
        return json.loads(done.stdout) if done.stdout else done.stderr


@pytest.fixture
def operator(backends: Backends, database: str, kafka_topics: FreshTopics) -> Operator:
    return Operator(backends, database, kafka_topics)


@pytest.fixture
def processor(backends: Backends, database: str, kafka_topics: FreshTopics, tmp_path: Path) -> Processor:
    return Processor(
        backends.kafka_bootstrap, database, kafka_topics, tmp_path / "processor.log", settings={"STUCK_SECONDS": "4"}
    )


def one(dsn: str, query: str, *values: object) -> Any:  # noqa: ANN401
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query, values).fetchone()
        return row[0] if row else None


def test_offsets_taken_by_marks_of_transactions_are_passed_and_the_rest_counts(
    database: str, kafka_topics: FreshTopics, backends: Backends, processor: Processor
) -> None:
    producer = books(3)
    client = Producer({"bootstrap.servers": backends.kafka_bootstrap, "transactional.id": kafka_topics.prefix})
    client.init_transactions(30)
    for batch in producer.batches(300, size=50):
        client.begin_transaction()
        client.produce(kafka_topics.usage_events.name, batch.SerializeToString(), b"k", partition=0)
        client.commit_transaction(30)
    processor.start()
    try:
        processor.wait_read(producer.calls)
        # The log ends with such a mark: nothing waits there, so nothing stands still.
        wait_until(lambda: processor.readiness()[0] == 200, "ready")
        wait_settled(database, producer.cost_usd, seconds=6)
        assert processor.running()
    finally:
        processor.stop()
    assert one(database, "SELECT count(*) FROM ledger_gap WHERE reason = 'empty'") == 5
    assert one(database, "SELECT sum(counted) FROM ledger") == producer.calls


def test_nearly_all_bad_halts_the_stream_until_an_operator_resumes_it(
    database: str, kafka_topics: FreshTopics, backends: Backends, processor: Processor, operator: Operator
) -> None:
    bad = books(4).event("acme")
    bad.model = ""
    messages = [usage_pb2.UsageBatch(events=[bad] * 100).SerializeToString()] * 100
    before = one(database, "SELECT sum(dead_lettered) FROM ledger") or 0
    produce(backends.kafka_bootstrap, kafka_topics.usage_events.name, messages)
    processor.start()
    assert processor.wait_ended() == 70
    buried = one(database, "SELECT sum(dead_lettered) FROM ledger") - before
    assert buried < 5_000
    processor.start()
    try:
        wait_until(lambda: "can't be counted" in processor.readiness()[1], "readiness says why")
        assert processor.readiness()[0] == 503
        assert one(database, "SELECT sum(dead_lettered) FROM ledger") - before == buried, "nothing more is buried"
        assert operator.run("dlq", "resume", "--bury", "20000")["resumed"] == 1
        wait_until(lambda: one(database, "SELECT sum(dead_lettered) FROM ledger") - before == 10_000, "it goes on")
        wait_until(lambda: processor.readiness()[0] == 200, "ready again")
    finally:
        processor.stop()
    assert operator.run("dlq", "resume")["resumed"] == 0


def test_dead_letters_are_listed_shown_and_sent_again(
    database: str, kafka_topics: FreshTopics, backends: Backends, processor: Processor, operator: Operator
) -> None:
    event = books(5).event("letters")
    changed = usage_pb2.UsageEvent()
    changed.CopyFrom(event)
    changed.usage.output_text += 1
    values = [usage_pb2.UsageBatch(events=[each]).SerializeToString() for each in (event, changed)]
    processor.start()
    try:
        already = processor.read()
        produce(backends.kafka_bootstrap, kafka_topics.usage_events.name, [values[0]])
        processor.wait_read(already + 1)
        produce(backends.kafka_bootstrap, kafka_topics.usage_events.name, [values[1]])
        processor.wait_read(already + 2)
        listed = operator.run("dlq", "list", "--tenant", "letters")
        assert listed["counts"] == [{"reason": "conflict", "tenant_id": "letters", "letters": 1}]
        place = listed["letters"][0]["place"]
        shown = operator.run("dlq", "show", place)
        assert shown["payload_hex"] == changed.SerializeToString().hex()
        assert shown["event"]["event_id"] == event.event_id
        assert operator.run("dlq", "replay", place) == {"sent": 1}
        processor.wait_read(already + 3)
        assert len(operator.run("dlq", "list", "--tenant", "letters")["letters"]) == 2, "a conflict stays one"
        assert "no dead letter is at 9:9:9" in operator.run("dlq", "show", "9:9:9", code=1)
    finally:
        processor.stop()
    assert one(database, "SELECT count(*) FROM admin_log WHERE action = 'dlq.replay'") == 1


def test_a_quarantined_event_that_is_admitted_counts_once_when_it_happened(
    database: str, kafka_topics: FreshTopics, backends: Backends, processor: Processor, operator: Operator
) -> None:
    producer = books(6, tenants=("late",))
    at = producer.now - timedelta(days=40)
    event = producer.event("late", at)
    processor.start()
    try:
        already = processor.read()
        produce(
            backends.kafka_bootstrap,
            kafka_topics.usage_events.name,
            [usage_pb2.UsageBatch(events=[event]).SerializeToString()],
        )
        processor.wait_read(already + 1)
        assert [row["event_id"] for row in operator.run("quarantine", "list", "--tenant", "late")["events"]] == [
            event.event_id
        ]
        assert operator.run("quarantine", "admit", "--tenant", "late") == {"admitted": 1}
        processor.wait_read(already + 2)
        assert operator.run("quarantine", "admit", "--tenant", "late") == {"admitted": 0}
        assert operator.run("quarantine", "list", "--tenant", "late")["total"] == 0
    finally:
        processor.stop()
    query = "SELECT array_agg(occurred_at) FROM usage_event JOIN tenant USING (tenant_no) WHERE tenant_id = 'late'"
    assert one(database, query) == [at]
    assert one(database, "SELECT count(*) FROM admin_log WHERE action = 'quarantine.admit'") == 1


def test_a_stream_that_stands_still_is_said_ended_and_goes_on_after_a_restart(
    database: str, kafka_topics: FreshTopics, backends: Backends, processor: Processor
) -> None:
    producer = books(8)
    processor.start()
    already = processor.read()
    wait_until(lambda: processor.readiness()[0] == 200, "ready")
    with psycopg.connect(database) as blocker:
        blocker.execute("SELECT 1 FROM ledger FOR UPDATE")
        produce(backends.kafka_bootstrap, kafka_topics.usage_events.name, serialized(producer.batches(500)))
        assert processor.wait_ended() == 70
        assert processor.said("stands still")
    processor.start()
    try:
        processor.wait_read(already + producer.calls)
    finally:
        assert processor.stop() == 0


def test_asked_to_stop_it_ends_while_the_database_is_away_and_what_was_under_way_is_read_again(
    database: str, kafka_topics: FreshTopics, backends: Backends, processor: Processor, tmp_path: Path
) -> None:
    producer = books(12)
    with Relay(database) as relay:
        cut_off = Processor(backends.kafka_bootstrap, relay.dsn, kafka_topics, tmp_path / "cut_off.log", "cut-off")
        cut_off.start()
        try:
            already = processor.read()
            # So that it knows the tenants, and the next flush gets as far as the store.
            produce(backends.kafka_bootstrap, kafka_topics.usage_events.name, serialized(producer.batches(500)))
            cut_off.wait_read(already + producer.calls)
            relay.cut()
            produce(backends.kafka_bootstrap, kafka_topics.usage_events.name, serialized(producer.batches(500)))
            wait_until(lambda: cut_off.said("database is away, trying again"), "a flush waits for the database")
            cut_off.process.terminate()
            # `spendstream up` kills what takes longer.
            assert cut_off.wait_ended(10) == 0
        finally:
            cut_off.process.kill()
    processor.start()
    try:
        processor.wait_read(already + producer.calls)
    finally:
        assert processor.stop() == 0


def test_a_recreated_topic_is_refused_until_it_is_adopted(
    database: str, kafka_topics: FreshTopics, backends: Backends, processor: Processor, operator: Operator
) -> None:
    producer, draw = books(9), random.Random(9)
    values = serialized(producer.batches(2_000, size=100))
    already = one(database, "SELECT count(*) FROM usage_event")
    assert operator.run("adopt")["partitions"] == []
    topic = kafka_topics.usage_events.name
    admin = AdminClient({"bootstrap.servers": backends.kafka_bootstrap})
    admin.delete_topics([topic])[topic].result(30)
    wait_until(lambda: topic not in admin.list_topics(timeout=5).topics, "deleted")
    ensure_topics(backends.kafka_bootstrap, [kafka_topics.usage_events])
    draw.shuffle(values)
    produce(backends.kafka_bootstrap, topic, values)
    processor.start()
    try:
        wait_until(lambda: "spendstream adopt" in processor.readiness()[1], "it waits and says what to do")
        assert processor.readiness()[0] == 503
        assert len(operator.run("adopt", code=1)["partitions"]) == 4
        assert operator.run("adopt", "--yes")["adopted"]
        wait_until(lambda: one(database, "SELECT count(*) FROM usage_event") == already + producer.calls, "all counted")
    finally:
        assert processor.stop() == 0
    assert one(database, "SELECT count(*) FROM admin_log WHERE action = 'adopt'") == 1
    _cut(backends, topic)
    processor.start()
    try:
        wait_until(lambda: processor.readiness()[0] == 200, "messages deleted after they were counted hurt nobody")
    finally:
        processor.stop()


def _cut(backends: Backends, topic: str) -> None:
    """Deletes all messages of the topic."""
    admin = AdminClient({"bootstrap.servers": backends.kafka_bootstrap})
    for future in admin.delete_records([TopicPartition(topic, partition, -1) for partition in range(4)]).values():
        future.result(30)


def test_messages_deleted_before_they_were_counted_are_said_and_given_up_only_by_an_operator(
    database: str, kafka_topics: FreshTopics, backends: Backends, processor: Processor, operator: Operator
) -> None:
    lost, kept = books(10, tenants=("lost",)), books(11, tenants=("kept",))
    topic = kafka_topics.usage_events.name
    produce(backends.kafka_bootstrap, topic, serialized(lost.batches(100, size=10)))
    _cut(backends, topic)
    produce(backends.kafka_bootstrap, topic, serialized(kept.batches(100, size=10)))
    processor.start()
    try:
        wait_until(lambda: "were deleted before they were counted" in processor.readiness()[1], "it waits and says why")
        assert one(database, "SELECT count(*) FROM tenant WHERE tenant_id = 'kept'") == 0
        adopted = operator.run("adopt", "--yes")
        assert adopted["adopted"]
        query = "SELECT count(*) FROM usage_event JOIN tenant USING (tenant_no) WHERE tenant_id = 'kept'"
        wait_until(lambda: one(database, query) == 100, "the rest counts")
    finally:
        processor.stop()
    gaps = one(database, "SELECT sum(next_offset - first_offset) FROM ledger_gap WHERE reason = 'deleted'")
    assert gaps == 10, "ten messages, by their offsets"
