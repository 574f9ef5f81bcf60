"""One audit: everything in one snapshot; what was right before and looks the same is not compared again."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg

from services.audit import fingerprints, ledger, statements
from services.audit.checkpoint import (
    RULES_VERSION,
    Scope,
    forget_checkpoints,
    read_checkpoints,
    read_floors,
    read_left_off,
    save_checkpoints,
    save_left_off,
)
from services.audit.identities import Looks, build_identities
from services.audit.ledger import BrokerEnds
from services.audit.report import Difference, Identity, PartitionRow, Report
from services.audit.spans import Round, Span
from services.audit.statements import DIFFERENCES_MAX, Relation
from services.contracts.rollups import BUILT, FAMILIES, LEVEL_SECONDS

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
_ALWAYS: Final = datetime(1, 1, 2, tzinfo=UTC)
_NEVER: Final = datetime(9998, 1, 1, tzinfo=UTC)
_STATEMENT_SECONDS_MAX: Final = 120
# A range is compared by one scan: few of them, but none that takes more than some seconds.
EVENTS_PER_RANGE: Final = 150_000
_RANGE_MAX: Final = timedelta(days=31)
HOUR_RELATIONS: Final[tuple[Relation, ...]] = tuple(
    (rollup, level) for rollup in FAMILIES for level in rollup.levels if level != "day"
)
DAY_RELATIONS: Final[tuple[Relation, ...]] = tuple((rollup, "day") for rollup in FAMILIES)
# From when on anything is kept, and the database's clock. Days are kept longer than minutes.
_EXTENT: Final = (
    "SELECT least(first.bucket, (SELECT min(bucket) FROM usage_day WHERE bucket < first.bucket)), now() "
    "FROM (SELECT min(bucket) AS bucket FROM usage_minute_base) AS first"
)
_Found = tuple[str, datetime, int, str, int, int]
"""Relation, bucket, tenant number, measure, expected, found."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to audit: [start, end) on UTC midnights, everything by default. `tenants` not None: only these tenants'
    figures, without the ledger and from scratch. `full`: what was found right before is compared again, too.
    `ends`: where the broker says the log begins and ends, None when it was not asked. `seconds_max`: after about so
    long what is left is named; the next audit of everything begins with the newest days and goes on there."""

    start: datetime = _ALWAYS
    end: datetime = _NEVER
    tenants: tuple[int, ...] | None = None
    full: bool = False
    ends: BrokerEnds | None = None
    seconds_max: float | None = None

    @property
    def everything(self) -> bool:
        return (self.start, self.end, self.tenants) == (_ALWAYS, _NEVER, None)


@dataclass(frozen=True, slots=True)
class Remembered:
    """By scope: fingerprints of buckets that were right, and buckets to be forgotten. `left_off`: where the next audit
    of everything goes on after the newest days."""

    right: Mapping[Scope, Mapping[datetime, str]]
    wrong: Mapping[Scope, Sequence[datetime]]
    left_off: datetime | None = None


@dataclass(slots=True)
class _Seen:
    """What was seen of one snapshot, or of a span of it."""

    floors: dict[str, datetime]
    closed_through: datetime
    waiting: list[datetime]
    deadline: float = math.inf
    looks: dict[str, Looks] = field(default_factory=dict)
    found: list[_Found] = field(default_factory=list)
    right: dict[Scope, dict[datetime, str]] = field(default_factory=dict)
    wrong: dict[Scope, list[datetime]] = field(default_factory=dict)
    checked: int = 0
    known: int = 0
    # The deadline came before all of it was compared.
    stopped: bool = False

    @property
    def late(self) -> bool:
        return time.monotonic() > self.deadline

    @property
    def enough(self) -> bool:
        return self.late or len(self.found) >= DIFFERENCES_MAX

    def span(self) -> _Seen:
        """The same snapshot's, with nothing seen yet."""
        return _Seen(self.floors, self.closed_through, self.waiting, self.deadline)

    def add(self, span: _Seen) -> None:
        for name, looks in span.looks.items():
            self.looks[name] = Looks({**self.looks.get(name, Looks({})).rows, **looks.rows})
        for scope, right in span.right.items():
            self.right.setdefault(scope, {}).update(right)
        for scope, wrong in span.wrong.items():
            self.wrong.setdefault(scope, []).extend(wrong)
        self.found += span.found
        self.checked += span.checked
        self.known += span.known


def run_audit(connection: psycopg.Connection, question: Question) -> Report:
    """Checks the identities of section "Trust"; remembers, in a transaction of its own, which buckets were right.

    `connection` is in autocommit and UTC, and may write `audit_checkpoint` (else nothing is remembered). Raises
    psycopg.Error when the database is away or a statement takes too long.
    """
    began = time.monotonic()
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        report, remembered = audit_snapshot(connection, question)
    if question.tenants is None:
        _remember(connection, question, remembered)
    return replace(report, seconds=time.monotonic() - began)


def audit_snapshot(connection: psycopg.Connection, question: Question) -> tuple[Report, Remembered]:
    """The audit within a transaction that sees one snapshot, and what is to be remembered of it."""
    connection.execute(f"SET LOCAL statement_timeout = {_STATEMENT_SECONDS_MAX * 1000}")
    round_ = _round(connection, question)
    # Ranges are read whole: an index would fetch their rows one by one, in its own order.
    connection.execute("SET LOCAL enable_indexscan = off")
    connection.execute("SET LOCAL jit = off")
    connection.execute("SET LOCAL work_mem = '128MB'")
    seen = _open(connection, question)
    looked_at = 0
    # The newest days, and some of the older ones, have their turn in any case.
    while (span := round_.next_span()) is not None and not (looked_at > 1 and seen.enough):
        began = time.monotonic()
        part = _audit_span(connection, replace(question, start=span.start, end=span.end), seen)
        seen.add(part)
        if part.stopped:
            break
        round_.done(time.monotonic() - began)
        looked_at += 1
    tenants: dict[int, str] = dict(connection.execute("SELECT tenant_no, tenant_id FROM tenant").fetchall())
    differences = [_difference(one, seen, tenants) for one in seen.found]
    identities = build_identities(differences, seen.looks)
    rows = ledger.read_ledger(connection) if question.tenants is None else ()
    if question.tenants is None:
        identities = [*_ledger_identities(connection, question, seen, rows), *identities]
    through = read_data_through(connection)
    report = Report(
        tuple(identities), rows, tuple(seen.waiting), through, seen.checked, seen.known, 0.0, tuple(round_.left())
    )
    return report, Remembered(seen.right, seen.wrong, round_.left_off())


def _open(connection: psycopg.Connection, question: Question) -> _Seen:
    """The snapshot with nothing seen of it yet but what waits and what is closed."""
    deadline = math.inf if question.seconds_max is None else time.monotonic() + question.seconds_max
    floors = read_floors(connection)
    state = connection.execute("SELECT closed_through FROM rollup_state").fetchone()
    waiting = [row[0] for row in connection.execute("SELECT DISTINCT bucket FROM dirty_bucket ORDER BY 1").fetchall()]
    return _Seen(floors, state[0] if state else _ALWAYS, waiting, deadline)


def _round(connection: psycopg.Connection, question: Question) -> Round:
    """What is to be audited: all at once where there is time, else span after span."""
    whole = Span(question.start, question.end)
    if question.seconds_max is None:
        return Round(whole)
    row = connection.execute(_EXTENT).fetchone()
    if row is None or row[0] is None:
        return Round(whole)
    first, today = (_floor(moment, DAY) for moment in row)
    left_off = read_left_off(connection) if question.everything else None
    return Round(whole, first, today - DAY, left_off)


def _audit_span(connection: psycopg.Connection, question: Question, whole: _Seen) -> _Seen:
    seen = _look(connection, question, whole.span())
    _check_hours(connection, question, seen)
    if not seen.stopped:
        _check_days(connection, question, seen)
        _check_runs(connection, question, seen)
    return seen


def _ledger_identities(
    connection: psycopg.Connection, question: Question, seen: _Seen, rows: Sequence[PartitionRow]
) -> list[Identity]:
    return [
        ledger.read_equals_outcomes(rows),
        ledger.offsets_equal_messages(connection),
        ledger.offsets_within_log(rows, question.ends),
        ledger.counted_equals_kept(connection, seen.floors),
    ]


def _look(connection: psycopg.Connection, question: Question, seen: _Seen) -> _Seen:
    """What every bucket looks like."""

    def look(name: str, query: str) -> None:
        start = max(question.start, seen.floors.get(name, _ALWAYS))
        rows = connection.execute(query.encode(), {"start": start, "end": question.end}).fetchall()
        seen.looks[name] = Looks({row[0]: tuple(int(value or 0) for value in row[1:]) for row in rows})

    look("usage_event", fingerprints.of_raw(question.tenants))
    for table, time_column, columns in (*fingerprints.BESIDE_RAW, fingerprints.RUNS):
        look(table, fingerprints.of_table(table, time_column, columns, question.tenants))
    for rollup, level in (*HOUR_RELATIONS, *DAY_RELATIONS):
        look(rollup.view(level), fingerprints.of_rollup(rollup, level, question.tenants))
    return seen


def _print(seen: _Seen, names: Iterable[str], bucket: datetime, more: str = "") -> str:
    """The fingerprint of a bucket over some relations."""
    parts = [f"{name}={seen.looks[name].rows.get(bucket, ())}" for name in names]
    text = f"{RULES_VERSION};{';'.join(parts)};{more}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


_HOUR_NAMES: Final = (
    "usage_event", *(table for table, _, _ in fingerprints.BESIDE_RAW),
    *(rollup.view(level) for rollup, level in HOUR_RELATIONS),
)  # fmt: skip
_DAY_NAMES: Final = tuple(rollup.view(level) for rollup, level in DAY_RELATIONS)


def _unknown(
    connection: psycopg.Connection, question: Question, scope: Scope, prints: Mapping[datetime, str]
) -> list[datetime]:
    """The buckets that have to be compared, in order."""
    if question.full or question.tenants is not None:
        return sorted(prints)
    known = read_checkpoints(connection, scope)
    return sorted(bucket for bucket, print_ in prints.items() if known.get(bucket) != print_)


def _check_hours(connection: psycopg.Connection, question: Question, seen: _Seen) -> None:
    """Raw events against everything that is built hour by hour or finer, the newest first."""
    raw_floor = seen.floors.get("usage_event", _ALWAYS)
    hours = {hour for name in _HOUR_NAMES for hour in seen.looks[name].rows if hour >= raw_floor}
    prints = {hour: _print(seen, _HOUR_NAMES, hour) for hour in hours}
    unknown = _unknown(connection, question, "hour", prints)
    compared: list[datetime] = []
    planned = list(ranges(unknown, prints, HOUR, seen.floors.values(), seen.looks["usage_event"].rows))
    for start, end in reversed(planned):
        if compared and seen.late:
            seen.stopped = True
            break
        compared += [hour for hour in unknown if start <= hour < end]
        relations = [(r, level) for r, level in HOUR_RELATIONS if start >= seen.floors.get(r.view(level), _ALWAYS)]
        queries = [statements.differences(relations, question.tenants), statements.unpriced(question.tenants)]
        if start >= seen.floors.get("event_identity", _ALWAYS):
            queries.append(statements.identities(question.tenants))
        if start >= seen.floors.get("usage_minute", _ALWAYS):
            queries.append(statements.attempts(question.tenants))
        if start >= seen.floors.get("run_base", _ALWAYS):
            queries.append(statements.runs_missing(question.tenants))
        for query in queries:
            _ask(connection, seen, query, start, end)
    bad = {_floor(one[1], HOUR) for one in seen.found}
    _judge(seen, "hour", prints, compared, bad, HOUR)
    seen.checked, seen.known = len(compared), len(prints) - len(unknown)


def _check_days(connection: psycopg.Connection, question: Question, seen: _Seen) -> None:
    """Days against their hours; where they differ, against the raw events, to say which of the two is wrong."""
    hour_names = [rollup.view("hour") for rollup in FAMILIES]
    by_day: dict[datetime, list[str]] = {}
    for hour in sorted({hour for name in hour_names for hour in seen.looks[name].rows}):
        by_day.setdefault(_floor(hour, DAY), []).append(_print(seen, hour_names, hour))
    floor = max((seen.floors.get(name, _ALWAYS) for name in hour_names), default=_ALWAYS)
    days = {day for name in _DAY_NAMES for day in seen.looks[name].rows if day >= floor} | {
        d for d in by_day if d >= floor
    }
    prints = {day: _print(seen, _DAY_NAMES, day, "".join(by_day.get(day, ()))) for day in days}
    unknown = _unknown(connection, question, "day", prints)
    suspects: set[datetime] = set()
    before = len(seen.found)
    for start, end in ranges(unknown, prints, DAY):
        query = statements.days_against_hours(FAMILIES, question.tenants)
        suspects |= {row[1] for row in _rows(connection, query, start, end)}
    raw_floor = seen.floors.get("usage_event", _ALWAYS)
    for day in sorted(suspects):
        if day >= raw_floor:
            _ask(connection, seen, statements.differences(DAY_RELATIONS, question.tenants), day, day + DAY)
        else:
            _ask(connection, seen, statements.days_against_hours(FAMILIES, question.tenants), day, day + DAY)
    bad = {_floor(one[1], DAY) for one in seen.found[before:]} | suspects
    _judge(seen, "day", prints, unknown, bad, DAY)


def _check_runs(connection: psycopg.Connection, question: Question, seen: _Seen) -> None:
    """Runs that began where raw events are complete, against all their calls."""
    floor = max(seen.floors.get(name, _ALWAYS) for name in ("usage_event", "run_base"))
    rows = seen.looks["run_base"].rows
    prints = {hour: _print(seen, ("run_base",), hour) for hour in rows if hour >= floor}
    unknown = _unknown(connection, question, "run", prints)
    before = len(seen.found)
    for start, end in ranges(unknown, prints, HOUR):
        last = connection.execute(
            "SELECT max(ended_at) FROM run_base WHERE started_at >= %s AND started_at < %s", (start, end)
        ).fetchone()
        query, values = statements.runs(question.tenants), {"last": last[0] if last else end}
        seen.found += _rows(connection, query, start, end, values)
    _judge(seen, "run", prints, unknown, {_floor(one[1], HOUR) for one in seen.found[before:]}, HOUR)


def _judge(
    seen: _Seen, scope: Scope, prints: Mapping[datetime, str], unknown: Iterable[datetime], bad: set[datetime],
    width: timedelta,
) -> None:  # fmt: skip
    """Closed buckets that were right and don't wait are remembered; the wrong are forgotten."""
    waiting = {_floor(bucket, width) for bucket in seen.waiting}
    right = seen.right.setdefault(scope, {})
    for bucket in unknown:
        if bucket in bad or len(seen.found) >= DIFFERENCES_MAX:
            seen.wrong.setdefault(scope, []).append(bucket)
        elif bucket + width <= seen.closed_through and bucket not in waiting:
            right[bucket] = prints[bucket]


def _ask(connection: psycopg.Connection, seen: _Seen, query: str, start: datetime, end: datetime) -> None:
    seen.found += _rows(connection, query, start, end)


def _rows(
    connection: psycopg.Connection, query: str, start: datetime, end: datetime, more: Mapping[str, object] | None = None
) -> list[_Found]:
    values = {"start": start, "end": end, **(more or {})}
    return [
        (relation, bucket, tenant, measure, int(expected), int(found))
        for relation, bucket, tenant, measure, expected, found in connection.execute(query.encode(), values).fetchall()
    ]


def _difference(one: _Found, seen: _Seen, tenants: Mapping[int, str]) -> Difference:
    relation, bucket, tenant_no, measure, expected, found = one
    return Difference(
        relation,
        bucket,
        tenants.get(tenant_no, f"#{tenant_no}"),
        measure,
        expected,
        found,
        _waits(relation, bucket, seen),
    )


_LEVEL_BUILT: Final = {rollup.view(level): level for rollup, level in BUILT}


def _waits(relation: str, bucket: datetime, seen: _Seen) -> bool:
    """Whether a level above its base has a marked quarter of an hour in the bucket."""
    level = _LEVEL_BUILT.get(relation)
    if level is None:
        return False
    end = bucket + timedelta(seconds=LEVEL_SECONDS[level])
    return any(bucket <= marked < end for marked in seen.waiting)


def _remember(connection: psycopg.Connection, question: Question, seen: Remembered) -> None:
    try:
        with connection.transaction():
            for scope in ("hour", "day", "run"):
                save_checkpoints(connection, scope, seen.right.get(scope, {}))
                forget_checkpoints(connection, scope, seen.wrong.get(scope, []))
            if question.everything:
                save_left_off(connection, seen.left_off)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
        # A role that may only read audits from what others remembered.
        return


def ranges(
    unknown: Iterable[datetime], known: Iterable[datetime], width: timedelta, cuts: Iterable[datetime] = (),
    weights: Mapping[datetime, tuple[int, ...]] | None = None,
) -> Iterator[tuple[datetime, datetime]]:  # fmt: skip
    """The unknown buckets as few half-open ranges: none holds a known bucket, crosses a cut, or is longer than a month
    or much heavier than `EVENTS_PER_RANGE`. Empty buckets in between do no harm."""
    wanted, limits, load = set(unknown), sorted(cuts), 0
    start = end = None
    for bucket in sorted({*wanted, *known}):
        weight = (weights or {}).get(bucket, (0,))[0]
        if start is not None and end is not None:
            crossed = any(start < cut <= bucket for cut in limits)
            if bucket not in wanted or crossed or load >= EVENTS_PER_RANGE or bucket - start >= _RANGE_MAX:
                yield start, end
                start, load = None, 0
        if bucket in wanted:
            start, end, load = start or bucket, bucket + width, load + weight
    if start is not None and end is not None:
        yield start, end


def _floor(moment: datetime, width: timedelta) -> datetime:
    seconds = int(width.total_seconds())
    return datetime.fromtimestamp(int(moment.timestamp()) // seconds * seconds, UTC)


def read_data_through(connection: psycopg.Connection) -> datetime | None:
    """The moment up to which the stream is counted: the least over partitions, an idle one counts as now."""
    row = connection.execute(_DATA_THROUGH).fetchone()
    return row[0] if row else None


_DATA_THROUGH: Final = (
    "SELECT CASE WHEN bool_or(through IS NULL) THEN NULL ELSE min(through) END FROM ("
    "SELECT greatest(l.stream_through, CASE WHEN p.next_offset >= p.end_offset THEN p.seen_at END) AS through "
    "FROM ledger AS l FULL JOIN partition_progress AS p USING (topic_id, kafka_partition) WHERE topic_id = coalesce("
    "(SELECT topic_id FROM partition_progress ORDER BY seen_at DESC LIMIT 1), topic_id)) AS partition"
)
