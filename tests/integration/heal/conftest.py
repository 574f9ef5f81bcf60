"""A store whose book lacks the price of gpt-4o, on both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pricing.book import read_book
from pricing.entries import PriceBook
from tests.contract.storage.conftest import own, server, storage
from tests.contract.storage.harness import Harness
from tests.integration.heal.price_books import WITH_GPT_4O, WITHOUT_GPT_4O

__all__ = ["own", "server", "storage"]


@pytest.fixture
def harness(storage: str) -> Iterator[Harness]:
    built = Harness(storage, read_book(WITHOUT_GPT_4O))
    yield built
    built.store.close()


@pytest.fixture
def whole_book() -> PriceBook:
    return read_book(WITH_GPT_4O)
