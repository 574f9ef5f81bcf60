"""No secret reaches a log."""

from __future__ import annotations

import pytest

from services.contracts.keys import make_key
from services.runtime.logs import redact, redact_text


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        ("connecting to postgresql://app:s3cret@db:5432/spend", "connecting to postgresql://app:***@db:5432/spend"),
        ("host=db password=s3cret user=app", "host=db password=*** user=app"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("POST https://hooks.slack.com/services/T0/B0/x failed", "POST https://hooks.slack.com/*** failed"),
        ("at 12:30:00 all is well", "at 12:30:00 all is well"),
    ],
)
def test_secrets_are_blotted_out_by_their_looks(text: str, logged: str) -> None:
    assert redact_text(text) == logged


def test_a_key_is_blotted_out_wherever_it_stands() -> None:
    key = make_key()
    assert key not in redact_text(f"tried {key!r} again")


def test_secrets_are_blotted_out_by_their_field() -> None:
    event = {"key": "abc", "admin_key": "abc", "webhook_url": "abc", "key_id": "abc", "tenant_id": "acme", "count": 3}
    assert redact(None, "info", event) == {
        "key": "***",
        "admin_key": "***",
        "webhook_url": "***",
        "key_id": "abc",
        "tenant_id": "acme",
        "count": 3,
    }
