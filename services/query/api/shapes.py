"""From answers to JSON: the envelope of /api/v1, money as exact strings there and as numbers elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import orjson
from fastapi.responses import Response

from services.query.api.cursors import make_offset
from services.query.read.question import CostAnswer, CostRow, Figure

_PICO = Decimal("0.000000000001")


def json_response(body: object, status: int = 200) -> Response:
    """JSON with moments in RFC 3339; decimals must have become strings or numbers before."""
    return Response(orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS), status, media_type="application/json")


def money_string(usd: Decimal) -> str:
    """Exact, without an exponent: "0.000069"."""
    text = f"{usd:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def money_number(usd: Figure) -> float:
    """The nearest JSON number; 0 for nothing."""
    return float(usd or 0)


def exact(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Figures with money as strings."""
    return {name: money_string(value) if isinstance(value, Decimal) else value for name, value in figures.items()}


def row_body(row: CostRow) -> dict[str, Any]:
    """One row of /api/v1/costs."""
    bucket = {} if row.bucket is None else {"bucket": row.bucket.isoformat()}
    return {**row.dimensions, **bucket, **exact(row.figures)}


def envelope(data: object, answer: CostAnswer) -> dict[str, Any]:
    """`data` with the totals and the state of the stream that belong to it."""
    return {
        "data": data,
        "totals": exact(answer.totals),
        "data_through": answer.data_through,
        "unpriced_events": answer.unpriced_events,
        "late_events": answer.late_events,
        "next_cursor": make_offset(answer.next_offset),
    }


def listing(data: Sequence[object], next_cursor: str | None, data_through: datetime | None = None) -> dict[str, Any]:
    """The envelope of what has no sums."""
    return {"data": data, "data_through": data_through, "next_cursor": next_cursor}


def per_call(cost_usd: Figure, calls: Figure) -> Decimal:
    """Average cost of a call, rounded half even to 10^-12 USD; 0 without calls."""
    if not calls:
        return Decimal(0)
    return (Decimal(cost_usd or 0) / int(calls)).quantize(_PICO, rounding=ROUND_HALF_EVEN)


def percent(part: Figure, whole: Figure) -> float:
    """0 to 100; 0 of nothing."""
    return round(float(Decimal(part or 0) * 100 / Decimal(whole)), 4) if whole else 0.0


def share(part: Figure, whole: Figure) -> float:
    """0 to 1; 0 of nothing."""
    return float(Decimal(part or 0) / Decimal(whole)) if whole else 0.0
