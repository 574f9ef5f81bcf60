from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from services.runtime.embedded.ports import PortTaken, any_free_port, choose_port, is_free, keep_port


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_default_port_moves_when_busy(busy_port: int) -> None:
    chosen = choose_port(default=busy_port)
    assert chosen != busy_port
    assert is_free(chosen)


def test_a_port_that_was_asked_for_is_refused_when_busy_naming_the_setting(busy_port: int) -> None:
    with pytest.raises(PortTaken, match=f"{busy_port}.*SPENDSTREAM_QUERY_PORT"):
        choose_port(default=1, asked=busy_port, setting="SPENDSTREAM_QUERY_PORT")


def test_a_free_port_that_was_asked_for_is_used() -> None:
    port = any_free_port()
    assert choose_port(default=1, asked=port, setting="X") == port


def test_a_default_port_moves_past_one_that_is_taken_by_ourselves() -> None:
    port = any_free_port()
    assert choose_port(default=port, taken=[port]) != port


def test_the_port_of_last_time_is_kept_unless_busy(busy_port: int) -> None:
    free = any_free_port()
    assert keep_port(free) == free
    assert keep_port(busy_port) != busy_port
