"""The browser that looks at pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # One for each module: its driver keeps an event loop running in the main thread, and whichever module a worker
    # takes next may have loops of its own.
    from tests.e2e.pages.browser import running_browser

    with running_browser() as running:
        yield running
