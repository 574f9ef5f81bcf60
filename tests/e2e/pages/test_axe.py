"""axe-core finds nothing on any page: light and dark, wide and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from services.query.pages.templating import STATIC
from tests.e2e.pages.conftest import Site, Visit
from tests.e2e.pages.story import GLOBEX_RETRIED

AXE = STATIC.parent / "web" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = (1440, 390)
PAGES = (
    "/?tenant=globex",
    "/usage",
    "/usage/globex",
    "/features?tenant=globex",
    "/features/support_chat?tenant=globex",
    f"/requests/{GLOBEX_RETRIED}?tenant_id=globex",
    "/runs",
    "/runs/globex-run-7?tenant_id=globex",
    "/orgs?min=0.001",
    "/orgs/globex",
    "/budgets?done=made",
    "/alerts",
    "/prices",
    "/audit",
    "/keys",
    "/requests/nobody-has-this",
)
_RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.flatMap(
  rule => rule.nodes.map(node => [rule.id, node.target.join(" "), node.failureSummary].join(": ")))"""


@pytest.fixture(scope="module")
def axe() -> str:
    assert Path(AXE).is_file(), "axe-core is installed with the front-end libraries: make test does it"
    return AXE.read_text()


def looks(page: Page) -> Iterator[str]:
    """Leaves the page in each look in turn, and names it."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            yield f"{width} {scheme}"


def violations(page: Page, axe: str) -> list[str]:
    page.evaluate(axe)
    return [f"{page.url} {look}: {found}" for look in looks(page) for found in page.evaluate(_RUN)]


def test_no_page_has_a_barrier(site: Site, visit: Visit, axe: str) -> None:
    visitor = visit(site)
    found = [one for path in PAGES for one in violations(visitor.open(path), axe)]
    visitor.complaints = [text for text in visitor.complaints if "404" not in text]
    assert not found, "\n".join(found)


def test_what_a_phone_shows_behind_more_has_no_barrier(site: Site, visit: Visit, axe: str) -> None:
    page = visit(site, width=390).open("/budgets")
    page.locator("details.rest summary").click()
    found = violations(page, axe)
    assert not found, "\n".join(found)


def test_a_form_with_faults_has_no_barrier(site: Site, visit: Visit, axe: str) -> None:
    visitor, found = visit(site), list[str]()
    for path, button in (("/budgets", "Set the budget"), ("/alerts", "Make the alert")):
        visitor.open(path).get_by_role("button", name=button).click()
        visitor.page.locator("[aria-invalid]").first.wait_for()
        found += violations(visitor.page, axe)
    visitor.complaints = [text for text in visitor.complaints if "400" not in text]
    assert not found, "\n".join(found)


def test_neither_sign_in_nor_an_empty_page_has_a_barrier(empty_site: Site, visit: Visit, axe: str) -> None:
    visitor = visit(empty_site)
    found = [one for path in ("/", "/budgets", "/orgs", "/sign-in") for one in violations(visitor.open(path), axe)]
    assert not found, "\n".join(found)
