"""One flush, one transaction: ledger, identities, events, rollups, runs, marks. Nothing of a flush without the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import psycopg
import pyarrow as pa
import structlog
from psycopg.errors import UniqueViolation

from services.contracts.errors import Crash
from services.contracts.rollups import ROLLUPS
from services.processor import halts, ledger
from services.processor.batch import DeadEvent, Decoded, Place, QuarantinedEvent, Span
from services.processor.copying import (
    IDENTITY_COLUMNS,
    RUN_COLUMNS,
    UNPRICED_COLUMNS,
    rollup_columns,
)
from services.processor.forgotten import without_forgotten
from services.processor.gaps import FirstReadable, confirm, holes, nothing_confirmed
from services.processor.identify import conflict
from services.processor.marks import mark_dirty, mark_unmerged
from services.processor.prepare import Flush, encode
from services.processor.sending import copy, copy_rows
from services.processor.statements import (
    ADVANCE,
    INSERT_IDENTITIES,
    LOSERS,
    QUARANTINE,
    STAGES,
    UPSERT_RUNS,
)

log = structlog.get_logger()
T = TypeVar("T")

# After a duplicate was met, that many flushes are looked at before they are copied: duplicates come in swarms (a
# replay, retries).
_WARY_FLUSHES = 20
_RETRY_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a flush's events; the four add up to what was read and not applied before."""

    counted: int = 0
    duplicate: int = 0
    dead: int = 0
    quarantined: int = 0


class Store:
    """The database side of one worker. Not thread-safe: all calls come from one thread, in order.

    `publish_dead` delivers dead letters and returns when the broker has them. `first_readable` reads the log again
    where offsets are missing.
    """

    def __init__(
        self,
        dsn: str,
        stream: ledger.Stream,
        publish_dead: Callable[[Sequence[DeadEvent]], None],
        sleep: Callable[[float], None] = time.sleep,
        first_readable: FirstReadable = nothing_confirmed,
    ) -> None:
        self._dsn = dsn
        self._stream = stream
        self._publish_dead = publish_dead
        self._sleep = sleep
        self._first_readable = first_readable
        self._connection: psycopg.Connection | None = None
        self._claims: dict[int, ledger.Claim] = {}
        self._wary_left = 0
        self._violated = False

    @property
    def wary(self) -> bool:
        """Whether duplicates are to be expected, so that a flush should be screened; may be asked from any thread."""
        return self._wary_left > 0

    def connection(self) -> psycopg.Connection:
        """The worker's connection, opened when it is missing; autocommit, UTC."""
        if self._connection is None or self._connection.closed:
            connection = psycopg.connect(
                self._dsn, autocommit=True, options="-c timezone=UTC", application_name=self._name()
            )
            for stage in STAGES:
                connection.execute(stage)
            self._connection = connection
        return self._connection

    def close(self) -> None:
        self._discard()

    def claim(self, partitions: Iterable[int]) -> dict[int, int]:
        """Takes over exactly these partitions; the offsets to read on from. Crashes for a topic that was recreated."""

        def attempt() -> dict[int, ledger.Claim]:
            connection = self.connection()
            foreign = ledger.foreign_topic(connection, self._stream)
            if foreign:
                raise Crash(foreign)
            reason = halts.halted(connection, self._stream)
            if reason:
                raise Crash(f"the stream is halted: {reason}")
            return ledger.claim(connection, self._stream, partitions)

        self._hold(self._until_there(attempt))
        return {partition: claim.next_offset for partition, claim in self._claims.items()}

    def follow(self, other: Store) -> None:
        """Works under the claims of another store of the same worker from now on."""
        self._hold(other._claims)

    def _hold(self, claims: dict[int, ledger.Claim]) -> None:
        self._claims = claims
        if self._connection is not None and not self._connection.closed:
            try:
                self._connection.execute("SELECT set_config('application_name', %s, false)", (self._name(),))
            except psycopg.OperationalError:
                self._discard()  # the next one is opened by that name

    def _name(self) -> str:
        return ledger.connection_name(next((claim.token for claim in self._claims.values()), None))

    def halt(self, reason: str) -> None:
        """Stops the stream until an operator resumes it."""
        self._until_there(lambda: halts.halt(self.connection(), self._stream, reason))

    def dead_allowance(self) -> int:
        """Dead events that may be buried without counting as a sign that something is wrong."""
        return self._until_there(lambda: halts.allowance_events(self.connection(), self._stream))

    def apply(self, flush: Flush) -> Applied:
        """Commits the flush, however often that takes while the database is away. Rows applied before are left out.

        Raises Crash when a partition belongs to another worker by now, or messages were missed; Retry when the dead
        can't be delivered or the log can't be asked now.
        """
        return self._until_there(lambda: self._apply(flush))

    def _until_there(self, attempt: Callable[[], T]) -> T:
        wait = 0.05
        while True:
            try:
                return attempt()
            except UniqueViolation:
                # After an error inside COPY the connection is not to be trusted.
                self._discard()
                self._violated = True
                self._wary_left = _WARY_FLUSHES
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if not _passing(error):
                    raise
                log.warning("database is away, trying again", error=str(error).splitlines()[0], wait_seconds=wait)
                self._discard()
                self._sleep(wait)
                wait = min(wait * 2, _RETRY_SECONDS_MAX)

    def _discard(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _apply(self, flush: Flush) -> Applied:
        owned = {partition: held for partition, held in self._claims.items() if partition in flush.decoded.spans}
        if not owned:
            return Applied()
        connection = self.connection()
        with connection.transaction():
            next_offsets = ledger.lock(connection, self._stream, owned)
            flush = _not_applied_yet(flush, next_offsets)
            missing = holes(flush.decoded.spans, next_offsets)
            if missing:
                ledger.record_gaps(connection, self._stream, confirm(missing, self._first_readable))
            flush = without_forgotten(connection, flush)
            flush, duplicates = self._identify(connection, flush)
            self._write(connection, flush)
            if flush.decoded.dead:
                self._publish_dead(flush.decoded.dead)
            self._advance(connection, flush.decoded, duplicates)
        self._violated = False
        self._wary_left = _WARY_FLUSHES if duplicates else max(0, self._wary_left - 1)
        decoded = flush.decoded
        return Applied(flush.count, len(duplicates), len(decoded.dead), len(decoded.quarantined))

    def _identify(self, connection: psycopg.Connection, flush: Flush) -> tuple[Flush, list[Place]]:
        """Writes the identities; what was counted before leaves the flush. Optimistic where none is expected."""
        repeats = list(flush.decoded.repeats)
        if not flush.count:
            return flush, repeats
        if not self._violated and (flush.screened or not self.wary):
            copy(connection, "event_identity", IDENTITY_COLUMNS, flush.identities)
            return flush, repeats
        stage = flush.decoded.table.append_column("row_no", pa.array(np.arange(flush.count, dtype=np.int32)))
        columns = ("row_no", *IDENTITY_COLUMNS)
        copy_rows(connection, "identity_stage", columns, stage)
        if connection.execute(INSERT_IDENTITIES).rowcount == flush.count:
            return flush, repeats
        losers = connection.execute(LOSERS).fetchall()
        return _without(flush, losers, repeats), repeats

    def _write(self, connection: psycopg.Connection, flush: Flush) -> None:
        if flush.count:
            copy(connection, "usage_event", flush.event_columns, flush.events)
            for rollup in ROLLUPS:
                data = flush.rollups.get(rollup.base_table)
                if data:
                    copy(connection, rollup.base_table, rollup_columns(rollup), data)
            mark_unmerged(connection, flush.rollup_rows)
            if flush.runs:
                copy(connection, "stage_run_base", RUN_COLUMNS, flush.runs)
                connection.execute(UPSERT_RUNS)
            if flush.unpriced:
                copy(connection, "unpriced_event", UNPRICED_COLUMNS, flush.unpriced)
            mark_dirty(connection, flush.minutes)
        if flush.decoded.quarantined:
            rows = [_quarantine_row(event) for event in flush.decoded.quarantined]
            connection.cursor().executemany(QUARANTINE, rows)

    def _advance(self, connection: psycopg.Connection, decoded: Decoded, duplicates: list[Place]) -> None:
        counted = _count_by_partition(decoded)
        for partition, span in sorted(decoded.spans.items()):
            connection.execute(
                ADVANCE,
                {
                    "cluster": self._stream.cluster_id,
                    "topic_id": self._stream.topic_id,
                    "partition": partition,
                    "next": span.next_offset,
                    "through": span.through_us / 1e6,
                    "messages": sum(place[0] == partition for place in decoded.read),
                    "events": sum(events for place, events in decoded.read.items() if place[0] == partition),
                    "counted": counted.get(partition, 0),
                    "duplicate": sum(place.partition == partition for place in duplicates),
                    "dead": sum(event.place.partition == partition for event in decoded.dead),
                    "quarantined": sum(event.place.partition == partition for event in decoded.quarantined),
                },
            )


# SQLSTATE classes that pass: connection lost, deadlock and serialization, resources (a full disk too), lock not
# available, operator intervention, system error.
_PASSING = ("08", "40", "53", "55", "57", "58")
_PROTOCOL_VIOLATION = "08P01"


def _passing(error: psycopg.Error) -> bool:
    state = error.sqlstate
    return state is None or (state[:2] in _PASSING and state != _PROTOCOL_VIOLATION)


def _count_by_partition(decoded: Decoded) -> dict[int, int]:
    if not len(decoded.table):
        return {}
    partitions, counts = np.unique(np.asarray(decoded.table.column("kafka_partition")), return_counts=True)
    return dict(zip(partitions.tolist(), counts.tolist(), strict=True))


def _not_applied_yet(flush: Flush, next_offsets: Mapping[int, int]) -> Flush:
    """The flush without what the ledger has already, or what isn't this worker's; the same object in the usual case."""
    decoded = flush.decoded
    if all(p in next_offsets and span.first_offset >= next_offsets[p] for p, span in decoded.spans.items()):
        return flush

    def new(place: Place) -> bool:
        return place.partition in next_offsets and place.offset >= next_offsets[place.partition]

    table = decoded.table
    partitions, offsets = (table.column(name).to_pylist() for name in ("kafka_partition", "kafka_offset"))
    mask = np.array([new(Place(p, o, 0)) for p, o in zip(partitions, offsets, strict=True)], dtype=bool)
    spans = {
        p: Span(
            max(span.first_offset, next_offsets[p]),
            span.next_offset,
            span.through_us,
            tuple(hole for hole in span.holes if hole[1] > next_offsets[p]),
        )
        for p, span in decoded.spans.items()
        if p in next_offsets and span.next_offset > next_offsets[p]
    }
    kept = Decoded(
        table,
        decoded.payloads,
        [event for event in decoded.dead if new(event.place)],
        [event for event in decoded.quarantined if new(event.place)],
        [place for place in decoded.repeats if new(place)],
        spans,
        decoded.admitted,
        {place: events for place, events in decoded.read.items() if new(Place(*place, 0))},
    )
    kept.keep(mask)
    return encode(kept)


def _without(flush: Flush, losers: Sequence[tuple[int, bool]], repeats: list[Place]) -> Flush:
    """The flush without the rows counted before: equal content joins `repeats`, other content is dead."""
    decoded = flush.decoded
    left = Decoded(
        decoded.table,
        decoded.payloads,
        list(decoded.dead),
        decoded.quarantined,
        decoded.repeats,
        decoded.spans,
        decoded.admitted,
        decoded.read,
    )
    repeats += decoded.places([row for row, same in losers if same])
    left.dead += [conflict(decoded, row) for row, same in losers if not same]
    taken = np.zeros(flush.count, dtype=bool)
    taken[[row for row, _ in losers]] = True
    left.keep(~taken)
    return encode(left)


def _quarantine_row(event: QuarantinedEvent) -> dict[str, object]:
    return {
        "tenant": event.tenant_id,
        "event": event.event_id,
        "occurred": event.occurred_us / 1e6,
        "payload": event.payload,
        "partition": event.place.partition,
        "offset": event.place.offset,
        "received": event.received_us / 1e6,
    }
