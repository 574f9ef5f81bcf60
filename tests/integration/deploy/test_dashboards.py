"""Every panel's and variable's SQL, its macros expanded as Grafana does, on real databases and against the API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.integration.deploy.conftest import END, START, TENANTS, Grafana
from tests.integration.query.conftest import running_service

ROOT = Path(__file__).resolve().parents[3]
BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")
}
Row = dict[str, Any]
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def expand(sql: str, variables: Mapping[str, str], *, timescale: bool, interval: str = "15m") -> str:
    """What Grafana's PostgreSQL data source makes of a query (TimescaleDB is a switch of it)."""
    sql = sql.replace("$__interval", interval)

    def group(match: re.Match[str]) -> str:
        column, width = match.group(1), match.group(2).strip()
        seconds = int(width[:-1]) * _SECONDS[width[-1]]
        if timescale:
            return f"time_bucket('{seconds:.3f}s',{column}) AS \"time\""
        return f'floor(extract(epoch from {column})/{seconds})*{seconds} AS "time"'

    sql = re.sub(r"\$__timeGroupAlias\(([^,()]+),([^()]+)\)", group, sql)
    start, end = (f"'{moment:%Y-%m-%dT%H:%M:%SZ}'" for moment in (START, END))
    sql = re.sub(r"\$__timeFilter\(([^()]+)\)", rf"\1 BETWEEN {start} AND {end}", sql)
    sql = sql.replace("$__timeFrom()", start).replace("$__timeTo()", end)
    for name, value in variables.items():
        sql = sql.replace(f"${{{name}:sqlstring}}", "'" + value.replace("'", "''") + "'")
    assert "$" not in sql, f"a macro or variable is left: {sql}"
    return sql


def panels(board: str) -> dict[str, dict[str, Any]]:
    """Title → panel, of those that ask the database."""
    of_board = BOARDS[board]["panels"]
    assert len({panel["title"] for panel in of_board}) == len(of_board)
    return {panel["title"]: panel for panel in of_board if panel["datasource"]["type"] != "prometheus"}


def ask(dsn: str, sql: str) -> list[Row]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return connection.execute(sql.encode()).fetchall()


def rows(grafana: Grafana, dsn: str, board: str, title: str, **variables: str) -> list[Row]:
    (target,) = panels(board)[title]["targets"]
    return ask(dsn, expand(target["rawSql"], variables, timescale=grafana.timescale))


def everything(variables: Mapping[str, str], *, timescale: bool) -> Iterator[tuple[str, str, str]]:
    """Board, title and SQL of all panels and variables."""
    for board, made in BOARDS.items():
        for variable in made["templating"]["list"]:
            if variable["type"] == "query":
                yield board, f"variable {variable['name']}", expand(variable["query"], variables, timescale=timescale)
        for title, panel in panels(board).items():
            for target in panel["targets"]:
                yield board, title, expand(target["rawSql"], variables, timescale=timescale)


VARIABLES = {"tenant": TENANTS[1], "feature": "chat", "request": "req-7"}
# What stands in the range but not in what a tenant's login may read.
OPERATORS = {"Partitions", "What became of events", "Messages waiting", "Seconds since a partition was seen",
             "Dead-lettered", "Quarantined"}  # fmt: skip


def test_without_data_every_query_answers_and_cards_say_zero(grafana: Grafana) -> None:
    """Runs before `filled` is asked for."""
    for board, title, sql in everything(VARIABLES, timescale=grafana.timescale):
        found = ask(grafana.all_tenants, sql)
        if not title.startswith("variable") and panels(board)[title]["type"] == "stat":
            assert len(found) == 1, (board, title)
            (value,) = found[0].values()
            assert not value or title == "Rollups are closed up to", (board, title, value)


def test_with_data_every_query_finds_some(filled: Grafana) -> None:
    for board, title, sql in everything(VARIABLES, timescale=filled.timescale):
        found = ask(filled.all_tenants, sql)
        if title not in ("Kept from", "Buckets waiting for refresh"):
            assert found, (board, title, sql)
        if not title.startswith("variable") and panels(board)[title]["type"] == "timeseries":
            assert found[0].keys() == {"time", "metric", "value"}, (board, title)


def test_a_tenants_login_sees_the_same_dashboards_with_its_own_figures_only(filled: Grafana) -> None:
    mine = {**VARIABLES, "tenant": TENANTS[0]}
    for board, title, sql in everything(mine, timescale=filled.timescale):
        if title in OPERATORS and board == "pipeline":
            # Of the ledger a tenant's view lacks the columns, and it may not read that either.
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedColumn)):
                ask(filled.one_tenant, sql)
        else:
            ask(filled.one_tenant, sql)
    assert [row["tenant"] for row in rows(filled, filled.one_tenant, "overview", "Tenants")] == [TENANTS[0]]
    everybody = rows(filled, filled.all_tenants, "overview", "Tenants")
    (of_mine,) = (row for row in everybody if row["tenant"] == TENANTS[0])
    assert rows(filled, filled.one_tenant, "overview", "Cost")[0]["cost_usd"] == of_mine["cost_usd"]
    of_another = rows(filled, filled.one_tenant, "tenant", "Cost", tenant=TENANTS[1])
    assert [row["cost_usd"] for row in of_another] == [0]


_FORBIDDEN = (
    "DELETE FROM tenant", "UPDATE budget SET limit_pico_usd = 1", "CREATE TABLE t ()", "SELECT * FROM api_key",
    "SELECT * FROM alert_rule", "SELECT * FROM event_identity",
)  # fmt: skip


@pytest.mark.parametrize("statement", _FORBIDDEN)
def test_the_operators_login_changes_nothing_and_reads_no_secrets(filled: Grafana, statement: str) -> None:
    with psycopg.connect(filled.all_tenants, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


async def test_sums_are_those_of_the_api(filled: Grafana) -> None:
    span = {"from": START.isoformat(), "to": END.isoformat()}

    def of(board: str, title: str, **variables: str) -> list[Row]:
        return rows(filled, filled.all_tenants, board, title, **variables)

    def costs(found: list[Row], key: str, value: str = "cost_usd") -> dict[str, Decimal]:
        summed: dict[str, Decimal] = {}
        for row in found:
            summed[row[key]] = summed.get(row[key], Decimal()) + Decimal(row[value])
        return {name: amount for name, amount in summed.items() if amount}

    async with running_service(filled.owner) as service:

        async def api(**more: str) -> dict[str, Any]:
            answer = await service.get("/api/v1/costs", **span, **more)
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

        def by(answer: dict[str, Any], key: str) -> dict[str, Decimal]:
            return {row[key]: Decimal(row["cost_usd"]) for row in answer["data"] if Decimal(row["cost_usd"])}

        whole = (await api(measures="cost_usd,calls,wasted_cost_usd"))["totals"]
        assert of("overview", "Cost")[0]["cost_usd"] == Decimal(whole["cost_usd"]) > 0
        assert of("overview", "Calls")[0]["calls"] == whole["calls"] == 900
        assert of("overview", "Wasted")[0]["cost_usd"] == Decimal(whole["wasted_cost_usd"])
        by_provider = by(await api(group_by="provider"), "provider")
        assert costs(of("overview", "Providers"), "provider") == by_provider
        assert costs(of("overview", "Cost by provider"), "metric", "value") == by_provider
        assert costs(of("overview", "Models"), "model") == by(await api(group_by="model"), "model")
        assert costs(of("overview", "Tenants"), "tenant") == by(await api(group_by="tenant_id"), "tenant_id")
        for name in TENANTS:
            mine = {"filter[tenant_id]": name}
            all_of_it = Decimal((await api(**mine))["totals"]["cost_usd"])
            assert of("tenant", "Cost", tenant=name)[0]["cost_usd"] == all_of_it
            for title, column, dimension in (
                ("Features", "feature", "feature"),
                ("Agents", "agent", "agent_id"),
                ("Customers", "customer", "customer_id"),
            ):
                found = costs(of("tenant", title, tenant=name), column)
                assert found == by(await api(group_by=dimension, **mine), dimension), title
        chat = {"tenant": TENANTS[1], "feature": "chat"}
        requests = of("feature", "Requests, newest first", **chat)
        of_chat = await api(**{"filter[tenant_id]": TENANTS[1], "filter[feature]": "chat"})
        assert sum(row["cost_usd"] for row in requests) == Decimal(of_chat["totals"]["cost_usd"])
        assert of("feature", "Cost", **chat)[0]["cost_usd"] == Decimal(of_chat["totals"]["cost_usd"])
        one = {"tenant": TENANTS[1], "request": requests[0]["request"]}
        answer = (await service.get(f"/api/v1/requests/{one['request']}", tenant_id=TENANTS[1])).json()["data"]
        attempts = of("request", "Attempts", **one)
        assert len(attempts) == answer["summary"]["attempts"] == of("request", "Calls", **one)[0]["attempts"]
        assert sum(row["cost_usd"] for row in attempts) == Decimal(answer["summary"]["cost_usd"])
        assert of("request", "Cost", **one)[0]["cost_usd"] == Decimal(answer["summary"]["cost_usd"])
        assert of("request", "Wasted", **one)[0]["cost_usd"] == Decimal(answer["summary"]["wasted_cost_usd"])


def test_links_lead_to_dashboards_and_variables_that_exist_by_columns_that_exist(filled: Grafana) -> None:
    by_uid = {board["uid"]: {each["name"] for each in board["templating"]["list"]} for board in BOARDS.values()}
    seen = set()
    for name in BOARDS:
        for title, panel in panels(name).items():
            sql = expand(panel["targets"][0]["rawSql"], VARIABLES, timescale=filled.timescale)
            overrides = panel["fieldConfig"]["overrides"]
            columns = ask(filled.all_tenants, sql)[0].keys() if overrides else ()
            for override in overrides:
                matched = override["matcher"]["options"]
                assert matched in columns or matched in ("calls", "tokens", "latency_ms"), (name, title, matched)
                values = [each["value"] for each in override["properties"] if each["id"] == "links"]
                for link in (link for value in values for link in value):
                    assert matched in columns, (name, title, matched)
                    target = re.match(r"/d/([a-z-]+)\?", link["url"])
                    assert target is not None and target[1] in by_uid, link
                    assert set(re.findall(r"var-(\w+)=", link["url"])) <= by_uid[target[1]], link
                    assert set(re.findall(r"__data\.fields\.(\w+)", link["url"])) <= set(columns), link
                    assert (
                        set(re.findall(r"\$\{(tenant|feature|source)[:}]", link["url"])) <= by_uid[BOARDS[name]["uid"]]
                    )
                    seen.add((BOARDS[name]["uid"], target[1]))
    assert seen == {
        ("spendstream-overview", "spendstream-tenant"), ("spendstream-tenant", "spendstream-feature"),
        ("spendstream-feature", "spendstream-request"),
    }  # fmt: skip
