"""Time limits for connections of uvicorn, which waits for ever for the head of a request and for a reader."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS_MAX = 15.0
"""From the first moment of a connection, or the first byte of a later request, to the end of its head."""
READER_SECONDS_MAX = 60.0
"""For how long a client may take nothing of its answer."""


class CarefulProtocol(H11Protocol):
    """Closes connections that keep the server waiting; for `uvicorn.Config(http=…)`."""

    head_seconds_max = HEAD_SECONDS_MAX
    reader_seconds_max = READER_SECONDS_MAX
    _head_due: asyncio.TimerHandle | None = None
    _reader_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._await_head()
        else:
            self._head_came()

    def pause_writing(self) -> None:
        super().pause_writing()
        # Not close(): it would wait for the same reader.
        self._reader_due = self.loop.call_later(self.reader_seconds_max, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reader_came()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self._reader_came()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._head_due is None:
            self._head_due = self.loop.call_later(self.head_seconds_max, self._close_without_head)

    def _head_came(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _reader_came(self) -> None:
        if self._reader_due is not None:
            self._reader_due.cancel()
            self._reader_due = None

    def _close_without_head(self) -> None:
        self._head_due = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()
