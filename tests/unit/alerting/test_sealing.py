"""Webhooks' addresses are secrets: sealed at rest, opened only with the key."""

from __future__ import annotations

import pytest

from services.runtime.sealing import CannotOpen, Sealer, is_sealed, make_sealing_key

URL = "https://hooks.slack.example/services/T0/B0/secret"


def test_what_was_sealed_is_opened_by_the_same_key_and_shows_nothing() -> None:
    sealer = Sealer(make_sealing_key())
    stored = sealer.seal(URL)
    assert is_sealed(stored) and "slack" not in stored and "secret" not in stored
    assert sealer.open(stored) == URL
    assert sealer.seal(URL) != stored


def test_another_key_and_no_key_open_nothing() -> None:
    stored = Sealer(make_sealing_key()).seal(URL)
    for sealer in (Sealer(make_sealing_key()), Sealer("")):
        with pytest.raises(CannotOpen):
            sealer.open(stored)
    with pytest.raises(CannotOpen):
        Sealer("").seal(URL)


def test_a_changed_byte_is_noticed() -> None:
    sealer = Sealer(make_sealing_key())
    stored = sealer.seal(URL)
    with pytest.raises(CannotOpen):
        sealer.open(stored[:-5] + ("A" if stored[-5] != "A" else "B") + stored[-4:])


def test_a_key_is_changed_by_putting_the_new_one_first() -> None:
    old, new = make_sealing_key(), make_sealing_key()
    stored = Sealer(old).seal(URL)
    both = Sealer(f"{new},{old}")
    assert both.open(stored) == URL
    assert Sealer(new).open(both.seal(URL)) == URL


def test_what_was_never_sealed_is_as_it_is() -> None:
    assert Sealer("").open(URL) == URL


def test_what_is_no_key_is_refused() -> None:
    with pytest.raises(ValueError, match="Fernet key"):
        Sealer("short")
