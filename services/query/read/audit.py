"""The audit of `services.audit` for the query service: in a thread, one at a time, on a connection of its own."""

from __future__ import annotations

import asyncio
from threading import Lock
from typing import Final

import psycopg

from services.audit.engine import Question, run_audit
from services.audit.report import Report

_CONNECT_SECONDS_MAX: Final = 10
# An audit may read much: two at once would only slow each other down, and the second finds what the first remembered.
_ONE_AT_A_TIME: Final = Lock()


async def live_audit(dsn: str, question: Question) -> Report:
    """The identities now. Raises psycopg.Error when the database is away or it takes too long."""
    return await asyncio.to_thread(_audit, dsn, question)


def _audit(dsn: str, question: Question) -> Report:
    with (
        _ONE_AT_A_TIME,
        psycopg.connect(
            dsn,
            autocommit=True,
            options="-c timezone=UTC",
            application_name="spendstream-query-audit",
            connect_timeout=_CONNECT_SECONDS_MAX,
        ) as connection,
    ):
        return run_audit(connection, question)
