"""The book is swapped in while the worker runs: by version, all or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from pricing.book import PriceBookError, read_book
from pricing.entries import PriceBook
from pricing.kernel import price_event
from services.processor.book_file import BookFile
from tests.integration.heal.price_books import WITH_GPT_4O, WITHOUT_GPT_4O


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "price_book.yaml"
    file.write_text(WITHOUT_GPT_4O)
    return file


def refusals(dsn: str, path: Path) -> list[tuple[str, str]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT problems, version_in_force FROM price_book_refusal WHERE path = %s", (str(path),)
        ).fetchall()


def test_an_edited_file_is_in_force_once_it_has_looked_the_same_twice(database: str, path: Path) -> None:
    file = BookFile(path, database)
    before = file.book()
    path.write_text(WITH_GPT_4O)
    file.look()
    assert file.book() is before, "who edits it may not be done"
    file.look()
    assert file.book().version == read_book(WITH_GPT_4O).version != before.version
    assert file.book().find("openai", "gpt-4o") is not None


def test_a_broken_file_is_refused_whole_and_says_so_until_it_is_right(database: str, path: Path) -> None:
    file = BookFile(path, database)
    before = file.book()
    path.write_text(WITH_GPT_4O.replace('"2.50"', "2.50").replace("2020-01-01", "2020-13-01"))
    file.look()
    file.look()
    assert file.book() is before
    ((problems, version),) = refusals(database, path)
    assert version == before.version
    assert len(problems.splitlines()) == 3, "all that is wrong, each with its line"
    path.write_text(WITH_GPT_4O)
    file.look()
    file.look()
    assert file.book().find("openai", "gpt-4o") is not None
    assert refusals(database, path) == []


def test_a_file_that_vanishes_is_refused_too(database: str, path: Path) -> None:
    file = BookFile(path, database)
    path.unlink()
    file.look()
    file.look()
    assert file.book().find("openai", "gpt-4o-mini") is not None
    assert "cannot be read" in refusals(database, path)[0][0]


def test_a_worker_that_starts_on_a_broken_file_goes_on_with_the_last_good_book(database: str, path: Path) -> None:
    BookFile(path, database).look()
    path.write_text("version: [")
    again = BookFile(path, database)
    assert again.book().version == read_book(WITHOUT_GPT_4O).version
    again.look()
    assert refusals(database, path)


def override(dsn: str, multiplier: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO tenant (tenant_id, name) VALUES ('acme', 'Acme') ON CONFLICT DO NOTHING")
        connection.execute(
            "INSERT INTO price_override (tenant_id, provider, model, effective_from, terms, reason, created_by) "
            "VALUES ('acme', 'openai', '*', '2026-01-01T00:00:00Z', %s, 'contract', 'an admin')",
            (json.dumps({"multiplier": multiplier}),),
        )


def cost(book: PriceBook, tenant: str) -> int | None:
    usage = {"output_text": 1_000}
    found = price_event(
        book, usage, provider="openai", model="gpt-4o-mini", occurred_at_us=1_790_000_000_000_000, tenant=tenant
    )
    return found.cost_pico_usd


def test_an_override_of_the_database_is_in_force_within_one_look_and_the_version_names_it(
    database: str, path: Path
) -> None:
    file = BookFile(path, database)
    before = file.book()
    override(database, "0.75")
    file.look()
    book = file.book()
    assert book.version.startswith(f"{before.version}+overrides.")
    assert [cost(book, tenant) for tenant in ("acme", "bigco")] == [1_000 * 600_000 * 3 // 4, 1_000 * 600_000]
    path.write_text("version: [")
    file.look()
    file.look()
    assert file.book() is book
    assert BookFile(path, database).book().version == book.version, "the last good book is kept with its overrides"


def test_an_override_that_makes_no_book_is_refused_and_the_book_in_force_stays(database: str, path: Path) -> None:
    file = BookFile(path, database)
    before = file.book()
    override(database, "ten")
    file.look()
    assert file.book() is before
    assert "overrides.acme.multiplier: not a plain decimal number: 'ten'" in refusals(database, path)[0][0]


def test_without_any_good_book_nothing_starts(backends: object, database: str, path: Path) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM price_book")
    path.write_text("version: [")
    with pytest.raises(PriceBookError):
        BookFile(path, database)
