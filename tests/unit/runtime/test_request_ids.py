"""Each request has an id: the caller's or a new one, in the answer and on what is logged."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from starlette.types import Message, Receive, Scope, Send

from services.processor.batch import Message as KafkaMessage
from services.processor.worker import batch_id
from services.runtime.request_ids import RequestIds


async def ask(given: str | None, status: int = 200) -> tuple[str, str, list[Any]]:
    """The id in the answer, the one bound while it is made, and what was logged."""
    sent: list[Message] = []
    bound: dict[str, Any] = {}

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        bound.update(structlog.contextvars.get_contextvars())
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        raise AssertionError("nobody reads")

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"x-request-id", given.encode())] if given is not None else []
    scope: Scope = {"type": "http", "method": "GET", "path": "/sign-in", "query_string": b"token=x", "headers": headers}
    with structlog.testing.capture_logs() as logs:
        await RequestIds(app)(scope, receive, send)
    answered = dict(sent[0]["headers"])
    assert answered[b"content-type"] == b"text/plain"
    return answered[b"x-request-id"].decode(), bound["request_id"], logs


async def test_a_callers_id_is_kept_and_answered() -> None:
    answered, bound, _ = await ask("order-17:a.b_c")
    assert answered == bound == "order-17:a.b_c"


@pytest.mark.parametrize("given", [None, "", "a b", "x" * 101, 'a"}\n{"forged": 1'])
async def test_without_a_good_id_there_is_a_new_one_each_time(given: str | None) -> None:
    first, bound, _ = await ask(given)
    second, _, _ = await ask(given)
    assert first == bound != second and len(first) == 16 and first != given


async def test_a_request_is_logged_without_its_query_and_loudly_when_it_failed() -> None:
    _, _, logs = await ask("a", 503)
    assert [(each["log_level"], each["path"], each["status"]) for each in logs] == [("warning", "/sign-in", 503)]
    assert "token" not in str(logs)
    _, _, logs = await ask("a", 404)
    assert logs[0]["log_level"] == "debug"


def test_a_batch_is_called_by_its_offsets() -> None:
    at = [(3, 7), (0, 140), (0, 120), (0, 121)]
    messages = [KafkaMessage(partition, offset, 0, b"") for partition, offset in at]
    assert batch_id(messages) == "0:120-140,3:7-7"
