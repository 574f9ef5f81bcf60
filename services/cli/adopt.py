"""`spendstream adopt`: an operator decides how to go on with a log that is not the one the ledger follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click
import psycopg
from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from services.cli.operating import EXIT_FAILED, Place, Refused, complaining, show_json, write_admin_log

_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Log:
    """What the broker has: the ids, and (first offset, end) by partition."""

    cluster_id: str
    topic_id: str
    bounds: dict[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Adoption:
    """A partition whose ledger does not fit its log, and the offset to go on from."""

    partition: int
    ledger_offset: int | None
    log_begin: int
    log_end: int
    next_offset: int
    why: str

    @property
    def lost(self) -> tuple[int, int] | None:
        """Offsets that are passed over without counting what was there."""
        if self.ledger_offset is None:
            return (0, self.next_offset) if self.next_offset else None
        return (self.ledger_offset, self.next_offset) if self.next_offset > self.ledger_offset else None

    def shown(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"lost_offsets": self.lost}


@click.command()
@click.option("--yes", is_flag=True, help="Do it; without it, only say what would be done.")
@click.option(
    "--from", "start", type=click.Choice(["beginning", "end"]), default="beginning", show_default=True,
    help="Where to go on in a log that is another one. From the beginning nothing is lost and nothing counts twice.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
def adopt(yes: bool, start: str, as_json: bool) -> None:
    """Go on after the usage topic was recreated, cut or restored, so that the ledger points outside the log.

    Exit code 1 while something waits for --yes. Every adoption is in the admin log; passed offsets are in ledger_gap.
    """
    waiting = complaining("adopt", lambda place: _adopt(place, yes=yes, start=start, as_json=as_json))
    raise SystemExit(EXIT_FAILED if waiting else 0)


def _adopt(place: Place, *, yes: bool, start: str, as_json: bool) -> bool:
    log = read_log(place)
    with psycopg.connect(place.database_dsn) as connection:
        adoptions = plan(log, _ledger(connection, log), _other_logs(connection, log, place.usage_topic), start)
        if yes and adoptions:
            _write(connection, log, place.usage_topic, adoptions)
    done = yes and bool(adoptions)
    if as_json:
        show_json({"adopted": done, "topic_id": log.topic_id, "partitions": [each.shown() for each in adoptions]})
    else:
        _say(adoptions, done=done)
    return bool(adoptions) and not yes


def _say(adoptions: Sequence[Adoption], *, done: bool) -> None:
    if not adoptions:
        click.echo("nothing to adopt: the ledger fits the log")
        return
    for each in adoptions:
        lost = f"; offsets {each.lost[0]} to {each.lost[1]} are given up" if each.lost else ""
        click.echo(f"partition {each.partition}: {each.why}; goes on at {each.next_offset}{lost}")
    click.echo("adopted; the processor goes on within seconds" if done else "nothing is changed; do it with --yes")


def read_log(place: Place) -> Log:
    """Raises KafkaException when the broker is away, Refused when it has no such topic."""
    topic, admin = place.usage_topic, AdminClient(place.kafka())
    try:
        described = admin.describe_topics(TopicCollection([topic]), request_timeout=_TIMEOUT_SECONDS)[topic].result()
    except KafkaException as error:
        raise Refused(f"topic {topic}: {error.args[0].str()}") from error
    cluster = admin.describe_cluster(request_timeout=_TIMEOUT_SECONDS).result()
    consumer = Consumer(place.kafka(group_id="spendstream-adopt"))
    try:
        bounds = {
            each.id: consumer.get_watermark_offsets(TopicPartition(topic, each.id), timeout=_TIMEOUT_SECONDS)
            for each in described.partitions
        }
    finally:
        consumer.close()
    return Log(str(cluster.cluster_id), str(described.topic_id), bounds)


def plan(log: Log, ledger: dict[int, int], follows_another: bool, start: str) -> list[Adoption]:
    """What doesn't fit, and how to go on. Pure. `ledger`: next offset by partition, of this very log."""
    adoptions = []
    for partition, (begin, end) in sorted(log.bounds.items()):
        offset = ledger.get(partition)
        chosen = begin if start == "beginning" else end
        if offset is None and follows_another and not ledger:
            adoptions.append(
                Adoption(partition, None, begin, end, chosen, "the topic is another one than the ledger's")
            )
        elif offset is not None and offset > end:
            why = f"the ledger is at {offset}, the log ends at {end}"
            adoptions.append(Adoption(partition, offset, begin, end, chosen, why))
        elif offset is not None and offset < begin:
            why = f"the ledger is at {offset}, the log begins at {begin}: {begin - offset} messages are deleted"
            adoptions.append(Adoption(partition, offset, begin, end, begin, why))
    return adoptions


def _ledger(connection: psycopg.Connection[Any], log: Log) -> dict[int, int]:
    rows = connection.execute(
        "SELECT kafka_partition, next_offset FROM ledger WHERE cluster_id = %s AND topic_id = %s",
        (log.cluster_id, log.topic_id),
    )
    return dict(rows.fetchall())


def _other_logs(connection: psycopg.Connection[Any], log: Log, topic: str) -> bool:
    query = "SELECT 1 FROM ledger WHERE topic = %s AND (cluster_id, topic_id) <> (%s, %s) LIMIT 1"
    return connection.execute(query, (topic, log.cluster_id, log.topic_id)).fetchone() is not None


def _write(connection: psycopg.Connection[Any], log: Log, topic: str, adoptions: Sequence[Adoption]) -> None:
    """One transaction. A worker that is still at it finds its token gone and ends."""
    for each in adoptions:
        key = (log.cluster_id, log.topic_id, each.partition)
        connection.execute(
            "INSERT INTO ledger (cluster_id, topic_id, kafka_partition, topic, next_offset, read_from) "
            "VALUES (%s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (cluster_id, topic_id, kafka_partition) DO UPDATE SET next_offset = EXCLUDED.next_offset, "
            "read_from = EXCLUDED.read_from, messages_read = 0, owner_token = NULL",
            (*key, topic, each.next_offset, each.next_offset),
        )
        if each.lost:
            connection.execute(
                "INSERT INTO ledger_gap (cluster_id, topic_id, kafka_partition, first_offset, next_offset, reason) "
                "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (*key, *each.lost, "deleted" if each.next_offset == each.log_begin else "abandoned"),
            )
    write_admin_log(
        connection, "adopt", topic, {"topic_id": log.topic_id, "partitions": [a.shown() for a in adoptions]}
    )
