"""Overrides by an admin: dated, checked like the book, in the admin log, and never a change of what was billed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from pricing.book import read_book
from services.contracts.overrides import READ_OVERRIDES, Override, overrides_text
from services.query.parts import QueryParts
from tests.integration.query.conftest import Service

NEXT_MONTH = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
LATER = (datetime.now(UTC) + timedelta(days=60)).date().isoformat()
DISCOUNT: dict[str, Any] = {
    "tenant_id": "acme", "provider": "openai", "model": "gpt-4o-mini", "effective_from": NEXT_MONTH,
    "multiplier": "0.85", "reason": "contract 7",
}  # fmt: skip
PATH = "/api/v1/prices/overrides"


@pytest.fixture(autouse=True)
def tenants(database: str) -> None:
    with psycopg.connect(database) as conn:
        conn.execute(
            "INSERT INTO tenant (tenant_id, name) VALUES ('acme', 'Acme'), ('bigco', 'Bigco') ON CONFLICT DO NOTHING"
        )
        conn.execute("DELETE FROM price_override")


async def post(service: Service, **changes: object) -> Any:  # noqa: ANN401
    body = {name: value for name, value in {**DISCOUNT, **changes}.items() if value is not None}
    return await service.ask("POST", PATH, json=body)


def stored(dsn: str) -> str:
    with psycopg.connect(dsn) as conn:
        return overrides_text(Override(*row) for row in conn.execute(READ_OVERRIDES.encode()).fetchall())


async def test_an_override_is_kept_shown_and_noted_and_the_book_takes_it(service: Service, database: str) -> None:
    answer = await post(service, effective_until=LATER)
    assert answer.status_code == 201, answer.text
    made = answer.json()["data"]
    assert (made["multiplier"], made["state"], made["reason"]) == ("0.85", "coming", "contract 7")
    (row,) = (await service.get(PATH, tenant_id="acme")).json()["data"]
    assert row == made
    assert (await service.get(PATH, tenant_id="bigco")).json()["data"] == []
    entry = (await service.get("/api/v1/admin-log")).json()["data"][0]
    assert (entry["action"], entry["target"]) == ("price_override.create", made["id"])
    assert entry["detail"]["multiplier"] == "0.85"
    parts: QueryParts = service.app.state.parts
    book = read_book(parts.settings.price_book.read_text(), overrides=stored(database))
    assert book.version.startswith(f"{parts.book.version}+overrides.")
    (term,) = book.terms["acme"]["openai"]
    assert term.term_id == f"acme:openai/gpt-4o-mini@{NEXT_MONTH}"


@pytest.mark.parametrize(
    ("changes", "parameter", "words"),
    [
        ({"multiplier": 0.85}, "multiplier", "string"),
        ({"multiplier": "0,85"}, "multiplier", "not a plain decimal number"),
        ({"multiplier": "101"}, "multiplier", "must be from 0 to 100"),
        ({"provider": "opnai"}, "provider", "did you mean openai"),
        ({"model": "gpt-4o-mni"}, "model", "did you mean gpt-4o-mini"),
        ({"tenant_id": "nobody"}, "tenant_id", "there is no such tenant"),
        ({"effective_from": "2026-02-30"}, "effective_from", "is not a date"),
        ({"effective_from": "2026-01-01"}, "effective_from", "lies in the past"),
        ({"effective_until": NEXT_MONTH}, "effective_until", "is not after effective_from"),
        ({"reason": ""}, "reason", "at least 1 character"),
        ({"multiplier": None}, "override", "prices nothing"),
        ({"multiplier": None, "prices": {"input_uncached": "0.10"}}, "prices.output_text", "is missing: the list"),
        ({"multiplier": None, "prices": {"inputs": "0.10"}}, "prices.inputs", "unknown usage class"),
        ({"multiplier": None, "units": {"pages": "1"}}, "units.pages", "unknown unit"),
        ({"multiplier": None, "model": "*", "prices": {"output_text": "1"}}, "override", "need a model"),
        ({"prices": {"output_text": "1"}}, "override", "has a multiplier, so no prices"),
        ({"discount": "10%"}, "discount", "no such parameter"),
    ],
)
async def test_what_makes_no_book_is_refused_by_name(
    service: Service, database: str, changes: dict[str, object], parameter: str, words: str
) -> None:
    answer = await post(service, **changes)
    assert answer.status_code == 400, answer.text
    errors = {error["parameter"]: error["detail"] for error in answer.json()["errors"]}
    assert words in errors[parameter], errors
    assert stored(database) == ""


async def test_prices_of_its_own_need_all_that_the_list_has(service: Service) -> None:
    prices = {"input_uncached": "0.10", "cache_read": "0.05", "output_text": "0.40", "output_reasoning": "output_text"}
    prices |= {"input_image": "input_uncached"}
    tiers = {tier: {"multiplier": "0.5"} for tier in ("batch", "flex", "priority")}
    answer = await post(service, multiplier=None, prices=prices, service_tiers=tiers)
    assert [one["parameter"] for one in answer.json()["errors"]] == ["units.web_searches"]
    units = {"web_searches": {"usd": "8.00", "per": 1000}}
    answer = await post(service, multiplier=None, prices=prices, service_tiers=tiers, units=units)
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"]["prices"] == prices


async def test_two_that_overlap_are_refused_and_two_in_a_row_are_not(service: Service) -> None:
    assert (await post(service, effective_until=LATER)).status_code == 201
    overlapping = await post(service, multiplier="0.9", effective_from=NEXT_MONTH)
    assert "overlaps the term after it" in overlapping.json()["errors"][0]["detail"]
    assert (await post(service, multiplier="0.9", effective_from=LATER)).status_code == 201
    assert (await post(service, model="*", multiplier="0.95")).status_code == 201, (
        "one for all goes beside one for a model"
    )


async def test_the_past_is_changed_only_by_who_says_so(service: Service) -> None:
    assert (await post(service, effective_from="2026-01-01", past=True)).json()["data"]["state"] == "in force"


async def test_one_that_has_begun_is_ended_and_one_that_has_not_is_taken_back(service: Service, database: str) -> None:
    begun = (await post(service, effective_from="2026-01-01", past=True)).json()["data"]["id"]
    coming = (await post(service, tenant_id="bigco")).json()["data"]["id"]
    assert (await service.ask("DELETE", f"{PATH}/{begun}")).json()["data"]["removed"] is False
    assert (await service.ask("DELETE", f"{PATH}/{coming}")).json()["data"]["removed"] is True
    (row,) = (await service.get(PATH)).json()["data"]
    assert (row["id"], row["state"]) == (begun, "over")
    again = await service.ask("DELETE", f"{PATH}/{begun}")
    assert (again.status_code, again.json()["detail"]) == (409, "This override is over: what is past stays as it was.")
    assert (await service.ask("DELETE", f"{PATH}/{coming}")).status_code == 404
    assert (await service.ask("DELETE", f"{PATH}/nothing")).status_code == 404
    actions = [entry["action"] for entry in (await service.get("/api/v1/admin-log")).json()["data"][:2]]
    assert actions == ["price_override.remove", "price_override.end"]


async def test_overrides_are_admins_only(service: Service) -> None:
    viewer = (await service.new_key("viewer", "acme"))["key"]
    for method, path, body in (("GET", PATH, None), ("POST", PATH, DISCOUNT), ("DELETE", f"{PATH}/x", None)):
        assert (await service.ask(method, path, viewer, json=body)).status_code == 403
        assert (await service.ask(method, path, None, json=body)).status_code == 401


async def test_prices_say_which_book_is_in_force_and_that_a_newer_one_was_refused(
    service: Service, database: str
) -> None:
    parts: QueryParts = service.app.state.parts
    text = parts.settings.price_book.read_text()
    overrides = json.dumps({"acme": [{**DISCOUNT, "effective_from": "2026-01-01"}]}).replace(
        '"tenant_id": "acme", ', ""
    )
    version = read_book(text, overrides=overrides).version
    with psycopg.connect(database) as conn:
        conn.execute(
            "INSERT INTO price_book (version, body, overrides) VALUES (%s, %s, %s)", (version, text, overrides)
        )
        conn.execute(
            "INSERT INTO price_book_refusal (path, problems, version_in_force) VALUES ('b.yaml', 'b.yaml:3: x', %s)",
            (version,),
        )
    answer = (await service.get("/api/v1/prices", provider="openai", model="gpt-4o")).json()
    assert answer["version"] == version
    assert answer["refused"][0]["version_in_force"] == version
    assert answer["data"][0]["usd_per_million_tokens"]["output_text"] == "10"
    page = await service.get("/prices", provider="openai", model="gpt-4o")
    assert page.status_code == 200
    assert f"version {version} stays in force" in page.text
    assert "b.yaml:3: x" in page.text
