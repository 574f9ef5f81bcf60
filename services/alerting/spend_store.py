"""Reads what was spent, exactly, from the cheapest level: whole days, whole hours, minutes; stale ones from minutes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from services.alerting.notice import Contribution
from services.alerting.rules import LimitSpend, Rule
from services.contracts.rollups import CUSTOMER, USAGE

Connection = psycopg.Connection[Any]
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_USERS_EVENTS = (
    "SELECT tenant_no, '' AS feature, model, coalesce(cost_pico_usd, 0) + coalesce((SELECT sum(delta_pico_usd) "
    "FROM cost_adjustment AS c WHERE (c.tenant_no, c.event_key) = (e.tenant_no, e.event_key)), 0)::bigint AS cost, "
    "1 AS calls, (cost_pico_usd IS NULL)::int AS unpriced FROM usage_event AS e "
    "WHERE occurred_at >= %({start})s AND occurred_at < %({end})s AND tenant_no = %(tenant_no)s "
    "AND user_id = %(user_id)s"
)


@dataclass(frozen=True, slots=True)
class Segment:
    """Read [start, end) from this level."""

    level: str
    start: datetime
    end: datetime


def segments(start: datetime, end: datetime, stale: Iterable[datetime]) -> list[Segment]:
    """[start, end) in pieces, each from the coarsest level that has it whole and fresh. Pure.

    `stale` are 15-minute buckets waiting for refresh; `start` and `end` are whole minutes.
    """
    stale_hours = {_floor(bucket, _HOUR) for bucket in stale}
    stale_days = {_floor(hour, _DAY) for hour in stale_hours}
    pieces: list[Segment] = []
    at = start
    while at < end:
        if at == _floor(at, _DAY) and at + _DAY <= end and at not in stale_days:
            piece = Segment("day", at, at + _DAY)
        elif at == _floor(at, _HOUR) and at + _HOUR <= end and at not in stale_hours:
            piece = Segment("hour", at, at + _HOUR)
        else:
            piece = Segment("minute", at, min(_floor(at, _HOUR) + _HOUR, end))
        if pieces and (pieces[-1].level, pieces[-1].end) == (piece.level, piece.start):
            pieces[-1] = Segment(piece.level, pieces[-1].start, piece.end)
        else:
            pieces.append(piece)
        at = piece.end
    return pieces


def limit_spend(connection: Connection, rule: Rule, start: datetime, end: datetime) -> LimitSpend:
    """What the rule's tenant (or all) and scope have cost in the window. Call inside one snapshot."""
    query, parameters = _spending(connection, rule, start, end)
    row = connection.execute(
        sql.SQL(
            "SELECT coalesce(sum(cost), 0)::bigint, coalesce(sum(calls), 0)::bigint, "
            "coalesce(sum(unpriced), 0)::bigint FROM ({}) AS spent"
        ).format(query),
        parameters,
    ).fetchone()
    assert row is not None
    return LimitSpend(start, end, *row)


def contributions(connection: Connection, rule: Rule, start: datetime, end: datetime) -> list[Contribution]:
    """The dearest three: tenants where the rule is for all, features of one tenant, models within a scope."""
    query, parameters = _spending(connection, rule, start, end)
    name: sql.Composable
    if rule.tenant_id is None:
        name, join = sql.SQL("tenant_id"), sql.SQL("JOIN tenant USING (tenant_no)")
    else:
        name, join = sql.Identifier("model" if rule.scope else "feature"), sql.SQL("")
    rows = connection.execute(
        sql.SQL(
            "SELECT {name}, sum(cost)::bigint FROM ({query}) AS spent {join} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 3"
        ).format(name=name, query=query, join=join),
        parameters,
    ).fetchall()
    return [Contribution(*row) for row in rows]


def spike_costs(connection: Connection, spikes: Iterable[Mapping[str, Any]]) -> dict[UUID, int]:
    """What each spike's hour costs by now, by `spike_id`."""
    costs: dict[UUID, int] = {}
    for spike in spikes:
        column = sql.SQL("AND {} = %(value)s").format(sql.Identifier(spike["dimension"]))
        row = connection.execute(
            sql.SQL(
                "SELECT coalesce(sum(billed_pico_usd + adjustment_pico_usd), 0)::bigint FROM usage_minute_base "
                "WHERE tenant_no = %(tenant_no)s AND bucket >= %(window_start)s AND bucket < %(window_end)s {}"
            ).format(column if spike["dimension"] in USAGE.dimensions else sql.SQL("")),
            dict(spike),
        ).fetchone()
        assert row is not None
        costs[spike["spike_id"]] = row[0]
    return costs


def _spending(
    connection: Connection, rule: Rule, start: datetime, end: datetime
) -> tuple[sql.Composable, dict[str, Any]]:
    """The query of a rule's rows: tenant_no, feature, model, cost, calls, unpriced."""
    if "user_id" in rule.scope:
        return _users_spending(connection, rule, start, end)
    stale = connection.execute(
        "SELECT DISTINCT bucket FROM dirty_bucket WHERE bucket >= %s AND bucket < %s", [start, end]
    ).fetchall()
    parameters: dict[str, Any] = {"tenant_no": rule.tenant_no}
    conditions: list[sql.Composable] = [sql.SQL("tenant_no = %(tenant_no)s")] if rule.tenant_id is not None else []
    for name, value in rule.scope.items():
        # Names come from the rollup's declaration; an unknown one must not widen what is summed.
        if name not in USAGE.dimensions:
            raise ValueError(f"no rollup knows the dimension {name!r} of rule {rule.name!r}")
        conditions.append(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(f"scope_{name}")))
        parameters[f"scope_{name}"] = value
    selects: list[sql.Composable] = []
    for place, piece in enumerate(segments(start, end, (bucket for (bucket,) in stale))):
        parameters |= {f"start_{place}": piece.start, f"end_{place}": piece.end}
        within = sql.SQL("bucket >= {} AND bucket < {}").format(
            sql.Placeholder(f"start_{place}"), sql.Placeholder(f"end_{place}")
        )
        selects.append(
            sql.SQL(
                "SELECT tenant_no, feature, model, billed_pico_usd + adjustment_pico_usd AS cost, calls, "
                "unpriced_events AS unpriced FROM {view} WHERE {conditions}"
            ).format(
                view=sql.Identifier(USAGE.base_table if piece.level == "minute" else f"{USAGE.name}_{piece.level}"),
                conditions=sql.SQL(" AND ").join([within, *conditions]),
            )
        )
    return sql.SQL(" UNION ALL ").join(selects), parameters


def _users_spending(
    connection: Connection, rule: Rule, start: datetime, end: datetime
) -> tuple[sql.Composable, dict[str, Any]]:
    """The same for one user: users are counted by the hour, so what is less than an hour comes from the events."""
    if len(rule.scope) > 1:
        raise ValueError(f"no rollup knows the dimensions of rule {rule.name!r} together")
    first, last = -(-(start - _EPOCH) // _HOUR) * _HOUR + _EPOCH, max(_floor(end, _HOUR), _floor(start, _HOUR))
    stale = connection.execute(
        "SELECT DISTINCT bucket FROM dirty_bucket WHERE bucket >= %s AND bucket < %s", [first, last]
    ).fetchall()
    parameters: dict[str, Any] = {"tenant_no": rule.tenant_no, "user_id": rule.scope["user_id"]}
    selects: list[sql.Composable] = []
    pieces = segments(first, last, (bucket for (bucket,) in stale)) if first < last else []
    for place, piece in enumerate(pieces):
        parameters |= {f"start_{place}": piece.start, f"end_{place}": piece.end}
        selects.append(
            sql.SQL(
                "SELECT tenant_no, '' AS feature, model, billed_pico_usd + adjustment_pico_usd AS cost, calls, "
                "unpriced_events AS unpriced FROM {view} WHERE bucket >= {start} AND bucket < {end} "
                "AND tenant_no = %(tenant_no)s AND user_id = %(user_id)s"
            ).format(
                view=sql.Identifier(f"{CUSTOMER.name}_day" if piece.level == "day" else CUSTOMER.base_table),
                start=sql.Placeholder(f"start_{place}"),
                end=sql.Placeholder(f"end_{place}"),
            )
        )
    edges = [(start, min(first, end)), (max(last, first), end)]
    for place, (edge_start, edge_end) in enumerate(edges):
        if edge_start < edge_end:
            parameters |= {f"edge_start_{place}": edge_start, f"edge_end_{place}": edge_end}
            selects.append(sql.SQL(_USERS_EVENTS.format(start=f"edge_start_{place}", end=f"edge_end_{place}")))
    return sql.SQL(" UNION ALL ").join(selects), parameters


def _floor(moment: datetime, width: timedelta) -> datetime:
    return moment - (moment - _EPOCH) % width
