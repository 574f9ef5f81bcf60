"""The audit of `services.audit` for the query service: in a thread, one at a time, on a connection of its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Final

import psycopg

from services.audit.engine import Question, run_audit
from services.audit.report import Report

_CONNECT_SECONDS_MAX: Final = 10
# Somebody waits for the page; what is left is named and has its turn next time.
SECONDS_MAX: Final = 20.0


@cache
def _thread() -> ThreadPoolExecutor:
    # An audit may read much: two at once would slow each other down, and the second finds what the first remembered.
    return ThreadPoolExecutor(1, thread_name_prefix="audit")


async def live_audit(dsn: str, question: Question) -> Report:
    """The identities now, of what can be looked at in about `SECONDS_MAX`; waits for an audit under way. Raises
    psycopg.Error when the database is away or a statement takes too long."""
    return await asyncio.get_running_loop().run_in_executor(_thread(), _audit, dsn, question)


def _audit(dsn: str, question: Question) -> Report:
    with psycopg.connect(
        dsn,
        autocommit=True,
        options="-c timezone=UTC",
        application_name="spendstream-query-audit",
        connect_timeout=_CONNECT_SECONDS_MAX,
    ) as connection:
        return run_audit(connection, replace(question, seconds_max=SECONDS_MAX))
