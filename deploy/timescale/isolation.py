"""The views and roles that keep tenants apart in SQL, made from one list of what readers may see."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from services.contracts.isolation import API_ROLE, GRAFANA_ROLE, SCHEMA
from services.contracts.rollups import FAMILIES

# What a tenant's rows are known by: tenant_no, or tenant_id where people write it.
_BY_NUMBER = (
    "tenant", "agent_label", "usage_event", "cost_adjustment", "unpriced_event", "event_identity", "run_base", "run",
    "spike", *(rollup.view(level) for rollup in FAMILIES for level in rollup.levels),
)  # fmt: skip
_BY_ID = ("budget", "alert", "alert_rule")
# What is nobody's in particular: how far the stream is counted, which buckets wait, from when on a level is complete.
_OF_ALL = {
    "dirty_bucket": "bucket",
    "rollup_state": "only_row, closed_through, materialized_through",
    "retention_floor": "relation, complete_from, moved_at",
    "ledger": "topic_id, topic, kafka_partition, next_offset, stream_through",
    "partition_progress": "topic_id, kafka_partition, next_offset, end_offset, seen_at",
}
# Where messages go and with which secret is not for a data source.
_NOT_FOR_GRAFANA = frozenset(
    {"alert_rule", "notification", "parked_channel", "event_identity", "ledger", "partition_progress"}
)


# What the operator's Grafana sees beside that: how far the stream is and what became of it.
_LEDGER_OF_OPERATOR = (
    "topic_id", "topic", "kafka_partition", "next_offset", "stream_through", "messages_read", "events_read", "counted",
    "duplicate", "dead_lettered", "quarantined",
)  # fmt: skip


def operator_relations() -> Iterator[tuple[str, tuple[str, ...]]]:
    """What a login for all tenants reads: relation, and its columns where not all of them."""
    for name in (*_BY_NUMBER, *_BY_ID):
        if name not in _NOT_FOR_GRAFANA:
            yield name, ()
    for name, columns in _OF_ALL.items():
        yield name, _LEDGER_OF_OPERATOR if name == "ledger" else tuple(columns.split(", "))


def role_statements() -> Iterator[str]:
    """Makes the two roles where they are missing, and lets the owner act as them. Roles are the whole server's."""
    for role in (API_ROLE, GRAFANA_ROLE):
        yield (
            "DO $$ BEGIN "
            f"IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} NOLOGIN; END IF; "
            f"IF NOT pg_has_role('{role}', 'MEMBER') THEN GRANT {role} TO CURRENT_USER; END IF; "
            "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )


def view_statements(only: Collection[str] = ()) -> Iterator[str]:
    """Makes the views anew; a revision that adds some, or changes a column of what they show, runs this again. `only`:
    views of tenants' rows of these relations."""
    for name, condition in _conditions():
        if only and name not in only:
            continue
        yield f"DROP VIEW IF EXISTS {SCHEMA}.{name}"
        # The barrier: no condition of the reader's is tried on a row of another's.
        yield f"CREATE VIEW {SCHEMA}.{name} WITH (security_barrier) AS SELECT * FROM public.{name} WHERE {condition}"
        yield from _grants(name)
    for name, columns in () if only else _OF_ALL.items():
        yield f"DROP VIEW IF EXISTS {SCHEMA}.{name}"
        yield f"CREATE VIEW {SCHEMA}.{name} AS SELECT {columns} FROM public.{name}"
        yield from _grants(name)


def database_statements() -> Iterator[str]:
    """Who may connect. A dump of a database doesn't hold that, so it is said anew at each start."""
    logins = "SELECT r.role_name FROM public.tenant_role AS r JOIN pg_roles ON rolname = r.role_name"
    yield (
        "DO $$ DECLARE login name; BEGIN "
        "EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()); "
        f"FOR login IN SELECT '{API_ROLE}' UNION {logins} LOOP "
        "EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), login); END LOOP; END $$"
    )


def privilege_statements() -> Iterator[str]:
    """What everybody has by default is taken away; roles get the schema of views and nothing else."""
    yield from database_statements()
    yield "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC"
    yield f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {SCHEMA} FROM PUBLIC"
    for role in (API_ROLE, GRAFANA_ROLE):
        # The schema of the tables too: functions of extensions live there; of its tables nothing is granted.
        yield f"GRANT USAGE ON SCHEMA {SCHEMA}, public TO {role}"
        yield f"GRANT EXECUTE ON FUNCTION {SCHEMA}.tenant_no(), {SCHEMA}.tenant_id() TO {role}"


def _conditions() -> Iterator[tuple[str, str]]:
    for name in _BY_NUMBER:
        yield name, f"tenant_no = (SELECT {SCHEMA}.tenant_no())"
    for name in _BY_ID:
        yield name, f"tenant_id = (SELECT {SCHEMA}.tenant_id())"
    alerts = f"SELECT a.alert_id FROM public.alert AS a WHERE a.tenant_id = {SCHEMA}.tenant_id()"
    yield "notification", f"alert_id IN ({alerts})"
    rules = f"SELECT r.rule_id FROM public.alert_rule AS r WHERE r.tenant_id = {SCHEMA}.tenant_id()"
    yield "parked_channel", f"rule_id IN ({rules})"


def _grants(name: str) -> Iterator[str]:
    yield f"GRANT SELECT ON {SCHEMA}.{name} TO {API_ROLE}"
    if name not in _NOT_FOR_GRAFANA:
        yield f"GRANT SELECT ON {SCHEMA}.{name} TO {GRAFANA_ROLE}"
