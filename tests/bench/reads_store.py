"""Months of events straight into the store, by SQL: raw rows, base rollups, every level, runs. For `tests.bench.reads`.

The sums are written in the statements here, not taken from the product. Tables are not logged, now and afterwards: a
database of the benchmark's own is dropped afterwards, and reading is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg

from services.contracts.rollups import NARROWED, ROLLUPS, Level, Rollup

DAYS: Final = 90
TENANTS: Final = 20
_WORKERS: Final = 2
_DAY = timedelta(days=1)
# Identities are kept no longer than events may come late.
_IDENTITIES_FROM: Final = "date_trunc('day', now(), 'UTC') - INTERVAL '45 days'"
_WIDTHS: dict[Level, str] = {"minute": "1 minute", "15m": "15 minutes", "hour": "1 hour", "day": "1 day"}

# One row per kind of work: an agent works for one feature, mostly with one model. Prices are USD per million tokens in
# and out; the last number is its share of all calls in per cent.
_WORK = (
    ("chat", "assistant", "openai", "gpt-4o", "premium", "", 2.50, 10.00, 18),
    ("chat", "greeter", "openai", "gpt-4o-mini", "cheap", "", 0.15, 0.60, 14),
    ("rag", "librarian", "openai", "text-embedding-3-small", "cheap", "", 0.02, 0.00, 12),
    ("rag", "researcher", "anthropic", "claude-sonnet-4-5", "premium", "", 3.00, 15.00, 10),
    ("summarise", "summariser", "google", "gemini-2.5-flash", "standard", "", 0.30, 2.50, 10),
    ("classify", "sorter", "mistral", "mistral-small-latest", "cheap", "", 0.10, 0.30, 8),
    ("extract", "extractor", "anthropic", "claude-haiku-4-5", "standard", "", 1.00, 5.00, 8),
    ("translate", "translator", "mistral", "mistral-large-latest", "premium", "", 2.00, 6.00, 6),
    ("code-review", "reviewer", "anthropic", "claude-opus-4-5", "premium", "", 5.00, 25.00, 5),
    ("search", "finder", "ollama", "llama3.1:8b", "cheap", "", 0.00, 0.00, 4),
    ("report", "reporter", "openai", "gpt-4.1", "premium", "batch", 1.00, 4.00, 3),
    ("report", "night_worker", "openai", "gpt-4.1-mini", "standard", "batch", 0.20, 0.80, 2),
)
# Shares of the tenants in per cent: two make half of the calls.
_SHARES = (30, 20, *(5,) * 4, *(3,) * 4, *(2,) * 5, 2, *(1.5,) * 4)


@dataclass(frozen=True, slots=True)
class Generated:
    """What lies in a database: events over [start, end)."""

    events: int
    start: datetime
    end: datetime


def generate(dsn: str, events: int, now: datetime, say: Any) -> Generated:  # noqa: ANN401
    """Fills the migrated, empty database of `dsn`. `events` must be a multiple of 20 (one call in 20 is a retry)."""
    assert events % 20 == 0 and sum(_SHARES) == 100 and sum(row[-1] for row in _WORK) == 100
    end = now.astimezone(UTC).replace(second=0, microsecond=0)
    found = Generated(events, end - DAYS * _DAY, end)
    with _connected(dsn) as connection:
        later = _bare(connection)
        for number in range(1, TENANTS + 1):
            name = f"tenant-{number:02}"
            connection.execute("INSERT INTO tenant (tenant_id, name) VALUES (%s, %s)", (name, name.capitalize()))
    pieces = list(_pieces(found))
    with ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(lambda worker: _fill(dsn, pieces[worker::_WORKERS], found, say), range(_WORKERS)))
        say("indexes")
        list(pool.map(lambda statements: _run(dsn, statements), (later[n::_WORKERS] for n in range(_WORKERS))))
    _finish(dsn, found)
    return found


def _connected(dsn: str) -> psycopg.Connection[Any]:
    options = "-c timezone=UTC -c work_mem=512MB -c maintenance_work_mem=1GB -c temp_buffers=256MB"
    return psycopg.connect(dsn, autocommit=True, options=options)


def _run(dsn: str, statements: list[str]) -> None:
    with _connected(dsn) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _tables() -> Iterator[str]:
    yield from ("usage_event", "event_identity", "run_base")
    for rollup in ROLLUPS:
        yield rollup.base_table
        yield from (f"{rollup.view(level)}_mat" for level in rollup.built_levels)
    for rollup in NARROWED:
        yield from (f"{rollup.view(level)}_mat" for level in rollup.built_levels)


def _bare(connection: psycopg.Connection[Any]) -> list[str]:
    """Tables without indexes, not logged; what brings the indexes back."""
    statements = []
    for table in _tables():
        connection.execute(f"ALTER TABLE {table} SET UNLOGGED".encode())
        if table == "run_base":
            continue
        found = connection.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), conname, pg_get_constraintdef(c.oid) "
            "FROM pg_index LEFT JOIN pg_constraint AS c ON conindid = indexrelid AND contype = 'p' "
            "WHERE indrelid = %s::regclass",
            (table,),
        ).fetchall()
        for index, definition, constraint, text in found:
            if constraint:
                connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}".encode())
                statements.append(f"ALTER TABLE {table} ADD CONSTRAINT {constraint} {text}")
            else:
                connection.execute(f"DROP INDEX {index}".encode())
                statements.append(definition)
    return statements


def _pieces(found: Generated) -> Iterator[tuple[datetime, datetime]]:
    """The range in whole UTC days, the first and last in part."""
    start = found.start
    while start < found.end:
        end = min(start.replace(hour=0, minute=0) + _DAY, found.end)
        yield start, end
        start = end


def _fill(dsn: str, pieces: list[tuple[datetime, datetime]], found: Generated, say: Any) -> None:  # noqa: ANN401
    with _connected(dsn) as connection:
        connection.execute("SELECT setseed(%s)", (pieces[0][0].day / 32,))
        # What a piece holds at each level lies apart until it is summed, so that nothing is searched for.
        for table in _tables():
            connection.execute(f"CREATE TEMP TABLE piece_{table} (LIKE {table} INCLUDING DEFAULTS)".encode())
        for number, (start, end) in enumerate(pieces):
            values = {"start": start, "end": end, "first": _calls_before(found, start)}
            values["last"] = _calls_before(found, end)
            connection.execute(f"TRUNCATE {', '.join(f'piece_{table}' for table in _tables())}".encode())
            connection.execute(_RAW.encode(), values)
            for statement in _folds():
                connection.execute(statement.encode())
            for table in _tables():
                connection.execute(f"INSERT INTO {table} TABLE piece_{table}".encode())
            if number % 10 == 9:
                say(f"to {end:%d %B}")


def _calls_before(found: Generated, moment: datetime) -> int:
    """First attempts before `moment`; with one retry for every 19 they are all events."""
    return int(found.events * 19 // 20 * ((moment - found.start) / (found.end - found.start)))


def _array(values: Iterator[object] | list[object], kind: str) -> str:
    quoted = ", ".join(f"'{value}'" if kind == "text" else str(value) for value in values)
    return f"(ARRAY[{quoted}]::{kind}[])"


def _cumulated(shares: tuple[float, ...]) -> str:
    return _array([sum(shares[:n]) / 100 for n in range(len(shares))], "float8")


def _of_work(position: int, kind: str = "text") -> str:
    return f"{_array([row[position] for row in _WORK], kind)}[w]"


# Numbers first, in order of time; then what hangs on them.
_RAW = f"""
INSERT INTO piece_usage_event (occurred_at, tenant_no, event_key, event_id, received_at, kafka_partition, kafka_offset,
    provider, model, feature, agent_id, section_path, run_id, request_id, attempt, retry_count, customer_id, user_id,
    channel, region, service_tier, operation, status, error_type, superseded, cache_hit, streaming, tokens_estimated,
    latency_ms, prompt_template_id, prompt_template_version, source, input_uncached, cache_read, cache_write_5m,
    cache_write_1h, output_text, output_reasoning, input_audio, output_audio, input_image, output_image, units,
    metadata, reported_cost_usd, cost_pico_usd, response_cache_saved_pico_usd, prompt_cache_saved_pico_usd, tier,
    price_entry, price_book_version)
SELECT at, t, key, key::text, at + CASE WHEN r1 < 0.01 THEN INTERVAL '1 hour' ELSE INTERVAL '1 second' END, t %% 6, n,
    {_of_work(2)}, {_of_work(3)}, {_of_work(0)}, {_of_work(1)},
    'agent:' || {_of_work(1)} || '/tool:' || {_array(["search", "fetch", "plan", "write"], "text")}[1 + n %% 4],
    CASE WHEN w %% 5 < 3 THEN 'run-' || t || '-' || w || '-' || floor(extract(epoch FROM at) / 900)::bigint ELSE '' END,
    CASE WHEN attempt > 1 OR n %% 19 = 0 OR n %% 2 = 0 THEN 'req-' || n ELSE '' END, attempt, attempt - 1,
    'customer-' || u / 12, 'user-' || u, {_array(["slack", "whatsapp", "api", ""], "text")}[1 + (n * 7 + w) %% 4],
    {_array(["eu-central-1", "us-east-1", ""], "text")}[1 + w %% 3], {_of_work(5)}, 'chat',
    CASE WHEN r2 < 0.04 THEN 'error' WHEN r2 < 0.05 THEN 'timeout' ELSE 'ok' END, '', false, false, false, false,
    (150 + 4000 * r3 * r3 * r3)::bigint, 'template-' || w || '-' || n %% 2, '1', '', inputs, cached, 0, 0, outputs, 0,
    0, 0, 0, 0, NULL, NULL, '',
    CASE WHEN r1 > 0.998 THEN NULL
         ELSE (inputs + cached / 10) * ({_of_work(6, "float8")} * 1000000)::bigint
            + outputs * ({_of_work(7, "float8")} * 1000000)::bigint END,
    0, cached * 9 / 10 * ({_of_work(6, "float8")} * 1000000)::bigint, {_of_work(4)}, '', ''
FROM (
    SELECT *, uuidv7(at - clock_timestamp()) AS key, width_bucket(rt, {_cumulated(_SHARES)}) AS t,
        width_bucket(rw, {_cumulated(tuple(row[-1] for row in _WORK))}) AS w, floor(600 * ru * ru)::integer AS u,
        (200 + 4000 * r3 * ru)::bigint AS inputs, (CASE WHEN r2 > 0.7 THEN 1000 * r1 ELSE 0 END)::bigint AS cached,
        (40 + 700 * r1 * r3)::bigint AS outputs
    FROM (
        SELECT n, attempt, random() AS r1, random() AS r2, random() AS r3, rt, rw, ru,
            base + (attempt - 1) * INTERVAL '2 seconds' AS at
        FROM (
            SELECT n, random() AS rt, random() AS rw, random() AS ru,
                %(start)s + (%(end)s - INTERVAL '3 seconds' - %(start)s) * ((random() + random()) / 2) AS base
            FROM generate_series(%(first)s + 1, %(last)s) AS n OFFSET 0
        ) AS calls CROSS JOIN LATERAL generate_series(1, CASE WHEN n %% 19 = 0 THEN 2 ELSE 1 END) AS attempt
        ORDER BY 9
    ) AS drawn
) AS known
"""

_PROMPT = "sum(input_uncached + cache_read + cache_write_5m + cache_write_1h + input_audio + input_image)"
_COMPLETION = "sum(output_text + output_reasoning + output_audio + output_image)"
_COUNTS = {
    "calls": "count(*)",
    "requests": "count(*) FILTER (WHERE attempt = 1)",
    "errors": "count(*) FILTER (WHERE status <> 'ok')",
    "unpriced_events": "count(*) FILTER (WHERE cost_pico_usd IS NULL)",
    "late_events": "count(*) FILTER (WHERE received_at > occurred_at + INTERVAL '10 minutes')",
    "cache_hits": "count(*) FILTER (WHERE cache_hit)",
    "latency_sum_ms": "sum(coalesce(latency_ms, 0))",
    "latency_count": "count(latency_ms)",
    "prompt_tokens": _PROMPT,
    "completion_tokens": _COMPLETION,
    "billed_pico_usd": "sum(coalesce(cost_pico_usd, 0))",
    "adjustment_pico_usd": "0",
    "wasted_pico_usd": "coalesce(sum(cost_pico_usd) FILTER (WHERE status <> 'ok' OR superseded), 0)",
}
_LATENCY_BUCKET = "CASE WHEN latency_ms <= 1 THEN 0 ELSE least(96, ceil(4 * log(2, latency_ms) - 1e-9)) END"


def _folds() -> Iterator[str]:
    """From the raw rows of a piece to base rows of every family that sums calls, to runs and identities. A piece begins
    and ends with a UTC day, but for the first and last, so that no bucket is met twice."""
    for rollup in ROLLUPS:
        if rollup.name == "units":
            continue
        dimensions = [_LATENCY_BUCKET if name == "latency_bucket" else name for name in rollup.dimensions]
        sums = [_COUNTS.get(name, f"sum({name})") for name in rollup.measures]
        keys = ", ".join(str(n + 1) for n in range(3 + len(dimensions)))
        names = ", ".join(("bucket", "tenant_no", "kafka_partition", *rollup.dimensions, *rollup.measures))
        yield (
            f"INSERT INTO piece_{rollup.base_table} ({names}) SELECT date_trunc('{rollup.base_level}', occurred_at), "
            f"tenant_no, kafka_partition, {', '.join([*dimensions, *sums])} FROM piece_usage_event GROUP BY {keys}"
        )
        for level in rollup.built_levels:
            yield _level(rollup, level)
    for rollup in NARROWED:
        for level in rollup.built_levels:
            yield _level(rollup, level)
    yield (
        "INSERT INTO piece_run_base (tenant_no, run_id, kafka_partition, agent_id, started_at, ended_at, calls, "
        "unpriced_events, billed_pico_usd) SELECT tenant_no, run_id, kafka_partition, min(agent_id), min(occurred_at), "
        "max(occurred_at), count(*), count(*) FILTER (WHERE cost_pico_usd IS NULL), sum(coalesce(cost_pico_usd, 0)) "
        "FROM piece_usage_event WHERE run_id <> '' GROUP BY 1, 2, 3"
    )
    yield (
        "INSERT INTO piece_event_identity SELECT tenant_no, event_key, 0, occurred_at FROM piece_usage_event "
        f"WHERE occurred_at >= {_IDENTITIES_FROM}"
    )


def _level(rollup: Rollup, level: Level) -> str:
    """One level of a piece, from the level below."""
    family, below = rollup.below(level)
    source = f"{family.view(below)}_mat" if below in family.built_levels else family.base_table
    keys = ", ".join(("tenant_no", *rollup.dimensions))
    sums = ", ".join(f"sum({name})" for name in rollup.measures)
    return (
        f"INSERT INTO piece_{rollup.view(level)}_mat (bucket, {keys}, {', '.join(rollup.measures)}) "
        f"SELECT date_bin('{_WIDTHS[level]}', bucket, 'epoch'::timestamptz), {keys}, {sums} FROM piece_{source} "
        f"GROUP BY 1, {keys} ORDER BY 1, {keys}"
    )


def _finish(dsn: str, found: Generated) -> None:
    """Closed up to a quarter of an hour ago, as the refresher leaves it; statistics as autovacuum would."""
    closed = found.end.replace(minute=found.end.minute // 15 * 15)
    with _connected(dsn) as connection:
        connection.execute(
            "UPDATE rollup_state SET closed_through = %(at)s, materialized_through = %(at)s", {"at": closed}
        )
        connection.execute(
            "INSERT INTO ledger (cluster_id, topic_id, topic, kafka_partition, stream_through, events_read, counted) "
            "VALUES ('bench', 'bench', 'bench', 0, %(end)s, %(events)s, %(events)s)",
            {"end": found.end, "events": found.events},
        )
        connection.execute(
            "INSERT INTO unpriced_event (provider, model, price_book_version, occurred_at, tenant_no, event_key) "
            "SELECT provider, model, price_book_version, occurred_at, tenant_no, event_key FROM usage_event "
            "WHERE cost_pico_usd IS NULL"
        )
        connection.execute(f"INSERT INTO retention_floor VALUES ('event_identity', {_IDENTITIES_FROM}, now())".encode())
        connection.execute("VACUUM ANALYZE")
        _check(connection, found)


def _check(connection: psycopg.Connection[Any], found: Generated) -> None:
    """Every level holds every call, or no figure is worth printing."""
    for relation in (
        "usage_minute_base",
        "usage_15m",
        "usage_hour",
        "usage_day",
        "customer_day",
        "channel_day",
        "provider_hour",
        "spender_day",
    ):
        row = connection.execute(f"SELECT sum(calls) FROM {relation}".encode()).fetchone()
        assert row is not None and row[0] == found.events, (relation, row)
