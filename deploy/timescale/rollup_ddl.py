"""DDL of the rollups for both stores, made from their one declaration in `services.contracts.rollups`.

TimescaleDB: base tables are hypertables, higher levels real-time continuous aggregates. Plain PostgreSQL: higher levels
are tables filled by the refresher up to `rollup_state.materialized_through`, and views that add what is newer from the
level below. Names, columns and numbers are the same.
"""

from __future__ import annotations

from services.contracts.rollups import Level, Rollup

KEY_COLUMNS = ("bucket", "tenant_no")
_INTERVAL: dict[Level, str] = {"minute": "1 minute", "15m": "15 minutes", "hour": "1 hour", "day": "1 day"}
# Plain PostgreSQL has no chunks; the same statement shape keeps the two flavours comparable.
_CHUNK: dict[Level, str] = {"minute": "1 day", "15m": "7 days", "hour": "7 days", "day": "90 days"}


def interval(level: Level) -> str:
    """The width of a bucket as an SQL interval's text."""
    return _INTERVAL[level]


def _dimension_columns(rollup: Rollup) -> list[str]:
    kinds = dict.fromkeys(rollup.integer_dimensions, "smallint")
    return [f"{name} {kinds.get(name, 'text')} NOT NULL" for name in rollup.dimensions]


def _measure_columns(rollup: Rollup) -> list[str]:
    return [f"{name} bigint NOT NULL DEFAULT 0" for name in rollup.measures]


def _summed(rollup: Rollup) -> str:
    # sum(bigint) is numeric; a row stays far below 2**63 pico-USD (9.2 million dollars), and overflow is an error.
    return ", ".join(f"sum({name})::bigint AS {name}" for name in rollup.measures)


def _group(rollup: Rollup) -> str:
    return ", ".join(("tenant_no", *rollup.dimensions))


def base_table(rollup: Rollup) -> str:
    """The table the processor folds into: rows per flush, merged later; the view over it sums them up. No key."""
    columns = ["bucket timestamptz NOT NULL", "tenant_no integer NOT NULL", "kafka_partition smallint NOT NULL"]
    columns += _dimension_columns(rollup) + _measure_columns(rollup)
    return f"CREATE TABLE {rollup.base_table} ({', '.join(columns)})"


def base_view(rollup: Rollup) -> str:
    """`{name}_{base level}`: one row per key, whichever flushes wrote it."""
    return (
        f"CREATE VIEW {rollup.view(rollup.base_level)} AS SELECT bucket, {_group(rollup)}, {_summed(rollup)} "
        f"FROM {rollup.base_table} GROUP BY bucket, {_group(rollup)}"
    )


def hypertable(table: str, column: str, chunk: str) -> str:
    dimension = f"by_range('{column}', INTERVAL '{chunk}')"
    return f"SELECT create_hypertable('{table}', {dimension}, create_default_indexes => false)"


def _source(rollup: Rollup, level: Level) -> str:
    """What a level is summed from. Aggregates of TimescaleDB stand on hypertables or aggregates, not on views; and a
    view over the view of a base table would sum up twice."""
    family, below = rollup.below(level)
    return family.view(below) if below in family.built_levels else family.base_table


def timescale_level(rollup: Rollup, level: Level) -> str:
    """A real-time continuous aggregate, filled by the refresher only."""
    bucket = f"time_bucket(INTERVAL '{_INTERVAL[level]}', bucket)"
    return (
        f"CREATE MATERIALIZED VIEW {rollup.view(level)} "
        f"WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS "
        f"SELECT {bucket} AS bucket, {_group(rollup)}, {_summed(rollup)} FROM {_source(rollup, level)} "
        f"GROUP BY {bucket}, {_group(rollup)} WITH NO DATA"
    )


def date_bin(level: Level, column: str = "bucket") -> str:
    """The start of the bucket `column` falls in; plain PostgreSQL's `time_bucket`."""
    return f"date_bin(INTERVAL '{_INTERVAL[level]}', {column}, TIMESTAMPTZ '1970-01-01 00:00:00+00')"


def plain_level(rollup: Rollup, level: Level) -> list[str]:
    """Table and view of a level on plain PostgreSQL."""
    table, below = f"{rollup.view(level)}_mat", _source(rollup, level)
    columns = [
        "bucket timestamptz NOT NULL",
        "tenant_no integer NOT NULL",
        *_dimension_columns(rollup),
        *_measure_columns(rollup),
    ]
    # A stable function: the database asks it while it plans, and so knows how little lies above it. Of a sub-select it
    # knows nothing, and reads the whole base table for the few rows of the running hour.
    watermark = f"materialized_before(INTERVAL '{_INTERVAL[level]}')"
    names = ", ".join(("bucket", "tenant_no", *rollup.dimensions, *rollup.measures))
    return [
        f"CREATE TABLE {table} ({', '.join(columns)}, PRIMARY KEY (bucket, {_group(rollup)}))",
        f"CREATE INDEX ON {table} (tenant_no, bucket)",
        (
            f"CREATE VIEW {rollup.view(level)} AS SELECT {names} FROM {table} WHERE bucket < {watermark} UNION ALL "
            f"SELECT {date_bin(level)} AS bucket, {_group(rollup)}, {_summed(rollup)} FROM {below} "
            f"WHERE bucket >= {watermark} GROUP BY {date_bin(level)}, {_group(rollup)}"
        ),
    ]


def refresh_plain(rollup: Rollup, level: Level) -> list[str]:
    """Rebuilds the buckets that start in the array `%(buckets)s` of one level from the level below, which is built."""
    source = _stored_below(rollup, level)
    table, names = f"{rollup.view(level)}_mat", ", ".join(("bucket", "tenant_no", *rollup.dimensions, *rollup.measures))
    # OFFSET 0 keeps it a lookup per bucket; flattened, it compares every bucket with every row there is.
    finer = f"SELECT * FROM {source} WHERE bucket >= b AND bucket < b + INTERVAL '{_INTERVAL[level]}' OFFSET 0"
    return [
        f"DELETE FROM {table} WHERE bucket = ANY(%(buckets)s)",
        (
            f"INSERT INTO {table} ({names}) SELECT b, {_group(rollup)}, {_summed(rollup)} "
            f"FROM unnest(%(buckets)s::timestamptz[]) AS b JOIN LATERAL ({finer}) AS finer ON true "
            # A tenant's rows of a bucket side by side: whoever reads them reads few pages.
            f"GROUP BY b, {_group(rollup)} ORDER BY b, {_group(rollup)}"
        ),
    ]


def fill_plain(rollup: Rollup, level: Level) -> str:
    """Builds a level that is new and empty, as far as levels are built; after the level below it."""
    names = ", ".join(("bucket", "tenant_no", *rollup.dimensions, *rollup.measures))
    return (
        f"INSERT INTO {rollup.view(level)}_mat ({names}) SELECT {date_bin(level)} AS bin, {_group(rollup)}, "
        f"{_summed(rollup)} FROM {_stored_below(rollup, level)} "
        f"WHERE bucket < materialized_before(INTERVAL '{_INTERVAL[level]}') "
        f"GROUP BY bin, {_group(rollup)} ORDER BY bin, {_group(rollup)}"
    )


def _stored_below(rollup: Rollup, level: Level) -> str:
    """The table that a level is built from on plain PostgreSQL. Not the view over it, which would look at everything
    newer than what is built, once for each bucket, or sum up twice."""
    family, below = rollup.below(level)
    return f"{family.view(below)}_mat" if below in family.built_levels else family.base_table


def _base_statements(rollup: Rollup, *, timescale: bool) -> list[str]:
    # One index, as each costs every row a microsecond: it finds the rows of a tenant too, bucket for bucket.
    statements = [base_table(rollup), f"CREATE INDEX ON {rollup.base_table} (bucket, tenant_no)"]
    if timescale:
        statements.append(hypertable(rollup.base_table, "bucket", _CHUNK[rollup.base_level]))
    return [*statements, base_view(rollup)]


def rollup_statements(rollup: Rollup, *, timescale: bool) -> list[str]:
    """Everything one family needs, in order; after the family that it is summed from."""
    statements = [] if rollup.wide is not None else _base_statements(rollup, timescale=timescale)
    for level in rollup.built_levels:
        statements += [timescale_level(rollup, level)] if timescale else plain_level(rollup, level)
    return statements
