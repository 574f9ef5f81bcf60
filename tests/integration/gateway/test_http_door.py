"""The HTTP door on the real broker and database."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from services.gateway.main import Gateway
from tests.integration.gateway.conftest import ADMIN_KEY, MakeKey, UsageTopic


def an_event(event_id: str = "e-1", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "event_id": event_id,
        "occurred_at": "2026-10-01T12:30:00Z",
        "tenant_id": "acme",
        "provider": "openai",
        "model": "gpt-4o",
        "usage": {"input_uncached": 10},
        **changes,
    }


async def send(http: httpx.AsyncClient, key: str | None, content: object, **headers: str) -> httpx.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    authorization = {"authorization": f"Bearer {key}"} if key else {}
    all_headers = {"content-type": "application/json", **authorization, **headers}
    return await http.post("/v1/events", content=body, headers=all_headers)


def detail(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    return str(response.json()["detail"])


async def test_accepted_events_are_in_kafka_before_the_answer(
    http: httpx.AsyncClient, make_key: MakeKey, usage_topic: UsageTopic
) -> None:
    key = await make_key("ingest", "acme")
    response = await send(http, key, [an_event(f"e-{i}") for i in range(1_200)])
    assert (response.status_code, response.json()) == (200, {"accepted": 1_200, "rejected": []})
    stored = usage_topic.read()
    assert {(s.key, s.batch.door) for s in stored} == {("acme", "http")}
    assert [len(s.batch.events) for s in stored] == [500, 500, 200]
    assert [e.event_id for s in stored for e in s.batch.events] == [f"e-{i}" for i in range(1_200)]


async def test_each_event_is_answered(http: httpx.AsyncClient, make_key: MakeKey, usage_topic: UsageTopic) -> None:
    key = await make_key("ingest", "acme")
    lines = [an_event("a"), an_event("b", featre="x"), an_event("c", tenant_id="bigco")]
    body = b"\n".join([*(json.dumps(line).encode() for line in lines), b"{nope"])
    response = await send(http, key, body, **{"content-type": "application/x-ndjson"})
    assert response.status_code == 200
    assert response.json()["accepted"] == 1
    assert [(r["index"], r["event_id"]) for r in response.json()["rejected"]] == [(1, "b"), (2, "c"), (3, "")]
    assert response.json()["rejected"][1]["reason"] == "tenant_id is not the tenant of this key"
    assert usage_topic.event_ids() == ["a"]


async def test_a_vendors_usage_is_in_kafka_in_disjoint_classes(
    http: httpx.AsyncClient, make_key: MakeKey, usage_topic: UsageTopic
) -> None:
    key = await make_key("ingest", "acme")
    events = [an_event(f"v-{cached}", usage=None, vendor_usage=chat_usage(cached)) for cached in (40, 101)]
    response = await send(http, key, [{name: value for name, value in e.items() if value is not None} for e in events])
    refused = response.json()["rejected"]
    assert [(r["event_id"], r["reason"]) for r in refused] == [
        ("v-101", "vendor_usage: prompt_tokens is 100, less than its parts: cached 101")
    ]
    (stored,) = [e for s in usage_topic.read() for e in s.batch.events]
    assert (stored.usage.input_uncached, stored.usage.cache_read, stored.usage.output_text) == (100 - 40, 40, 7)


def chat_usage(cached: int) -> dict[str, Any]:
    return {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": cached}}


async def test_when_none_is_accepted_the_answer_is_400_with_the_reasons(
    http: httpx.AsyncClient, usage_topic: UsageTopic
) -> None:
    response = await send(http, ADMIN_KEY, an_event(model=""))
    assert response.status_code == 400
    assert response.json() == {
        "accepted": 0,
        "rejected": [{"index": 0, "event_id": "e-1", "reason": "model is required"}],
    }
    assert usage_topic.read() == []


async def test_concurrent_requests_share_kafka_messages(http: httpx.AsyncClient, usage_topic: UsageTopic) -> None:
    await send(http, ADMIN_KEY, an_event("warm"))
    usage_topic.read()
    responses = await asyncio.gather(*(send(http, ADMIN_KEY, an_event(f"e-{i}")) for i in range(50)))
    assert {r.status_code for r in responses} == {200}
    stored = usage_topic.read()
    assert sorted(e.event_id for s in stored for e in s.batch.events) == sorted(f"e-{i}" for i in range(50))
    assert len(stored) < 50


async def test_the_same_event_sent_again_is_the_same_bytes(http: httpx.AsyncClient, usage_topic: UsageTopic) -> None:
    event = an_event(metadata={f"k{i}": "v" for i in range(16)})
    await send(http, ADMIN_KEY, event)
    await send(
        http, ADMIN_KEY, {**dict(reversed(event.items())), "metadata": dict(reversed(event["metadata"].items()))}
    )
    first, second = (e.SerializeToString() for s in usage_topic.read() for e in s.batch.events)
    assert first == second


async def test_a_packed_body_is_unpacked(http: httpx.AsyncClient, usage_topic: UsageTopic) -> None:
    body = gzip.compress(json.dumps([an_event("a"), an_event("b")]).encode())
    response = await send(http, ADMIN_KEY, body, **{"content-encoding": "gzip"})
    assert response.json()["accepted"] == 2
    assert usage_topic.event_ids() == ["a", "b"]


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic abc", "Bearer sps_unknown", "Bearer \xe9"])
async def test_without_a_known_key_nothing_is_accepted(
    http: httpx.AsyncClient, authorization: str | None, usage_topic: UsageTopic
) -> None:
    headers = {} if authorization is None else {b"authorization": authorization.encode("latin-1")}
    response = await http.post("/v1/events", json=an_event(), headers=headers)
    assert detail(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"
    assert usage_topic.read() == []


async def test_a_viewers_key_can_not_send(http: httpx.AsyncClient, make_key: MakeKey) -> None:
    assert "viewer" in detail(await send(http, await make_key("viewer", "acme"), an_event()), 403)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "malformed JSON: Expecting value at line 1 column 1"),
        (b'[{"event_id": "a"},\n nope]', "line 2 column 2"),
        (b"[]", "the batch is empty"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
async def test_a_malformed_body_says_where(http: httpx.AsyncClient, body: bytes, complaint: str) -> None:
    assert complaint in detail(await send(http, ADMIN_KEY, body), 400)


async def test_what_is_no_form_of_events_is_refused(http: httpx.AsyncClient) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert "application/x-ndjson" in detail(await send(http, ADMIN_KEY, b"a=1", **form), 415)
    assert "gzip" in detail(await send(http, ADMIN_KEY, an_event(), **{"content-encoding": "br"}), 415)
    response = await send(http, ADMIN_KEY, b"plain", **{"content-encoding": "gzip"})
    assert "Content-Encoding" in detail(response, 400)


async def test_too_many_events_are_refused(http: httpx.AsyncClient, usage_topic: UsageTopic) -> None:
    assert "10000" in detail(await send(http, ADMIN_KEY, [an_event()] * 10_001), 413)
    assert usage_topic.read() == []


def _post_in_pieces(port: int, declare_length: bool) -> tuple[int, dict[str, Any]]:
    """Sends 30 MB as a simple client does: all of it, then looks for the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "application/json"}
    piece = b"[" + b" " * (1 << 20)
    if declare_length:
        connection.request("POST", "/v1/events", piece * 30, {**headers, "content-length": str(len(piece) * 30)})
    else:
        connection.request("POST", "/v1/events", iter([piece] * 30), headers, encode_chunked=True)
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


@pytest.mark.parametrize("declare_length", [True, False])
async def test_a_body_of_30_mb_is_answered_with_413(gateway: Gateway, declare_length: bool) -> None:
    status, problem = await asyncio.to_thread(_post_in_pieces, gateway.http_port, declare_length)
    assert status == 413
    assert "10485760 bytes" in problem["detail"]


async def test_a_body_that_unpacks_to_30_mb_is_refused(http: httpx.AsyncClient) -> None:
    packed = gzip.compress(b" " * 30_000_000)
    assert "larger" in detail(await send(http, ADMIN_KEY, packed, **{"content-encoding": "gzip"}), 413)


async def test_other_paths_and_methods_are_problems_too(http: httpx.AsyncClient) -> None:
    assert detail(await http.get("/v1/events"), 405)
    assert detail(await http.get("/nowhere"), 404)


async def test_the_gateway_says_how_it_is(http: httpx.AsyncClient) -> None:
    await send(http, ADMIN_KEY, an_event())
    assert (await http.get("/healthz")).status_code == 200
    assert (await http.get("/readyz")).status_code == 200
    exposed = (await http.get("/metrics")).text
    assert 'spendstream_gateway_events_accepted_total{door="http"}' in exposed
    assert ADMIN_KEY not in exposed
    Draft202012Validator.check_schema((await http.get("/v1/schema")).json())
    assert "/v1/events" in (await http.get("/openapi.json")).json()["paths"]
