"""Unpriced events in line, table `unpriced_event`: which lines there are, the next of one taken out, some put back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import psycopg
import pyarrow as pa

from pricing.usage import USAGE_CLASSES
from services.processor.copying import UNPRICED_COLUMNS
from services.processor.fetching import AT, UUID, fetch
from services.processor.sending import copy_rows

# A loose walk over an index: as many steps as there are combinations, however many rows.
_WAITING = (
    "WITH RECURSIVE w AS ((SELECT provider, model, price_book_version FROM unpriced_event ORDER BY 1, 2, 3 LIMIT 1) "
    "UNION ALL SELECT n.* FROM w CROSS JOIN LATERAL (SELECT u.provider, u.model, u.price_book_version "
    "FROM unpriced_event AS u WHERE (u.provider, u.model, u.price_book_version) > "
    "(w.provider, w.model, w.price_book_version) ORDER BY 1, 2, 3 LIMIT 1) AS n) SELECT * FROM w"
)
_KEY = "provider = %(provider)s AND model = %(model)s AND price_book_version = %(version)s"
_FIRST = (
    "SELECT min(occurred_at) FROM unpriced_event "
    f"WHERE {_KEY} AND occurred_at >= coalesce(%(floor)s::timestamptz, '-infinity')"
)
_CHUNKS = "SELECT to_regclass('timescaledb_information.chunks') IS NOT NULL"
_COMPRESSED = (
    "SELECT EXISTS (SELECT FROM timescaledb_information.chunks WHERE hypertable_name = 'usage_event' AND is_compressed "
    "AND range_start <= %(first)s AND range_end > %(first)s)"
)
# A compressed chunk has no index of what is unpriced: it is read once, as far as the taken rows reach in time.
_READ_THROUGH = "SET LOCAL enable_nestloop = off"
_LAST = (
    f"SELECT max(occurred_at) FROM (SELECT occurred_at FROM unpriced_event WHERE {_KEY} AND occurred_at >= %(first)s "
    "AND occurred_at < %(until)s ORDER BY occurred_at LIMIT %(rows)s) AS s"
)
# Out of the line and together with the raw rows, in one go; what stays without a price is put back. Of one day: that
# is one chunk of raw rows on TimescaleDB, found when the query is planned.
_TAKE = (
    "WITH taken AS (DELETE FROM unpriced_event WHERE ctid = ANY(ARRAY(SELECT ctid FROM unpriced_event "
    f"WHERE {_KEY} AND occurred_at >= %(first)s AND occurred_at < %(until)s ORDER BY occurred_at LIMIT %(rows)s)) "
    "RETURNING occurred_at, tenant_no, event_key) "
    "SELECT COLUMNS FROM taken AS t JOIN usage_event AS e ON e.tenant_no = t.tenant_no AND e.event_key = t.event_key "
    "AND e.occurred_at = t.occurred_at WHERE e.cost_pico_usd IS NULL "
    "AND e.occurred_at >= %(first)s AND e.occurred_at < %(until)s"
)
_TEXTS = (
    "feature", "agent_id", "run_id", "customer_id", "user_id", "channel", "region", "service_tier", "status",
    "prompt_template_id", "tier",
)  # fmt: skip
_COLUMNS = {
    "e.occurred_at": AT,
    "e.tenant_no": pa.int32(),
    "e.event_key": UUID,
    "e.kafka_partition": pa.int16(),
    **{f"e.{name}": pa.string() for name in _TEXTS},
    "coalesce(e.units, '')": pa.string(),
    "e.superseded": pa.bool_(),
    "e.cache_hit": pa.bool_(),
    **{f"e.{name}": pa.int64() for name in USAGE_CLASSES},
}


@dataclass(frozen=True, slots=True)
class Line:
    """Unpriced events that wait together: of one model, looked at last with the same book."""

    provider: str
    model: str
    version: str


def lines(connection: psycopg.Connection) -> list[Line]:
    """Every line somebody waits in."""
    return [Line(*key) for key in connection.execute(_WAITING).fetchall()]


def take(connection: psycopg.Connection, line: Line, floor: object, count: int) -> pa.Table | None:
    """The next `count` of the line or fewer, taken out of it in the connection's transaction, as storage columns; None
    when it is empty. Whoever happened before `floor`, if that is given, stays in line.

    Those whose raw row is gone are taken out, too: nothing can price them any more.
    """
    values: dict[str, object] = {**asdict(line), "floor": floor, "rows": count}
    while True:
        first = value(connection, _FIRST, values)
        if not isinstance(first, datetime):
            return None
        rows = fetch(connection, _TAKE, _bounded(connection, values, first), _COLUMNS)
        if rows is not None:
            names = [name.removeprefix("e.") for name in rows.column_names]
            return rows.rename_columns(["units" if "units" in name else name for name in names])


def _bounded(connection: psycopg.Connection, values: dict[str, object], first: datetime) -> dict[str, object]:
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    values = values | {"first": first, "until": midnight + timedelta(days=1)}
    if value(connection, _CHUNKS, {}) and value(connection, _COMPRESSED, values):
        connection.execute(_READ_THROUGH)
        last = value(connection, _LAST, values)
        assert isinstance(last, datetime), "there is a first"
        values["until"] = last + timedelta(microseconds=1)
    return values


def put_back(connection: psycopg.Connection, rows: pa.Table, version: str) -> None:
    """Rows of `take`, with their provider and model, wait again: as looked at with the book of this version."""
    if len(rows):
        rows = rows.append_column("price_book_version", pa.repeat(version, len(rows)))
        copy_rows(connection, "unpriced_event", UNPRICED_COLUMNS, rows)


def value(connection: psycopg.Connection, query: str, values: Mapping[str, object]) -> object:
    """What a query gives that gives one value; None where it gives no row."""
    row = connection.execute(query.encode(), values).fetchone()
    return row[0] if row else None
