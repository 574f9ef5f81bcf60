"""Templates and their filters. Strict: a name a template misspells is an error, not an empty cell."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pricing.money import usd_string
from services.query.pages import formats
from services.query.pages.charts import line_area, line_points, step_lines

_HERE = Path(__file__).resolve().parent.parent
STATIC = _HERE / "static"
TEMPLATES = _HERE / "templates"


def script_json(data: object) -> Markup:
    """JSON that can't end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026").replace(">", "\\u003e"))  # nosec B704


@cache
def asset(path: str) -> str:
    """The address of a static file, with its content's hash: a new version is a new address."""
    digest = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:10]
    return f"/static/{path}?v={digest}"


def moment(at: datetime | None, zone: object = None) -> str:
    """22 Nov 14:02:07 in the zone given."""
    if at is None:
        return formats.NOTHING
    local = at.astimezone(zone) if zone is not None else at  # type: ignore[arg-type]
    return f"{local.day} {local:%b %H:%M:%S}"


def make_templates() -> Environment:
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        money=formats.money,
        money_exact=formats.money_exact,
        exact=usd_string,
        count=formats.count,
        short=formats.short,
        percent=formats.percent,
        milliseconds=formats.milliseconds,
        script_json=script_json,
        moment=moment,
    )
    env.globals.update(line_points=line_points, line_area=line_area, step_lines=step_lines, asset=asset)
    return env


@cache
def templates() -> Environment:
    """One environment a process: templates compile once."""
    return make_templates()


def render(name: str, context: Mapping[str, object]) -> str:
    return templates().get_template(name).render(context)
