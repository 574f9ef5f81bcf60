"""Packed bodies are unpacked within their limit."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest

from services.gateway.body import BodyTooLarge, MalformedEncoding, ReceivingBudget, unpack
from services.gateway.coalescing import Overloaded
from services.gateway.settings import BODY_BYTES_MAX

# Without the time, so that the test has the same name each time.
_HELLO = gzip.compress(b"hello", mtime=0)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
@pytest.mark.parametrize("size", [0, 1_000, BODY_BYTES_MAX])
def test_packed_bytes_are_unpacked(pack: Callable[[bytes], bytes], size: int) -> None:
    assert unpack(pack(b"x" * size)) == b"x" * size


def test_a_small_body_that_unpacks_to_a_large_one_is_refused() -> None:
    with pytest.raises(BodyTooLarge):
        unpack(gzip.compress(b"\0" * (BODY_BYTES_MAX + 1)))


@pytest.mark.parametrize("packed", [b"", b"plain", _HELLO[:-3], _HELLO + b"more"])
def test_what_is_not_packed_as_it_says_is_malformed(packed: bytes) -> None:
    with pytest.raises(MalformedEncoding):
        unpack(packed)


def test_bodies_share_a_budget_and_give_it_back() -> None:
    budget = ReceivingBudget(100)
    with budget.share() as first:
        first.take(60)
        with pytest.raises(Overloaded), budget.share() as second:
            second.take(41)
        with budget.share() as third:
            third.take(40)
    with budget.share() as fourth:
        fourth.take(100)
