from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli.client import Ledger, Totals
from services.cli.delivery import Outcome, Reading, Sent, Span, batches
from services.cli.events_file import Survey
from services.cli.main import main
from services.cli.replay import format_usd, report, to_json

ON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEFORE = Reading(Totals(0, 0, 0, Decimal(0), 0, None), Ledger(90, 5, 3, 2))
AFTER = Reading(Totals(19_366, 22_361_870, 4_088_665, Decimal("96.791325000000"), 0, ON), Ledger(19_456, 5, 3, 2))


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["nowhere.csv", "--tenant", "t"], "nowhere.csv: No such file or directory", 1),
        (["trace.csv", "--map", "occurred_at=WHEN"], "no column WHEN in it; its columns are a, b", 1),
        (["trace.csv"], "nothing in it gives occurred_at, tenant_id, provider, model", 1),
        (["trace.csv", "--map", "ocurred_at=a"], "an event has no field 'ocurred_at'", 2),
        (["trace.csv", "--map", "a"], "'a' is not FIELD=COLUMN", 2),
        (["trace.csv", "--shift-end", "noon"], "'noon' is no time", 2),
        ([], "Missing argument 'FILE'", 2),
    ],
)
def test_what_cannot_be_replayed_is_one_line_on_stderr_and_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str, code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trace.csv").write_text("a,b\n1,2\n")
    result = CliRunner().invoke(main, ["replay", *arguments], prog_name="spendstream")
    assert result.exit_code == code
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not result.stdout


def test_the_report_says_what_the_system_says_exactly() -> None:
    text = report(
        "trace.csv",
        Survey(19_366, frozenset({"azure"}), ON, ON),
        Span("azure", date(2026, 11, 21), date(2026, 11, 21)),
        Sent(accepted=19_366),
        BEFORE,
        AFTER,
    )
    for figure in ("19,366", "22,361,870", "4,088,665", "$96.791325\n"):
        assert figure in text + "\n"
    assert "azure, 2026-11-21 (UTC)" in text
    assert "dead-lettered" not in text


def test_the_report_for_programs_has_the_same_figures() -> None:
    day = date(2026, 11, 21)
    found, sent = Survey(19_366, frozenset({"azure"}), ON, ON), Sent(accepted=19_366)
    said = to_json("trace.csv", found, Span("azure", day, day), sent, BEFORE, AFTER)
    assert (said["sent"], said["counted"], said["duplicate"], said["rejected"]) == (19_366, 19_366, 0, [])
    assert Decimal(said["totals"]["cost_usd"]) == Decimal("96.791325")
    assert said["totals"]["prompt_tokens"] == 22_361_870


def test_what_became_of_a_file_is_the_difference_of_two_readings() -> None:
    assert Outcome.between(BEFORE, AFTER) == Outcome(counted=19_366, duplicate=0, dead_lettered=0, quarantined=0)


@pytest.mark.parametrize(
    ("exact", "shown"),
    [
        ("96.791325000000", "$96.791325"),
        ("0", "$0.00"),
        ("1234567.5", "$1,234,567.50"),
        ("0.000000000001", "$0.000000000001"),
    ],
)
def test_an_amount_is_shown_to_its_last_digit(exact: str, shown: str) -> None:
    assert format_usd(exact) == shown


def test_batches_keep_order_and_lose_nothing() -> None:
    events = [{"n": n} for n in range(5)]
    assert list(batches(events, 2)) == [events[:2], events[2:4], events[4:]]
    assert list(batches([], 2)) == []
