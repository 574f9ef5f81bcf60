"""Figures on their way out."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from services.query.api.cursors import make_cursor, make_offset, read_cursor, read_offset
from services.query.api.problems import Complaints
from services.query.api.session import local_path
from services.query.api.shapes import money_string, per_call, percent, share
from services.query.api.tracking import percentage_change, trend_of


@pytest.mark.parametrize(
    ("usd", "text"),
    [("0.000069", "0.000069"), ("96.791325", "96.791325"), ("0", "0"), ("1000", "1000"), ("1E-12", "0.000000000001")],
)
def test_money_is_an_exact_string_without_an_exponent(usd: str, text: str) -> None:
    assert money_string(Decimal(usd)) == text


def test_shares_of_nothing_are_zero() -> None:
    assert (share(0, 0), percent(Decimal(0), Decimal(0)), per_call(Decimal(0), 0)) == (0.0, 0.0, Decimal(0))


def test_four_of_eight_equal_calls_are_half() -> None:
    one = Decimal("0.000069")
    assert [percent(one * n, one * 8) for n in (4, 3, 1)] == [50.0, 37.5, 12.5]


def test_a_cursor_comes_back_as_it_went() -> None:
    row = (datetime(2026, 10, 1, 8, 0, 0, 7, UTC), 3, UUID(int=5), "req/1 é")
    cursor = make_cursor("requests", row)
    assert cursor is not None
    assert read_cursor("requests", cursor, (datetime, int, UUID, str)) == row
    assert make_cursor("requests", None) is None


def said(body: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(body).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "o300", "bzMwM", "é", "b" * 40, "by0x", said(["other", 1, "2026-10-01T00:00:00Z"]), said(["list", 1]),
     said(["list", "1", "2026-10-01T00:00:00Z"]), said(["list", True, "2026-10-01T00:00:00Z"]),
     said(["list", 1, "soon"]), said(["list", 10**30, "2026-10-01T00:00:00Z"]), said(["list", 1, "2026-10-01T00:00"]),
     said({"list": 1}), said(7), said(["list", 1, "0001-01-01T00:00:00Z"]), said(["list", 1, None]), said([])],
)  # fmt: skip
def test_a_foreign_cursor_is_none(cursor: str) -> None:
    assert read_cursor("list", cursor, (int, datetime)) is None


def test_an_offset_is_within_bounds() -> None:
    for offset in (-1, 10**9):
        complaints = Complaints()
        read_offset(make_offset(offset), complaints)
        assert [one.parameter for one in complaints.found] == ["cursor"]
    complaints = Complaints()
    assert read_offset(make_offset(300), complaints) == 300 and not complaints.found


@pytest.mark.parametrize(
    ("now", "before", "change", "trend"),
    [(0, 0, 0, "stable"), (5, 0, 100, "up"), (105, 100, 5, "stable"), (106, 100, 6, "up"), (50, 100, -50, "down")],
)
def test_trends_compare_with_the_period_before(now: float, before: float, change: float, trend: str) -> None:
    assert percentage_change(now, before) == change
    assert trend_of(change) == trend


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\nb", ""])
def test_signing_in_leads_nowhere_else(path: str) -> None:
    assert local_path(path) == "/"


def test_signing_in_leads_back() -> None:
    assert local_path("/usage/acme?range=30d") == "/usage/acme?range=30d"
