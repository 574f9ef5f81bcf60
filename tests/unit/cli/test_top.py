from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from rich.console import Console

from services.cli.main import main
from services.cli.top_view import Look, render, sparkline, usd, window_text

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def row(feature: str, cost_usd: str, calls: int, errors: int = 0) -> dict[str, Any]:
    return {"feature": feature, "cost_usd": cost_usd, "calls": calls, "total_tokens": 1_000, "errors": errors,
            "wasted_cost_usd": "0"}  # fmt: skip


def a_look(*rows: dict[str, Any], unpriced: int = 0, tenant_id: str | None = None) -> Look:
    total = sum(Decimal(each["cost_usd"]) for each in rows)
    totals = {"cost_usd": f"{total:f}", "calls": 12, "total_tokens": 5_000, "errors": 1, "wasted_cost_usd": "0.25"}
    through = AT - timedelta(seconds=3)
    past = (Decimal(1), Decimal(0), Decimal("0.01"))
    return Look(AT, timedelta(hours=2), "feature", tenant_id, rows, totals, past, unpriced, through)


def shown(look: Look, trouble: str = "", width: int = 120) -> str:
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(render(look, width, trouble))
    return capture.get()


def test_the_dearest_is_shown_with_its_share_and_what_a_call_costs() -> None:
    text = shown(a_look(row("chat", "3.00", 10, errors=1), row("", "1.00", 2), unpriced=7, tenant_id="acme"), width=160)
    # $4 in two hours are $2 an hour; $3 of $4 are 75 %, $3 for ten calls are 30 cents each.
    for words in ("$4.00", "in the last 2 hours by acme", "$2.00 an hour", "75.0%", "$0.300", "(none)", "25.0%"):
        assert words in text
    assert "7 calls without a price" in text
    assert "$0.250 wasted" in text
    assert "counted up to 3 s ago" in text


def test_nothing_spent_says_what_to_do_and_a_failed_look_says_why() -> None:
    assert "Nothing was spent in this window" in shown(a_look())
    assert "the query service doesn't answer" in shown(a_look(row("chat", "1", 1)), "the query service doesn't answer")


def test_it_fits_a_terminal_of_eighty_columns() -> None:
    dear = row("a-feature-with-a-name-longer-than-most-of-them-are", "1234.56", 1_234_567, errors=12_345)
    text = shown(a_look(dear | {"total_tokens": 9_876_543_210}), width=80)
    assert max(len(line) for line in text.splitlines()) <= 80
    for figure in ("$1,234.56", "100.0%", "1,234,567", "9,876,543,210", "$0.00100", "12,345"):
        assert figure in text


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "$0.00"), ("0.000069", "$0.0000690"), ("0.5", "$0.500"), ("1", "$1.00"), ("1234.5", "$1,234.50"),
     ("0.000000000001", "$0.00000000000100")],
)  # fmt: skip
def test_small_amounts_keep_three_digits(amount: str, text: str) -> None:
    assert usd(Decimal(amount)) == text


def test_a_little_differs_from_nothing_in_the_line() -> None:
    assert sparkline([Decimal(8), Decimal(0), Decimal("0.001"), Decimal(4)]) == "█ ▁▄"
    assert sparkline([]) == ""
    assert sparkline([Decimal(1)] * 120 + [Decimal(6)]) == "▄" * 40 + "█"


def test_windows_are_named_by_their_largest_unit() -> None:
    assert [window_text(timedelta(seconds=s)) for s in (3_600, 900, 172_800)] == ["hour", "15 minutes", "2 days"]


def test_json_has_the_figures_as_the_api_has_them() -> None:
    look = orjson.loads(orjson.dumps(a_look(row("chat", "0.000069", 1)).to_json()))
    assert (look["rows"][0]["cost_usd"], look["totals"]["cost_usd"]) == ("0.000069", "0.000069")
    assert (look["window_seconds"], look["by"], look["data_through"]) == (7_200, "feature", "2026-11-22T11:59:57+00:00")


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["--by", "colour"], "'colour' is not one of", 2),
        (["--window", "soon"], "'soon' is no window", 2),
        (["--window", "36d"], "at most 35d", 2),
        (["--interval", "0"], "0.0 is not in the range", 2),
        (["--once"], "Spendstream isn't running here", 1),
    ],
)
def test_what_cannot_be_shown_is_one_line_on_stderr_and_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str, code: int
) -> None:
    monkeypatch.setenv("SPENDSTREAM_HOME", str(tmp_path))
    monkeypatch.delenv("SPENDSTREAM_URL", raising=False)
    result = CliRunner().invoke(main, ["top", *arguments])
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_half_an_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPENDSTREAM_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("SPENDSTREAM_ADMIN_KEY", raising=False)
    result = CliRunner().invoke(main, ["top", "--once"])
    assert (result.exit_code, "SPENDSTREAM_ADMIN_KEY isn't set" in result.stderr) == (1, True)
