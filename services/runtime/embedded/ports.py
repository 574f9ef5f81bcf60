"""Which TCP port to listen on: one that was asked for is used or refused, a default one moves when busy."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

LOOPBACK = "127.0.0.1"
_PORT_MAX = 65_535
_MOVES_MAX = 200


class PortTaken(Exception):
    """A port that was asked for by name is in use."""


def choose_port(default: int, asked: int | None = None, setting: str = "", taken: Collection[int] = ()) -> int:
    """The port asked for, else the default, else the next free one above it that isn't in `taken`.

    Raises:
        PortTaken: the port asked for is in use; the message names the setting it came from.
    """
    if asked is not None:
        if not is_free(asked):
            raise PortTaken(f"Port {asked}, asked for by {setting}, is in use. Choose another, or stop what uses it.")
        return asked
    for port in range(default, min(default + _MOVES_MAX, _PORT_MAX)):
        if port not in taken and is_free(port):
            return port
    return any_free_port()


def keep_port(previous: int | None) -> int:
    """The port used last time while it is free, else any free one."""
    return previous if previous is not None and is_free(previous) else any_free_port()


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connections are only waiting to be forgotten counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port
