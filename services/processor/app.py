"""The Faust app: one agent, concurrency 1, acknowledging by hand after the commit."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any

import faust

from services.processor.gathering import gathered
from services.processor.ledger import Stream
from services.processor.settings import ProcessorSettings
from services.processor.transport import LedgerTransport
from services.processor.unpacking import bound_unpacking
from services.processor.worker import Worker
from services.runtime.kafka_settings import KafkaSecurity

# Of messages with an event or two a flush has at most so many times what one take holds: much of its price is theirs.
_TAKES_MAX = 12


def build_app(
    settings: ProcessorSettings, stream: Stream, worker: Worker, crash: Callable[[BaseException], None]
) -> faust.App:
    """An app that is not started. `crash` is called with what a flush failed with; it does not return."""
    bound_unpacking()
    app = faust.App(
        settings.consumer_group,
        broker=f"kafka://{settings.kafka_bootstrap}",
        broker_credentials=_credentials(settings.kafka_security),
        value_serializer="raw",
        key_serializer="raw",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        # Faust makes this folder for tables, of which there are none.
        datadir=str(Path(tempfile.gettempdir()) / f"spendstream-faust-{os.getuid()}"),
        # As many as one flush takes: with fewer, one that is behind would wait for more until its linger is over.
        # Messages hold up to 500 events: Faust's default of 4,096 would be half a gigabyte. The same goes for what is
        # unpacked at once: by default all that one answer of the broker holds.
        stream_buffer_maxsize=settings.flush_messages_max,
        broker_max_poll_records=settings.flush_messages_max,
        broker_session_timeout=settings.session_timeout_seconds,
        broker_heartbeat_interval=settings.session_timeout_seconds / 5,
        # What the group knows is for display only; the ledger decides where to read on.
        broker_commit_interval=5.0,
        consumer_auto_offset_reset="earliest",
        # A broker that was just starting may not have named the topic yet: look again soon, not in five minutes.
        consumer_metadata_max_age_ms=10_000,
        consumer_group_instance_id=_instance(settings.processor_instance, stream),
    )
    app.transport = LedgerTransport(
        app.conf.broker_consumer, app, claim=worker.claim, crash=crash, ledger_topic=settings.usage_topic
    )
    events = app.topic(
        settings.usage_topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )

    async def or_crash(work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:  # Faust would log it and go on with later messages; a task's nobody would hear of
            crash(error)

    async def work_off(messages: Any) -> None:  # noqa: ANN401
        at_work: asyncio.Task[None] | None = None
        # Of a backlog messages are collected while those before them are worked off: fetching them takes its time, too.
        takes = messages.noack_take(settings.flush_messages_max, within=settings.flush_linger_seconds)
        # Of small ones as many as a take holds are still little, and each flush has its price.
        gathering = gathered(
            takes,
            settings.flush_messages_max,
            lambda found: len(found) >= _TAKES_MAX * settings.flush_messages_max or worker.is_much(found),
            settings.flush_linger_seconds,
        )
        async with aclosing(gathering) as batches:
            async for batch in batches:
                if at_work is not None:
                    await at_work
                at_work = asyncio.create_task(or_crash(worker.take(messages, batch)))
                if not worker.is_much(batch):
                    await at_work

    async def apply(messages: Any) -> None:  # noqa: ANN401
        await or_crash(work_off(messages))

    app.agent(events, name="apply", concurrency=1)(apply)
    return app


def _instance(name: str, stream: Stream) -> str | None:
    """The group gives a member of a known name the partitions it had, without asking which there are. For a topic that
    was made again these are those of the one before, or none: so there the member is another one."""
    return f"{name}-{stream.topic_id}" if name else None


def _credentials(security: KafkaSecurity) -> faust.auth.Credentials | None:
    """None for a plain connection."""
    context = security.ssl_context()
    if security.authenticated:
        return faust.SASLCredentials(
            username=security.username,
            password=security.password.get_secret_value(),
            mechanism=security.mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None
