"""What dashboards are made of: panels, variables, links; plain dicts in Grafana's own shape. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

WIDTH = 24
# A variable, so that people of one tenant choose the data source whose login sees that tenant only.
SOURCE: Json = {"type": "grafana-postgresql-datasource", "uid": "${source}"}
PROMETHEUS: Json = {"type": "prometheus", "uid": "${prometheus}"}

# A bucket belongs to the range its start lies in; BETWEEN would count the bucket after the range too.
IN_RANGE = "bucket >= $__timeFrom() AND bucket < $__timeTo()"
COST = "sum(billed_pico_usd + adjustment_pico_usd) / 1e12"
THIS_TENANT = "${tenant:percentencode}"
TENANT_NO = "(SELECT tenant_no FROM tenant WHERE tenant_id = ${tenant:sqlstring})"


@dataclass(frozen=True, slots=True)
class Link:
    """Leads from a cell of `column` to another dashboard, whose `variables` come from a column or variable here."""

    column: str
    title: str
    dashboard: str
    variables: Mapping[str, str]

    def url(self) -> str:
        given = [f"var-{name}={value}" for name, value in self.variables.items()]
        return f"/d/{self.dashboard}?" + "&".join([*given, "${source:queryparam}", "${__url_time_range}"])


def cell(column: str) -> str:
    """The value of a column in the row that is clicked, safe in an address."""
    return "${__data.fields." + column + ":percentencode}"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `units` are by column, "" for all; SQL and PromQL as (legend or "", text)."""

    kind: str
    title: str
    queries: Sequence[tuple[str, str]]
    description: str = ""
    width: int = 12
    height: int = 8
    units: Mapping[str, str] = field(default_factory=dict)
    links: Sequence[Link] = ()
    prometheus: bool = False
    stacked: bool = False


def stat(title: str, sql: str, unit: str, description: str = "", width: int = 4) -> Panel:
    return Panel("stat", title, [("", sql)], description, width, 4, {"": unit})


def series(title: str, sql: str, unit: str, description: str = "", width: int = 12, *, stacked: bool = True) -> Panel:
    """Lines or stacked areas of a query with the columns time, metric and value."""
    return Panel("timeseries", title, [("", sql)], description, width, 9, {"": unit}, stacked=stacked)


def table(
    title: str, sql: str, units: Mapping[str, str], links: Sequence[Link] = (), width: int = 12, description: str = ""
) -> Panel:
    return Panel("table", title, [("", sql)], description, width, 10, units, links)


def measured(
    title: str, queries: Sequence[tuple[str, str]], unit: str, description: str = "", width: int = 12
) -> Panel:
    """Lines of Prometheus."""
    return Panel("timeseries", title, queries, description, width, 8, {"": unit}, prometheus=True)


def query_variable(name: str, label: str, sql: str) -> Json:
    return {
        "type": "query", "name": name, "label": label, "datasource": SOURCE, "query": sql, "definition": sql,
        "refresh": 2, "sort": 0, "multi": False, "includeAll": False, "hide": 0, "options": [], "current": {},
    }  # fmt: skip


def text_variable(name: str, label: str) -> Json:
    return {"type": "textbox", "name": name, "label": label, "query": "", "hide": 0, "options": [], "current": {}}


def source_variable(name: str, label: str, plugin: str, chosen: str) -> Json:
    return {
        "type": "datasource", "name": name, "label": label, "query": plugin, "regex": "", "refresh": 1, "hide": 0,
        "multi": False, "includeAll": False, "options": [], "current": {"text": chosen, "value": chosen},
    }  # fmt: skip


DATA_SOURCE = source_variable("source", "Data source", SOURCE["type"], "spendstream")
METRICS_SOURCE = source_variable("prometheus", "Metrics", PROMETHEUS["type"], "prometheus")
TENANT = query_variable(
    "tenant", "Tenant", "SELECT name AS __text, tenant_id AS __value FROM tenant ORDER BY name, tenant_id"
)


def dashboard(
    uid: str, title: str, description: str, variables: Sequence[Json], panels: Sequence[Panel], start: str = "now-7d"
) -> Json:
    """Panels are laid out in rows from left to right, in their order."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["spendstream"],
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": start, "to": "now"},
        "templating": {"list": list(variables)},
        "links": [
            {
                "type": "dashboards",
                "title": "Spendstream",
                "tags": ["spendstream"],
                "asDropdown": True,
                "keepTime": True,
            }
        ],
        "annotations": {"list": []},
        "panels": list(_laid_out(panels)),
    }


def _laid_out(panels: Sequence[Panel]) -> list[Json]:
    x = y = row_height = 0
    placed = []
    for number, panel in enumerate(panels, start=1):
        if x + panel.width > WIDTH:
            x, y, row_height = 0, y + row_height, 0
        placed.append(_panel(number, panel, {"x": x, "y": y, "w": panel.width, "h": panel.height}))
        x, row_height = x + panel.width, max(row_height, panel.height)
    return placed


def _panel(number: int, panel: Panel, place: Json) -> Json:
    defaults: Json = {"custom": {}, "noValue": "0" if panel.kind == "stat" else "no data"}
    if "" in panel.units:
        defaults["unit"] = panel.units[""]
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "lineWidth": 1, "fillOpacity": 40 if panel.stacked else 5, "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none"},
        }  # fmt: skip
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "gridPos": place,
        "datasource": PROMETHEUS if panel.prometheus else SOURCE,
        "targets": [_target(chr(65 + index), panel, *query) for index, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": defaults, "overrides": _overrides(panel)},
        "options": _OPTIONS[panel.kind],
        **({"interval": "15m"} if panel.kind == "timeseries" and not panel.prometheus else {}),
    }


_OPTIONS: dict[str, Json] = {
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "graphMode": "none"},
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "table": {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}},
}


def _target(letter: str, panel: Panel, legend: str, text: str) -> Json:
    if panel.prometheus:
        return {"refId": letter, "datasource": PROMETHEUS, "expr": text, "legendFormat": legend, "range": True}
    form = "time_series" if panel.kind == "timeseries" else "table"
    return {
        "refId": letter, "datasource": SOURCE, "editorMode": "code", "rawQuery": True, "format": form, "rawSql": text,
    }  # fmt: skip


def _overrides(panel: Panel) -> list[Json]:
    found: dict[str, list[Json]] = {}
    for column, unit in panel.units.items():
        if column:
            found.setdefault(column, []).append({"id": "unit", "value": unit})
    for link in panel.links:
        value = [{"title": link.title, "url": link.url(), "targetBlank": False}]
        found.setdefault(link.column, []).append({"id": "links", "value": value})
    return [{"matcher": {"id": "byName", "options": column}, "properties": each} for column, each in found.items()]
