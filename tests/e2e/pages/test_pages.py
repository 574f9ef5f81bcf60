"""People look at the running pages in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from playwright.sync_api import Page, expect

from services.contracts.keys import Principal
from tests.e2e.pages.conftest import Site, Visit, parts_for, running_site
from tests.e2e.pages.story import ACME_CALLS, ACME_TOTAL, GLOBEX_RETRIED, one_call

PAGES = (
    "/",
    "/?tenant=globex",
    "/?tenant=globex&range=24h",
    "/?tenant=globex&range=all&provider=openai",
    "/analytics/cost",
    "/admin/llm-costs",
    "/usage",
    "/usage/globex",
    "/usage/acme-corp?range=7d",
    "/features?tenant=globex",
    "/features/support_chat?tenant=globex",
    f"/requests/{GLOBEX_RETRIED}?tenant_id=globex",
    "/runs",
    "/runs/globex-run-7?tenant_id=globex",
    "/orgs",
    "/orgs?min=0.01&range=7d",
    "/orgs/globex",
    "/admin/llm-costs/orgs",
    "/budgets",
    "/alerts",
    "/admin/llm-costs/alerts",
    "/prices",
    "/audit",
    "/keys",
)

_LINKS = "all => all.map(a => new URL(a.getAttribute('href'), location).href)"
_SHIFTED = """() => new Promise(done => {
  let sum = 0;
  const watch = new PerformanceObserver(list => { for (const one of list.getEntries()) sum += one.value; });
  watch.observe({type: "layout-shift", buffered: true});
  setTimeout(() => done(sum), 400);
})"""


def card(page: Page, name: str) -> str:
    return page.locator(f'[data-card="{name}"] dd').first.inner_text()


def test_the_overview_shows_what_was_counted(site: Site, visit: Visit) -> None:
    page = visit(site).open("/?tenant=acme-corp")
    assert page.locator("h1").inner_text().startswith(f"acme-corp spent {ACME_TOTAL} in seven days")
    assert (card(page, "cost"), card(page, "calls"), card(page, "runs")) == (
        ACME_TOTAL,
        str(ACME_CALLS),
        str(ACME_CALLS),
    )
    assert page.locator("#customers tbody tr").all_inner_texts()[0].split() == [
        "alice",
        "$0.000276",
        "4",
        "50.0",
        "%",
    ]
    assert page.locator("#agents tbody tr").count() == 1


def test_the_cause_of_a_rise_is_named_and_leads_to_its_requests(site: Site, visit: Visit) -> None:
    page = visit(site).open("/?tenant=globex")
    said = page.locator("h1").inner_text()
    assert re.search(r"reports (explains|alone grew by) .*its prompts grew from 4,000 to 1[12],\d+ tokens", said), said
    page.locator("h1 a").click()
    expect(page.locator("h1")).to_contain_text("reports spent")
    page.locator("#requests tbody tr a").first.click()
    expect(page.locator("h1")).to_contain_text("This request cost")
    page.locator(".crumbs a", has_text="reports").click()
    expect(page.locator("h1")).to_contain_text("reports spent")


def test_figures_move_as_events_arrive(site: Site, visit: Visit, send: Callable[[list[dict[str, Any]]], int]) -> None:
    page = visit(site).open("/")
    calls = int(card(page, "calls").replace(",", ""))
    at = datetime.now(UTC)
    assert send([one_call(at, f"late-comer-{at.timestamp()}", tenant_id="newcomer")]) == 1
    expect(page.locator('[data-card="calls"] dd').first).to_have_text(f"{calls + 1:,}", timeout=12_000)
    assert page.locator("#cost[data-ready]").count() == 1


def test_figures_go_on_moving_after_a_restart(
    site: Site, visit: Visit, send: Callable[[list[dict[str, Any]]], int]
) -> None:
    with running_site(parts_for(site.dsn), site.dsn) as before:
        visitor = visit(before)
        page = visitor.open("/")
        calls = int(card(page, "calls").replace(",", ""))
        expect(page.locator("#live[data-stream=open]")).to_be_visible()
        assert not visitor.complaints
    with running_site(parts_for(site.dsn), site.dsn, urlsplit(before.url).port or 0):
        expect(page.locator("#live[data-stream=open]")).to_be_visible(timeout=15_000)
        # The console told of the line that broke, and of polls while nobody listened.
        visitor.complaints.clear()
        at = datetime.now(UTC)
        assert send([one_call(at, f"after-restart-{at.timestamp()}", tenant_id="newcomer")]) == 1
        # Sooner than a poll beside the stream would.
        expect(page.locator('[data-card="calls"] dd').first).to_have_text(f"{calls + 1:,}", timeout=8_000)
        page.goto("about:blank")


def test_charts_become_ones_to_point_at_without_a_move(site: Site, visit: Visit) -> None:
    page = visit(site).open("/?tenant=globex")
    expect(page.locator("#cost[data-ready] canvas")).to_be_visible()
    assert page.evaluate(_SHIFTED) < 0.01
    box = page.locator("#cost").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 40, box["y"] + box["height"] - 60)
    expect(page.locator("#cost .tip")).to_contain_text("so far")
    page.mouse.click(box["x"] + box["width"] - 40, box["y"] + box["height"] - 60)
    page.wait_for_url("**range=custom**")
    expect(page.locator("#h-cost")).to_have_text("Cost per hour")


def test_dragging_over_days_zooms_to_them(site: Site, visit: Visit) -> None:
    page = visit(site).open("/?tenant=globex")
    box = page.locator("#cost[data-ready]").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, y, steps=4)
    page.mouse.up()
    page.wait_for_url("**range=custom**")
    assert "startDate=" in page.url and "endDate=" in page.url


def test_payroll_reads_like_payslips(site: Site, visit: Visit) -> None:
    page = visit(site).open("/usage/globex?range=7d")
    expect(page.locator("h1")).to_contain_text("globex’s")
    names = page.locator(".slip .who").all_inner_texts()
    assert "Report writer" in names and "Support agent" in names
    slip = page.locator(".slip", has_text="Report writer")
    expect(slip).to_contain_text("reports · mostly gpt-4o")
    expect(slip).to_contain_text("No limit set")


def test_a_model_without_a_price_is_no_zero(site: Site, visit: Visit) -> None:
    page = visit(site).open("/?tenant=globex")
    expect(page.locator('[data-card="cost"]')).to_contain_text("1 call unpriced")
    expect(page.locator("#providers tr", has_text="in-house")).to_contain_text("no price")
    page.goto(f"{site.url}/prices")
    expect(page.locator("#unpriced")).to_contain_text("parrot-7b")


def test_a_request_shows_its_attempts_and_what_was_wasted(site: Site, visit: Visit) -> None:
    page = visit(site).open(f"/requests/{GLOBEX_RETRIED}?tenant_id=globex")
    expect(page.locator("h1")).to_contain_text("in two attempts")
    expect(page.locator("h1")).to_contain_text("of it was wasted")
    assert page.locator("#attempts tbody tr").count() == 2


def test_a_run_is_a_tree(site: Site, visit: Visit) -> None:
    page = visit(site).open("/runs/globex-run-7?tenant_id=globex")
    rows = [text.split("\t")[0].strip("└─ \n") for text in page.locator("#tree tbody tr").all_inner_texts()]
    assert rows == ["globex-run-7", "agent:support_agent", "step:answer", "retry:1"]


def test_tables_sort_search_and_answer_to_the_keyboard(site: Site, visit: Visit) -> None:
    page = visit(site).open("/?tenant=globex")
    page.locator("#models th button", has_text="Calls").click()
    assert page.locator("#models th[aria-sort]").get_attribute("aria-sort") == "descending"
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("haiku")
    assert page.locator("#models tbody tr:visible").count() == 1
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.matches('[data-row]')")
    page.keyboard.press("?")
    expect(page.locator("#keys-help")).to_be_visible()


def test_a_table_downloads_as_exact_csv(site: Site, visit: Visit) -> None:
    page = visit(site).open("/?tenant=acme-corp")
    with page.expect_download() as download:
        page.locator('[data-csv="customers"]').click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "Customer,Cost,Calls,Share"
    assert lines[1] == "alice,0.000276,4,0.5"


def test_light_and_dark_are_chosen_and_kept(site: Site, visit: Visit) -> None:
    page = visit(site, dark=True).open("/")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.locator(".foot [data-theme-toggle]").click()
    light = page.evaluate(background)
    assert light != dark
    page.reload()
    assert page.evaluate(background) == light


def test_no_page_is_wider_than_a_phone(site: Site, visit: Visit) -> None:
    visitor = visit(site, width=390)
    wide = [path for path in PAGES if visitor.open(path).evaluate("document.documentElement.scrollWidth") > 390]
    assert not wide


def test_on_a_phone_more_leads_to_the_pages_that_have_no_place_in_the_bar(site: Site, visit: Visit) -> None:
    page = visit(site, width=390).open("/")
    rest = page.locator("details.rest")
    expect(rest.get_by_role("link", name="Budgets")).to_be_hidden()
    rest.locator("summary").click()
    rest.get_by_role("link", name="Budgets").click()
    page.wait_for_url(f"{site.url}/budgets")
    expect(rest.locator("summary")).to_have_attribute("aria-current", "true")
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(rest).to_be_hidden()


def test_every_kind_of_link_leads_somewhere(site: Site, visit: Visit) -> None:
    visitor, found = visit(site), dict[tuple[str, ...], str]()
    for path in PAGES:
        for link in visitor.open(path).eval_on_selector_all("a[href]", _LINKS):
            parts = urlsplit(link)
            # One of each page and set of parameters: their values are the page's own figures.
            found.setdefault(
                (parts.path, *sorted(name for name, _ in parse_qsl(parts.query, keep_blank_values=True))), link
            )
    assert all(link.startswith(site.url) for link in found.values())
    broken = {link: status for link in found.values() if (status := visitor.page.request.get(link).status) != 200}
    assert not broken


def test_a_viewer_sees_its_tenant_and_no_trace_of_another(site: Site, visit: Visit) -> None:
    visitor = visit(site, Principal("operator", "finance", "viewer", "acme-corp"))
    page = visitor.open("/")
    assert card(page, "cost") == ACME_TOTAL
    assert "globex" not in page.content()
    foreign = ("/?tenant=globex", "/usage/globex", f"/requests/{GLOBEX_RETRIED}", "/runs/globex-run-7", "/usage/nobody")
    for path in foreign:
        answer = page.request.get(site.url + path)
        assert (answer.status, "globex" in answer.text().replace(path, "")) == (404, False), path


def test_without_events_the_page_says_how_to_send_the_first(empty_site: Site, visit: Visit) -> None:
    for path in ("/", "/usage"):
        page = visit(empty_site).open(path)
        expect(page.locator(".state")).to_contain_text("No events yet")
        expect(page.locator(".state pre")).to_contain_text("$SPENDSTREAM_KEY")
    page.get_by_role("button", name="Make a key and fill it in").click()
    expect(page.locator(".state pre")).to_contain_text("Bearer sps_")
    found = page.request.get(f"{empty_site.url}/api/v1/keys").json()["data"]
    assert [(key["role"], key["name"]) for key in found] == [("ingest", "first event")]


def test_with_the_database_away_the_page_says_what_still_is_true(broken_site: Site, visit: Visit) -> None:
    visitor = visit(broken_site)
    visitor.open("/?range=30d")
    expect(visitor.page.locator("h1")).to_contain_text("can’t be read right now")
    expect(visitor.page.locator(".state")).to_contain_text("kept in Kafka")
    assert visitor.page.locator("a", has_text="Try again").get_attribute("href") == "/?range=30d"
    # The browser's console repeats the 503s, which are the point here.
    visitor.complaints = [text for text in visitor.complaints if "503" not in text]


def test_nobody_is_led_to_the_sign_in_and_back(site: Site, visit: Visit) -> None:
    page = visit(site).page
    # A page that is open would go on asking, and rightly complain that it may not.
    page.goto("about:blank")
    page.context.clear_cookies()
    page.goto(f"{site.url}/usage/globex?range=7d")
    assert page.url.startswith(f"{site.url}/sign-in?next=")
    assert page.locator('input[name="next"]').input_value() == "/usage/globex?range=7d"


def test_pages_run_and_load_nothing_that_is_not_theirs(site: Site, visit: Visit) -> None:
    page = visit(site).page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto(f"{site.url}/")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert asked and all(url.startswith(site.url) for url in asked)
