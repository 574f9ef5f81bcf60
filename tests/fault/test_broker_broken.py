"""The broker, the consumer group, the topics: killed, forgotten, read again, away."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient

from services.cli.main import main
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.runtime.children import kill
from services.runtime.topics import ensure_topics
from tests.fault.conftest import Breakable
from tests.fault.system import System
from tests.fault.test_gateway_killed import Client, Gateway
from tests.integration.processor.running import wait_until
from tests.ledger import books


def test_the_broker_is_killed_and_started_again(system: System, breakable: Breakable) -> None:
    kafka = breakable.parts.kafka
    assert kafka is not None
    with system.watched(), system.kept(system.processor()):
        for _ in range(2):
            system.send(system.messages(20_000))
            time.sleep(system.draw.random() * 2)
            assert kafka.process is not None
            kill(kafka.process)
            kafka.relaunch()
            kafka.wait_ready()
        sending = threading.Thread(target=system.send, args=(system.messages(10_000),))
        sending.start()
        sending.join()
        system.assert_exact(120)


def test_what_the_gateway_accepted_counts_though_the_broker_died_under_it(system: System, breakable: Breakable) -> None:
    kafka = breakable.parts.kafka
    assert kafka is not None and kafka.process is not None
    batches = list(system.books.batches(16_000, size=100))
    gateway = Gateway(system)
    client = Client(gateway.grpc_port)
    with system.watched(), system.kept(system.processor()), ThreadPoolExecutor(8) as senders:
        sent = [senders.submit(client.send, batch) for batch in batches]
        try:
            wait_until(lambda: client.accepted > 0.3 * system.books.calls, "it accepts", 60)
            kill(kafka.process)
            wait_until(lambda: client.resent > 0, "without a broker nothing is accepted", 60)
            kafka.relaunch()
            kafka.wait_ready()
            for each in sent:
                each.result(90)
        finally:
            gateway.kill()
        assert client.accepted == system.books.calls
        system.assert_exact(120)


def test_the_consumer_group_is_deleted(system: System) -> None:
    processor = system.processor()
    with system.watched():
        processor.start()
        system.send(system.messages(10_000))
        system.wait_counted(5_000)
        processor.stop()
        admin = AdminClient({"bootstrap.servers": system.backends.kafka_bootstrap})
        group = system.topics.prefix + "group"
        _delete_group(admin, group)
        system.send(system.messages(10_000))
        processor.start()
        system.assert_exact()
    assert processor.stop() == 0


def _delete_group(admin: AdminClient, group: str) -> None:
    def deleted() -> bool:  # refused while the member that left is still remembered
        return admin.delete_consumer_groups([group])[group].exception(timeout=10) is None

    wait_until(deleted, "the group is deleted", 30)


def test_the_topic_is_read_again_from_its_beginning(system: System) -> None:
    processor = system.processor()
    processor.start()
    system.send(system.messages(20_000))
    system.assert_exact()
    processor.stop()
    with psycopg.connect(system.dsn) as connection:
        connection.execute("UPDATE ledger SET next_offset = 0")
    with system.watched(), system.kept(processor):
        wait_until(lambda: _duplicates(system) == system.books.calls, "all is read again", 60)
        system.assert_exact(all_read=False)


def test_the_topic_is_deleted_and_made_again_under_a_running_processor(system: System) -> None:
    topic, bootstrap = system.topics.usage_events.name, system.backends.kafka_bootstrap
    admin = AdminClient({"bootstrap.servers": bootstrap})
    processor = system.processor()
    with system.watched(), system.kept(processor) as keeper:
        system.send(system.messages(10_000))
        system.assert_exact()
        admin.delete_topics([topic])[topic].result(30)
        wait_until(lambda: topic not in admin.list_topics(timeout=5).topics, "deleted")
        ensure_topics(bootstrap, [system.topics.usage_events])
        system.send(system.messages(20_000))
        wait_until(lambda: "spendstream adopt" in processor.readiness()[1], "it waits and says what to do", 60)
        assert keeper.restarts > 0
        assert system.counted() < system.books.calls
        environment = {
            "SPENDSTREAM_DATABASE_DSN": system.dsn, "SPENDSTREAM_KAFKA_BOOTSTRAP": bootstrap,
            "SPENDSTREAM_USAGE_TOPIC": topic,
        }  # fmt: skip
        adopted = CliRunner().invoke(main, ["adopt", "--yes"], env=environment)
        assert adopted.exit_code == 0, adopted.output
        system.assert_exact(all_read=False)


def _duplicates(system: System) -> int:
    with psycopg.connect(system.dsn) as connection:
        row = connection.execute("SELECT sum(duplicate) FROM ledger").fetchone()
    return int(row[0]) if row else 0


def test_without_the_dead_letter_topic_nothing_is_committed_and_nothing_lost(system: System) -> None:
    topic = replace(system.topics.dead_letter, name=system.topics.dead_letter.name + ".missing")
    processor = system.processor(DEAD_LETTER_TOPIC=topic.name)
    bad = books(1).event("acme")
    bad.model = ""
    system.send([usage_pb2.UsageBatch(events=[bad]).SerializeToString()])
    with system.watched(), system.kept(processor):
        wait_until(lambda: processor.said("dead letters were not taken"), "it says so", 90)
        system.send(system.messages(5_000))
        assert system.counted() == 0
        assert processor.read() == 0
        ensure_topics(system.backends.kafka_bootstrap, [topic])
        system.assert_exact(120)
    processor.stop()
    admin = AdminClient({"bootstrap.servers": system.backends.kafka_bootstrap})
    admin.delete_topics([topic.name])[topic.name].result(10)
