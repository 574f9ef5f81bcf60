"""Taking prices over from an open list: only what is new, in the book's own words, and nothing there is touched."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from pricing.book import load_book, read_book
from pricing.kernel import price_event
from services.cli import price
from services.cli.main import main

BOOK = """\
version: "1"  # a word about it
units:
  web_searches: a search
providers:
  openai:
    source: https://example.com/openai
    checked: 2026-11-01
    models:
      gpt-4o:
        tier: standard
        entries:
          # Written by hand.
          - effective_from: 2026-01-01
            prices: {input_uncached: "2.50",   output_text: "10.00"}

  # What follows stays as it is, too.
  ollama:
    source: https://example.com/ollama
    checked: 2026-11-01
    models:
      free: {tier: cheap, entries: [{effective_from: 2026-01-01, prices: {input_uncached: "0"}}]}
"""
D = Decimal


def model(name: str, prices: Any, names: tuple[str, ...] = (), variants: Any = None) -> SimpleNamespace:  # noqa: ANN401
    clauses = [SimpleNamespace(equals=other) for other in (name.lower(), *names)]
    return SimpleNamespace(id=name, match=SimpleNamespace(or_=clauses), prices=prices, price_variants=variants)


def per_million(prompt: str, completion: str, **more: object) -> SimpleNamespace:
    return SimpleNamespace(input_mtok=D(prompt), output_mtok=D(completion), **more)


def since(day: str, prices: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(constraint=SimpleNamespace(start_date=date.fromisoformat(day)), prices=prices)


TIERED = SimpleNamespace(base=D("1"), tiers=[SimpleNamespace(start=200_000, price=D("2"))])
BATCH = SimpleNamespace(when={"processing": "batch"}, constraint=None, prices=per_million("0.75", "3"))
LIST = [
    SimpleNamespace(
        id="openai",
        pricing_urls=["https://example.com/list#here"],
        models=[
            model("gpt-4o", [SimpleNamespace(constraint=None, prices=per_million("2.50", "10")),
                             since("2026-12-01", per_million("2.00", "8"))]),
            model("gpt-new", per_million("1.5", "6", web_searches_kcount=D(10)), variants=[BATCH]),
            model("gpt-long", SimpleNamespace(input_mtok=TIERED, output_mtok=D("4"))),
            model("gpt-noise", per_million("0.0833333333333333", "1")),
            model("gpt-video", per_million("1", "4", input_video_mtok=D(3))),
            model("gpt-odd", per_million("1", "400")),
            model("gpt-new:free", per_million("0", "0")),
        ],
    ),
    SimpleNamespace(
        id="x-ai", pricing_urls=["https://example.com/xai"],
        models=[model("grok-9", [SimpleNamespace(constraint=None, prices=per_million("5", "25")),
                                 since("2025-06-01", per_million("3", "15")),
                                 since("2026-06-01", per_million("2", "10"))], ("grok-9-latest",))],
    ),
    SimpleNamespace(id="ollama", pricing_urls=[], models=[model("free", per_million("0.1", "0.4"))]),
]  # fmt: skip


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(price, "_list", lambda: LIST)
    file = tmp_path / "book.yaml"
    file.write_text(BOOK)
    return file


def run(path: Path, *arguments: str) -> str:
    result = CliRunner().invoke(main, ["price", "import", "--book", str(path), *arguments])
    assert result.exit_code == 0, result.output
    return result.output


WANTED = ("--provider", "openai", "--provider", "xai", "--provider", "ollama")


def test_it_says_what_is_new_what_changed_and_where_the_list_disagrees(path: Path) -> None:
    said = run(path, *WANTED).splitlines()
    assert [line for line in said if line.startswith("new")] == [
        "new: openai/gpt-new", "new: openai/gpt-long", "new: xai/grok-9"
    ]  # fmt: skip
    assert "changed: openai/gpt-4o from 2026-12-01" in said
    assert [line for line in said if line.startswith("disagrees")] == [
        "disagrees: ollama/free: input_uncached 0.1 in the list, 0 here, output_text 0.4 in the list, none here"
    ]
    left_out = {line.split(": ")[1]: line for line in said if line.startswith("left out")}
    assert len(left_out) == 4
    assert "more than 6 decimal places" in left_out["openai/gpt-noise"]
    assert "input_video_mtok" in left_out["openai/gpt-video"]
    assert path.read_text() == BOOK, "nothing is written unless it is asked for"


def test_what_it_writes_prices_as_the_list_does_and_leaves_every_line_that_was_there(path: Path) -> None:
    run(path, *WANTED, "--write")
    text = path.read_text()
    lines = iter(text.splitlines())
    assert all(line in lines for line in BOOK.splitlines()), "every line that was there, in its order"
    book = load_book(path)
    cases = [
        ("openai", "gpt-4o", "2026-11-30", {"output_text": 1}, "", 10 * 10**6),
        ("openai", "gpt-4o", "2026-12-01", {"output_text": 1}, "", 8 * 10**6),
        ("openai", "gpt-new", "2026-11-30", {"output_reasoning": 1}, "", 6 * 10**6),
        ("openai", "gpt-new", "2026-11-30", {"output_text": 1}, "batch", 3 * 10**6),
        ("openai", "gpt-long", "2026-11-30", {"input_uncached": 200_000}, "", 200_000 * 10**6),
        ("openai", "gpt-long", "2026-11-30", {"input_uncached": 200_001}, "", 200_001 * 2 * 10**6),
        ("xai", "grok-9-latest", "2026-05-31", {"output_text": 1}, "", 15 * 10**6),
        ("xai", "grok-9", "2026-06-01", {"output_text": 1}, "", 10 * 10**6),
    ]
    for provider, name, day, usage, service_tier, wanted in cases:
        at_us = (date.fromisoformat(day) - date(1970, 1, 1)).days * 86_400_000_000
        found = price_event(book, usage, provider=provider, model=name, occurred_at_us=at_us, service_tier=service_tier)
        assert found.cost_pico_usd == wanted, (name, day)


def test_a_second_time_there_is_nothing_new(path: Path) -> None:
    run(path, *WANTED, "--write")
    before = path.read_text()
    assert "0 new, 0 changed" in run(path, *WANTED, "--write")
    assert path.read_text() == before


def test_show_tells_a_models_history_and_says_when_there_is_none(path: Path) -> None:
    shown = CliRunner().invoke(main, ["price", "show", "gpt-4o", "--book", str(path)])
    assert "2026-01-01 to now on  input_uncached 2.5, output_text 10" in shown.output
    missing = CliRunner().invoke(main, ["price", "show", "gpt-9", "--book", str(path)])
    assert missing.exit_code == 1
    assert "counted as unpriced" in missing.output


def test_check_says_what_is_wrong_with_a_book(path: Path) -> None:
    path.write_text(BOOK.replace('"10.00"', "10.00"))
    result = CliRunner().invoke(main, ["price", "check", "--book", str(path)])
    assert result.exit_code == 1


def test_without_the_list_it_says_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(price, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    result = CliRunner().invoke(main, ["price", "import", "--book", str(path)])
    assert result.exit_code == 1
    assert "pip install genai-prices" in result.output
    assert read_book(path.read_text()).version.startswith("1+")


def test_prices_can_be_had_as_json(tmp_path: Path) -> None:
    path = tmp_path / "book.yaml"
    path.write_text(BOOK)
    (shown,) = orjson.loads(CliRunner().invoke(main, ["price", "show", "gpt-4o", "--book", str(path), "--json"]).stdout)
    (entry,) = shown["entries"]
    assert (shown["provider"], entry["from"], entry["until"]) == ("openai", "2026-01-01", None)
    assert {name: D(usd) for name, usd in entry["usd_per_million"].items()} == {
        "input_uncached": D("2.5"), "output_text": D(10)
    }  # fmt: skip
    checked = CliRunner().invoke(main, ["price", "check", "--book", str(path), "--json"])
    assert (checked.exit_code, orjson.loads(checked.stdout)["models"]) == (0, 2)
    path.write_text(BOOK.replace('"2.50"', '"-1"'))
    checked = CliRunner().invoke(main, ["price", "check", "--book", str(path), "--json"])
    assert (checked.exit_code, orjson.loads(checked.stdout)["right"]) == (1, False)
