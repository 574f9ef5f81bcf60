"""Signed tokens of links and cookies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.contracts.keys import Principal
from services.contracts.signin import (
    OPERATOR,
    SIGNIN_SECONDS,
    make_session,
    make_signin_token,
    read_session,
    read_signin_token,
)

SECRET, NOW = "a secret of sixteen or more", datetime(2026, 11, 22, tzinfo=UTC)
VIEWER = Principal("k1", "Ann", "viewer", "acme")


def test_a_link_lets_the_operator_in_for_a_day() -> None:
    token = make_signin_token(SECRET, NOW)
    claim = read_signin_token(SECRET, token, NOW + timedelta(seconds=SIGNIN_SECONDS - 1))
    assert claim is not None
    assert claim.principal == OPERATOR
    assert read_signin_token(SECRET, token, NOW + timedelta(seconds=SIGNIN_SECONDS)) is None


def test_a_session_says_whose_it_is() -> None:
    claim = read_session(SECRET, make_session(SECRET, NOW, VIEWER), NOW)
    assert claim is not None
    assert claim.principal == VIEWER


def test_a_link_is_no_session_nor_the_other_way_round() -> None:
    assert read_session(SECRET, make_signin_token(SECRET, NOW), NOW) is None
    assert read_signin_token(SECRET, make_session(SECRET, NOW, VIEWER), NOW) is None


def test_another_secret_signs_nothing_here() -> None:
    assert read_session(SECRET, make_session(SECRET + "x", NOW, VIEWER), NOW) is None


@pytest.mark.parametrize("token", ["", ".", "a.b", "é.é", "x" * 5_000, "e30.", "e30.e30"])
def test_what_nobody_signed_is_nothing(token: str) -> None:
    assert read_session(SECRET, token, NOW) is None


def test_a_changed_claim_is_noticed() -> None:
    body, _, signature = make_session(SECRET, NOW, VIEWER).partition(".")
    other = make_session(SECRET, NOW, OPERATOR).partition(".")[0]
    assert read_session(SECRET, f"{other}.{signature}", NOW) is None
    assert read_session(SECRET, f"{body}.{signature[:-2]}", NOW) is None
