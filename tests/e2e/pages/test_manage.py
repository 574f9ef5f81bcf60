"""An admin runs the place: organisations, budgets, alerts; each deed stands in the admin log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from services.contracts.keys import Principal
from tests.e2e.pages.conftest import Site, Visit, Visitor
from tests.e2e.pages.story import ACME_CALLS, ACME_TOTAL

VIEWER = Principal("operator", "finance", "viewer", "acme-corp")


@contextmanager
def refused(visitor: Visitor) -> Iterator[None]:
    """The browser's console repeats the status of a page that answers 400, which is the point."""
    before = len(visitor.complaints)
    yield
    visitor.complaints[before:] = [text for text in visitor.complaints[before:] if "400" not in text]


def logged(page: Page, site: Site) -> list[tuple[str, str]]:
    """Actions in the admin log, newest first, and what they were done to."""
    rows: list[dict[str, Any]] = page.request.get(f"{site.url}/api/v1/admin-log?limit=5").json()["data"]
    return [(row["action"], row["target"]) for row in rows]


def press(page: Page, row: str, button: str) -> None:
    page.locator("tr", has_text=row).get_by_role("button", name=button).click()


def test_organisations_are_sorted_narrowed_and_lead_to_one(site: Site, visit: Visit) -> None:
    page = visit(site).open("/orgs?range=7d")
    assert page.locator("#orgs tbody tr").first.inner_text().startswith("globex")
    page.locator("#orgs th button", has_text="Organisation").click()
    assert page.locator("#orgs tbody tr").first.inner_text().startswith("acme-corp")
    page.get_by_label("Spent at least").fill("0.01")
    page.get_by_role("button", name="Show").last.click()
    expect(page.locator("#orgs tbody tr")).to_have_count(1)
    assert "min=0.01" in page.url and "range=7d" in page.url
    expect(page.locator(".chip")).to_contain_text("0.01")
    page.locator("#orgs tbody a").click()
    expect(page.locator("h1")).to_contain_text("globex spent")
    expect(page.locator("#cost[data-ready] canvas")).to_be_visible()
    expect(page.locator("#models")).to_contain_text("claude-haiku-4-5")
    page.locator("#requests tbody a").first.click()
    expect(page.locator("h1")).to_contain_text("This request cost")


def test_one_organisation_shows_its_own_and_no_other(site: Site, visit: Visit) -> None:
    page = visit(site).open("/orgs/acme-corp?range=7d")
    expect(page.locator("h1")).to_contain_text(f"acme-corp spent {ACME_TOTAL}")
    assert page.locator("#requests tbody tr").count() == ACME_CALLS
    assert page.locator("#models tbody tr").count() == 1


@pytest.mark.parametrize("path", ["/orgs?min=much", "/orgs?min=-1", "/orgs?range=ever", "/orgs?min=NaN"])
def test_a_wrong_least_spend_is_said(site: Site, visit: Visit, path: str) -> None:
    answer = visit(site).page.request.get(site.url + path)
    assert answer.status == 400
    assert "is an amount in USD" in answer.text() or "range is one of" in answer.text()


def test_a_budget_is_set_changed_and_deleted(site: Site, visit: Visit) -> None:
    visitor = visit(site)
    page = visitor.open("/budgets")
    page.get_by_label("Tenant").fill("acme-corp")
    page.get_by_label("Of", exact=True).select_option("agent_id")
    page.get_by_label("Named").fill("research_assistant")
    page.get_by_label("Limit in USD").fill("0.0006")
    page.get_by_role("button", name="Set the budget").click()
    expect(page.get_by_role("status")).to_contain_text("Made")
    row = page.locator("#budgets tr", has_text="agent Research assistant")
    expect(row).to_contain_text("92 % used".replace(" ", "\u202f", 1))
    expect(page.locator("h1")).to_contain_text("near the limit")
    row.get_by_text("Edit").click()
    expect(page.get_by_label("Limit in USD")).to_have_value("0.0006")
    page.get_by_label("Limit in USD").fill("0.0001")
    page.get_by_role("button", name="Change it").click()
    expect(row).to_contain_text("Over budget")
    assert [action for action, _ in logged(page, site)[:2]] == ["budget.change", "budget.create"]
    page.on("dialog", lambda dialog: dialog.accept())
    press(page, "Research assistant", "Delete")
    expect(page.locator("h1")).to_contain_text("No budget is set yet")
    assert logged(page, site)[0][0] == "budget.delete"


def test_each_wrong_field_of_a_budget_says_why_and_keeps_what_was_typed(site: Site, visit: Visit) -> None:
    visitor = visit(site)
    page = visitor.open("/budgets")
    page.get_by_label("Of", exact=True).select_option("feature")
    page.get_by_label("Limit in USD").fill("a lot")
    page.get_by_label("Warn at").fill("80, many")
    with refused(visitor):
        page.get_by_role("button", name="Set the budget").click()
        expect(page.get_by_role("alert")).to_contain_text("Nothing is changed yet")
    assert page.locator("#fault-tenant_id").inner_text() == "is needed"
    assert page.locator("#fault-scope_value").inner_text() == "is needed"
    assert page.locator("#fault-limit_usd").inner_text() == "must be a number, like 250 or 12.50"
    assert page.locator("#fault-thresholds").inner_text() == "must be a whole number"
    expect(page.get_by_label("Limit in USD")).to_have_value("a lot")
    page.get_by_label("Tenant").fill("nobody-inc")
    page.get_by_label("Named").fill("chat")
    page.get_by_label("Limit in USD").fill("5")
    page.get_by_label("Warn at").fill("80")
    with refused(visitor):
        page.get_by_role("button", name="Set the budget").click()
        expect(page.locator("#fault-tenant_id")).to_have_text("there is no such tenant")


def stored_webhook(site: Site) -> str:
    """As it is kept: sealed, differently each time."""
    with psycopg.connect(site.dsn) as connection:
        ((kept,),) = connection.execute("SELECT slack_webhook FROM alert_rule WHERE name = 'Team limit'").fetchall()
    return str(kept)


def test_an_alert_is_made_edited_tested_silenced_and_deleted(site: Site, visit: Visit) -> None:
    visitor = visit(site)
    page = visitor.open("/alerts")
    page.get_by_label("Name", exact=True).fill("Team limit")
    page.get_by_label("More than, in USD").fill("12.50")
    page.get_by_label("Slack webhook").fill("https://hooks.slack.test/services/T0/B0/secret")
    page.get_by_role("button", name="Make the alert").click()
    row = page.locator("#rules tr", has_text="Team limit")
    expect(row).to_contain_text("$12.50")
    stored = stored_webhook(site)
    row.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Slack webhook")).to_have_value("https://hooks.slack.test/…")
    assert "secret" not in page.content()
    page.get_by_label("More than, in USD").fill("25")
    page.get_by_role("button", name="Change it").click()
    expect(row).to_contain_text("$25.00")
    press(page, "Team limit", "Test")
    expect(page.get_by_role("status")).to_contain_text("A test is on its way")
    expect(page.locator("#fired tbody tr").first).to_contain_text("Test of “Team limit”")
    expect(page.locator("#fired tbody tr").first).to_contain_text("on its way")
    row.locator("summary").click()
    row.get_by_role("button", name="for a day").click()
    expect(row).to_contain_text("silenced")
    row.locator("summary").click()
    row.get_by_role("button", name="no longer").click()
    expect(row).to_contain_text("active")
    assert stored_webhook(site) == stored and "secret" not in stored
    assert [action for action, _ in logged(page, site)] == ["alert.change"] * 2 + ["alert.test", "alert.change"] + [
        "alert.create"
    ]
    page.on("dialog", lambda dialog: dialog.accept())
    press(page, "Team limit", "Delete")
    expect(page.locator("#rules")).not_to_contain_text("Team limit")


def test_the_history_says_why_a_channel_failed(site: Site, visit: Visit) -> None:
    page = visit(site).open("/alerts")
    page.get_by_label("Name", exact=True).fill("Dead channel")
    page.get_by_label("Fires for").select_option("no_data")
    page.get_by_label("Webhook, signed").fill("https://example.test/hook")
    page.get_by_role("button", name="Make the alert").click()
    press(page, "Dead channel", "Test")
    with psycopg.connect(site.dsn) as connection:
        connection.execute(
            "UPDATE notification SET state = 'failed', attempts = 1, last_error = 'HTTP 410: the address is gone' "
            "WHERE channel = 'webhook'"
        )
    page.reload()
    expect(page.locator("#fired tr", has_text="Dead channel")).to_contain_text("HTTP 410: the address is gone")
    expect(page.locator("#rules tr", has_text="Dead channel")).to_contain_text("not reached HTTP 410")
    with psycopg.connect(site.dsn) as connection:
        connection.execute(
            "INSERT INTO parked_channel SELECT rule_id, 'webhook', 'rule', 'HTTP 410: the address is gone', now() "
            "FROM alert_rule WHERE name = 'Dead channel'"
        )
    page.reload()
    expect(page.locator("#rules tr", has_text="Dead channel")).to_contain_text("parked HTTP 410: the address is gone")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator("#rules tr .only-s", has_text="HTTP 410")).to_be_visible()
    page.set_viewport_size({"width": 1440, "height": 900})
    page.on("dialog", lambda dialog: dialog.accept())
    press(page, "Dead channel", "Delete")
    expect(page.locator("#rules")).not_to_contain_text("Dead channel")


def test_each_wrong_field_of_an_alert_says_why(site: Site, visit: Visit) -> None:
    visitor = visit(site)
    page = visitor.open("/alerts")
    page.get_by_label("Webhook, signed").fill("not an address")
    page.get_by_label("E-mail to").fill("nobody")
    page.get_by_label("Tenant").fill("acme-corp")
    with refused(visitor):
        page.get_by_role("button", name="Make the alert").click()
        expect(page.locator("#fault-name")).to_have_text("is needed")
    expect(page.locator("#fault-threshold_usd")).to_have_text("is needed for an alert of this kind")
    expect(page.locator("#fault-webhook_url")).to_have_text("must be an http or https URL")
    expect(page.locator("#fault-notification_emails")).to_contain_text("not an e-mail address")
    expect(page.get_by_label("Tenant")).to_have_value("acme-corp")


def test_a_viewer_looks_and_changes_nothing(site: Site, visit: Visit) -> None:
    page = visit(site, VIEWER).open("/budgets")
    assert page.locator("main form").count() == 0
    page.goto(f"{site.url}/alerts?edit=00000000-0000-0000-0000-000000000000")
    assert page.locator("main form").count() == 0
    same_origin = {"Origin": site.url, "Sec-Fetch-Site": "same-origin"}
    for path in ("/budgets", "/alerts", "/alerts/x/test", "/budgets/x/delete"):
        assert page.request.post(site.url + path, headers=same_origin, data="").status == 403, path
    assert page.request.get(f"{site.url}/orgs").status == 403


def test_another_sites_form_changes_nothing(site: Site, visit: Visit) -> None:
    page = visit(site).page
    for headers in ({"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}, {}):
        answer = page.request.post(f"{site.url}/budgets", headers=headers, form={"tenant_id": "acme-corp"})
        assert answer.status == 403


@pytest.mark.parametrize("path", ["/budgets?edit=nothing", "/alerts?edit=nothing", "/orgs/nobody"])
def test_what_is_not_there_is_not_found(site: Site, visit: Visit, path: str) -> None:
    assert visit(site).page.request.get(site.url + path).status == 404


def test_an_override_is_given_and_ended(site: Site, visit: Visit) -> None:
    visitor = visit(site)
    page = visitor.open("/prices")
    page.get_by_label("Tenant", exact=True).fill("acme-corp")
    page.get_by_label("Provider", exact=True).fill("openai")
    page.get_by_label("Model, or * for all").fill("*")
    page.get_by_label("From, UTC").fill("2020-01-01")
    page.get_by_label("Times the list price").fill("0.9")
    page.get_by_label("Reason", exact=True).fill("contract 7")
    with refused(visitor):
        page.get_by_role("button", name="Add the override").click()
        expect(page.locator("#fault-effective_from")).to_contain_text("what was billed stays as it was")
    assert page.get_by_label("Times the list price").input_value() == "0.9"
    page.get_by_label("It may begin in the past").check()
    page.get_by_role("button", name="Add the override").click()
    row = page.locator("#overrides tr", has_text="all of openai")
    expect(row).to_contain_text("list × 0.9")
    expect(row).to_contain_text("in force")
    page.on("dialog", lambda dialog: dialog.accept())
    press(page, "all of openai", "End")
    expect(row).to_contain_text("over")
    assert [action for action, _ in logged(page, site)][:2] == ["price_override.end", "price_override.create"]


def test_searching_the_prices_shows_what_is_found_at_the_top_of_a_phone_too(site: Site, visit: Visit) -> None:
    page = visit(site, width=390).open("/prices")
    expect(page.locator("#h-form")).to_be_visible()
    page.get_by_label("Search this page").fill("sonnet-5-5")
    for gone in ("#h-form", "#h-overrides", "#h-unpriced"):
        expect(page.locator(gone)).to_be_hidden()
    found = page.locator("#book tbody tr:visible")
    assert {"sonnet-5-5" in text for text in found.all_inner_texts()} == {True}
    expect(found.first).to_be_in_viewport()
    page.get_by_label("Search this page").fill("")
    expect(page.locator("#h-form")).to_be_visible()


def test_prices_of_its_own_say_which_kind_is_missing(site: Site, visit: Visit) -> None:
    visitor = visit(site)
    page = visitor.open("/prices")
    page.get_by_label("Tenant", exact=True).fill("acme-corp")
    page.get_by_label("Provider", exact=True).fill("anthropic")
    page.get_by_label("Model, or * for all").fill("claude-haiku-4-5")
    page.get_by_label("From, UTC").fill("2099-01-01")
    page.get_by_label("Pays", exact=True).select_option("prices")
    expect(page.get_by_label("Times the list price")).to_be_hidden()
    page.get_by_label("Prompt", exact=True).fill("$0.90")
    page.get_by_label("Reason", exact=True).fill("contract 8")
    with refused(visitor):
        page.get_by_role("button", name="Add the override").click()
        expect(page.locator("#fault-price_cache_read")).to_contain_text("is missing: the list price has it")


def test_one_models_history_is_a_chart_and_a_viewer_sees_no_overrides(site: Site, visit: Visit) -> None:
    page = visit(site, VIEWER).open("/prices?provider=azure&model=gpt-4o-2024-08-06")
    expect(page.locator("#h-history")).to_contain_text("gpt-4o")
    expect(page.locator("#history[data-ready] canvas")).to_be_visible()
    expect(page.locator("#entries tbody tr")).to_have_count(2)
    # October 2024: the name points to another snapshot.
    prices = {
        row[0]: row[1] for row in (text.split("\t") for text in page.locator("#history-table tr").all_inner_texts())
    }
    assert (prices["September 2024"], prices["October 2024"]) == ("$5.00", "$2.50")
    expect(page.locator("#overrides, form.override")).to_have_count(0)
