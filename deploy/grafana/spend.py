"""The dashboards of spend: all tenants, one tenant, and from a feature by its requests down to their attempts. Pure."""

from __future__ import annotations

from deploy.grafana.build import (
    COST,
    DATA_SOURCE,
    IN_RANGE,
    TENANT,
    TENANT_NO,
    THIS_TENANT,
    Json,
    Link,
    Panel,
    cell,
    dashboard,
    query_variable,
    series,
    stat,
    table,
    text_variable,
)

OVERVIEW, OF_TENANT, OF_FEATURE, OF_REQUEST = (
    "spendstream-overview", "spendstream-tenant", "spendstream-feature", "spendstream-request",
)  # fmt: skip
_USD, _COUNT, _MS, _SHARE = "currencyUSD", "short", "ms", "percentunit"
_QUARTERS = "Of whole quarters of an hour that begin in the range."
_LATENCY = "sum(latency_sum_ms) / nullif(sum(latency_count), 0)"
_TOKENS = (
    "sum(input_uncached + cache_read + cache_write_5m + cache_write_1h + input_audio + input_image + output_text + "
    "output_reasoning + output_audio + output_image)"
)
_RAW_TOKENS = _TOKENS.removeprefix("sum(").removesuffix(")")
# What a call costs: what it was billed and what was corrected since.
_CALL_COST = (
    "(coalesce(e.cost_pico_usd, 0) + coalesce((SELECT sum(a.delta_pico_usd) FROM cost_adjustment AS a "
    "WHERE a.tenant_no = e.tenant_no AND a.event_key = e.event_key), 0))"
)


def _cards(where: str) -> list[Panel]:
    source = f"FROM usage_15m WHERE {where}"
    return [
        stat("Cost", f"SELECT coalesce({COST}, 0) AS cost_usd {source}", _USD, _QUARTERS),
        stat("Calls", f"SELECT coalesce(sum(calls), 0) AS calls {source}", _COUNT),
        stat(
            "Failed", f"SELECT coalesce(sum(errors)::numeric / nullif(sum(calls), 0), 0) AS share {source}", _SHARE,
            "Calls whose status is not ok.",
        ),
        stat(
            "Wasted", f"SELECT coalesce(sum(wasted_pico_usd) / 1e12, 0) AS cost_usd {source}", _USD,
            "Cost of calls that failed or were replaced by a retry.",
        ),
        stat("Average latency", f"SELECT {_LATENCY} AS latency_ms {source}", _MS),
        stat(
            "Without a price", f"SELECT coalesce(sum(unpriced_events), 0) AS calls {source}", _COUNT,
            "Counted, and not in the cost until they have a price.",
        ),
    ]  # fmt: skip


def _cost_over_time(title: str, what: str, where: str) -> Panel:
    sql = (
        f"SELECT $__timeGroupAlias(bucket,$__interval), {what} AS metric, {COST} AS value FROM usage_15m "
        f"WHERE {where} GROUP BY 1, 2 ORDER BY 1"
    )
    return series(title, sql, _USD)


def _by(dimension: str, where: str, name: str | None = None) -> str:
    return (
        f"SELECT {dimension} AS {name or dimension}, {COST} AS cost_usd, sum(calls) AS calls, {_TOKENS} AS tokens, "
        f"{_LATENCY} AS latency_ms FROM usage_15m WHERE {where} GROUP BY 1 ORDER BY 2 DESC LIMIT 100"
    )


_ROW = {"cost_usd": _USD, "calls": _COUNT, "tokens": _COUNT, "latency_ms": _MS}


def overview() -> Json:
    tenants = (
        f"SELECT t.tenant_id AS tenant, t.name, {COST} AS cost_usd, sum(calls) AS calls FROM usage_15m "
        f"JOIN tenant AS t USING (tenant_no) WHERE {IN_RANGE} GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 100"
    )
    of_tenant = Link("tenant", "This tenant", OF_TENANT, {"tenant": cell("tenant")})
    panels = [
        *_cards(IN_RANGE),
        _cost_over_time("Cost by provider", "provider", IN_RANGE),
        series(
            "Calls, ok and failed",
            "SELECT $__timeGroupAlias(bucket,$__interval), "
            "CASE status WHEN 'ok' THEN 'ok' ELSE 'failed' END AS metric, "
            f"sum(calls) AS value FROM usage_15m WHERE {IN_RANGE} GROUP BY 1, 2 ORDER BY 1",
            _COUNT,
        ),
        table("Tenants", tenants, _ROW, [of_tenant]),
        table("Models", _by("model", IN_RANGE), _ROW),
        table("Providers", _by("provider", IN_RANGE), _ROW),
        table("Agents", _by("agent_id", f"{IN_RANGE} AND agent_id <> ''", "agent"), _ROW),
    ]
    return dashboard(OVERVIEW, "Overview", "What AI calls cost, all tenants.", [DATA_SOURCE], panels)


def tenant() -> Json:
    mine = f"tenant_no = {TENANT_NO} AND {IN_RANGE}"
    to_feature = Link("feature", "Its requests", OF_FEATURE, {"tenant": THIS_TENANT, "feature": cell("feature")})
    customers = (
        f"SELECT customer_id AS customer, {COST} AS cost_usd, sum(calls) AS calls FROM customer_hour WHERE {mine} "
        "GROUP BY 1 ORDER BY 2 DESC LIMIT 100"
    )
    channels = (
        f"SELECT $__timeGroupAlias(bucket,$__interval), channel AS metric, sum(requests) AS value FROM channel_hour "
        f"WHERE {mine} GROUP BY 1, 2 ORDER BY 1"
    )
    spikes = (
        "SELECT window_start AS time, rule, dimension, value, observed_pico_usd / 1e12 AS cost_usd, "
        "usual_pico_usd / 1e12 AS usual_usd, cause FROM spike "
        f"WHERE tenant_no = {TENANT_NO} AND $__timeFilter(window_start) ORDER BY 1 DESC LIMIT 200"
    )
    budgets = (
        "SELECT scope::text AS scope, budget_window, limit_pico_usd / 1e12 AS limit_usd FROM budget "
        "WHERE tenant_id = ${tenant:sqlstring} ORDER BY 3 DESC"
    )
    panels = [
        *_cards(mine),
        _cost_over_time("Cost by feature", "feature", mine),
        _cost_over_time("Cost by model", "model", mine),
        table("Features", _by("feature", mine), _ROW, [to_feature]),
        table("Agents", _by("agent_id", mine, "agent"), _ROW),
        table("Customers", customers, _ROW),
        series("Messages by channel", channels, _COUNT),
        table("Spikes", spikes, {"cost_usd": _USD, "usual_usd": _USD}, width=16),
        table("Budgets", budgets, {"limit_usd": _USD}, width=8),
    ]
    return dashboard(OF_TENANT, "Tenant", "What one tenant spends, and on what.", [DATA_SOURCE, TENANT], panels)


def feature() -> Json:
    features = query_variable(
        "feature",
        "Feature",
        "SELECT DISTINCT CASE feature WHEN '' THEN '(none)' ELSE feature END AS __text, feature AS __value "
        f"FROM usage_day WHERE tenant_no = {TENANT_NO} ORDER BY 1",
    )
    mine = f"tenant_no = {TENANT_NO} AND feature = ${{feature:sqlstring}} AND {IN_RANGE}"
    # A call without a request id is a request of its own; it has nothing to lead to.
    requests = (
        "SELECT max(e.occurred_at) AS time, e.request_id AS request, "
        "(array_agg(e.model ORDER BY e.attempt DESC, e.occurred_at DESC))[1] AS model, count(*) AS attempts, "
        f"sum({_RAW_TOKENS}) AS tokens, sum({_CALL_COST}) / 1e12 AS cost_usd, sum(e.latency_ms) AS latency_ms, "
        "(array_agg(e.status ORDER BY e.attempt DESC, e.occurred_at DESC))[1] AS status FROM usage_event AS e "
        f"WHERE e.tenant_no = {TENANT_NO} AND e.feature = ${{feature:sqlstring}} AND $__timeFilter(e.occurred_at) "
        "GROUP BY e.request_id, CASE e.request_id WHEN '' THEN e.event_key END ORDER BY 1 DESC LIMIT 500"
    )
    to_request = Link("request", "Its attempts", OF_REQUEST, {"tenant": THIS_TENANT, "request": cell("request")})
    panels = [
        *_cards(mine),
        _cost_over_time("Cost by model", "model", mine),
        table("Models", _by("model", mine), _ROW),
        table(
            "Requests, newest first", requests, {"tokens": _COUNT, "cost_usd": _USD, "latency_ms": _MS}, [to_request],
            width=24, description="At most 500; shorten the range for others.",
        ),
    ]  # fmt: skip
    variables = [DATA_SOURCE, TENANT, features]
    return dashboard(OF_FEATURE, "Feature", "A feature's requests.", variables, panels, "now-24h")


def request() -> Json:
    mine = (
        f"FROM usage_event AS e WHERE e.tenant_no = {TENANT_NO} AND e.request_id = ${{request:sqlstring}} "
        "AND e.request_id <> ''"
    )
    attempts = (
        "SELECT e.attempt, e.occurred_at AS time, e.provider, e.model, e.region, e.status, e.error_type, "
        f"{_RAW_TOKENS} AS tokens, {_CALL_COST} / 1e12 AS cost_usd, e.latency_ms, e.retry_count, e.cache_hit, "
        f"e.superseded, e.price_entry {mine} ORDER BY e.attempt, e.occurred_at LIMIT 1000"
    )
    panels = [
        stat(
            "Cost", f"SELECT coalesce(sum({_CALL_COST}), 0) / 1e12 AS cost_usd {mine}", _USD, "All attempts are billed."
        ),
        stat(
            "Wasted",
            f"SELECT coalesce(sum({_CALL_COST}) FILTER (WHERE e.status <> 'ok' OR e.superseded), 0) / 1e12 "
            f"AS cost_usd {mine}",
            _USD,
        ),
        stat("Calls", f"SELECT count(*) AS attempts {mine}", _COUNT),
        stat("Tokens", f"SELECT coalesce(sum({_RAW_TOKENS}), 0) AS tokens {mine}", _COUNT),
        stat("Latency, summed", f"SELECT coalesce(sum(e.latency_ms), 0) AS latency_ms {mine}", _MS),
        stat("Retries", f"SELECT coalesce(sum(e.retry_count), 0) AS retries {mine}", _COUNT),
        table("Attempts", attempts, {"tokens": _COUNT, "cost_usd": _USD, "latency_ms": _MS}, width=24),
    ]
    variables = [DATA_SOURCE, TENANT, text_variable("request", "Request id")]
    return dashboard(OF_REQUEST, "Request", "One request and its attempts, whenever they were.", variables, panels)
