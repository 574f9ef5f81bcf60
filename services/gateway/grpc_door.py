"""The gRPC door: UsageService, with health and reflection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.contracts.errors import Retry
from services.contracts.keys import Principal
from services.contracts.stubs.spendstream.v1 import usage_pb2
from services.gateway import metrics
from services.gateway.body import ReceivingBudget
from services.gateway.coalescing import Overloaded
from services.gateway.grpc_request_ids import RequestIdInterceptor
from services.gateway.ingest import Forbidden, Ingest, Unauthenticated
from services.gateway.intake import BatchTooLarge, Intake, MalformedBatch, RejectedEvent, intake_protobuf
from services.gateway.settings import (
    GRPC_CALLS_MAX,
    GRPC_CONNECTION_SECONDS_MAX,
    GRPC_MESSAGE_BYTES_MAX,
    RECEIVE_SECONDS_MAX,
    STREAM_EVENTS_MAX,
    STREAM_REJECTED_MAX,
)
from services.runtime.rates import TooFast

log = structlog.get_logger(__name__)

SERVICE = usage_pb2.DESCRIPTOR.services_by_name["UsageService"].full_name
# Messages of one stream that wait for Kafka while the next ones are read.
_STREAM_IN_FLIGHT_MAX = 8

Context = grpc.aio.ServicerContext[bytes, Any]
_STATUSES: tuple[tuple[type[Exception], grpc.StatusCode], ...] = (
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (Forbidden, grpc.StatusCode.PERMISSION_DENIED),
    (MalformedBatch, grpc.StatusCode.INVALID_ARGUMENT),
    (BatchTooLarge, grpc.StatusCode.INVALID_ARGUMENT),
    (Overloaded, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (TooFast, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (TimeoutError, grpc.StatusCode.DEADLINE_EXCEEDED),
    (Retry, grpc.StatusCode.UNAVAILABLE),
)


class UsageDoor:
    """The two methods of UsageService. Requests come as bytes: a bad event in one must not spoil its neighbours."""

    def __init__(self, ingest: Ingest, budget: ReceivingBudget) -> None:
        self._ingest = ingest
        self._budget = budget

    async def record_usage(self, requests: AsyncIterator[bytes], context: Context) -> usage_pb2.RecordUsageResponse:
        """Unary: one batch, one answer. It comes as a stream of one, so that waiting for it has an end."""
        try:
            principal = await self._authenticate(context)
            request = await _next(aiter(requests))
            if request is None:
                raise MalformedBatch("there was no request")
            intake = await self._read(request, principal)
            await self._ingest.publish("grpc", intake)
        except asyncio.CancelledError:  # its deadline passed, or the caller went away
            metrics.REQUESTS.labels("grpc", "CANCELLED").inc()
            raise
        except Exception as error:
            await _abort(context, error)
        metrics.REQUESTS.labels("grpc", "OK").inc()
        return usage_pb2.RecordUsageResponse(accepted=intake.admitted_count, rejected=_rejected(intake.rejected))

    async def stream_usage(self, requests: AsyncIterator[bytes], context: Context) -> usage_pb2.StreamUsageResponse:
        """Client stream: batches in, one answer over all of them at the end."""
        response = usage_pb2.StreamUsageResponse()
        in_flight: deque[asyncio.Task[None]] = deque()
        event_count = 0
        try:
            principal = await self._authenticate(context)
            coming = aiter(requests)
            while (request := await _next(coming)) is not None:
                intake = await self._read(request, principal)
                in_flight.append(asyncio.create_task(self._ingest.publish("grpc", intake)))
                response.accepted += intake.admitted_count
                response.rejected.extend(_rejected(intake.rejected, event_count))
                event_count += intake.event_count
                if event_count > STREAM_EVENTS_MAX or len(response.rejected) > STREAM_REJECTED_MAX:
                    raise BatchTooLarge(
                        f"a stream may have {STREAM_EVENTS_MAX} events and {STREAM_REJECTED_MAX} rejected ones"
                    )
                if len(in_flight) == _STREAM_IN_FLIGHT_MAX:
                    await in_flight.popleft()
                await self._ingest.pause(principal)
            while in_flight:
                await in_flight.popleft()
            if not event_count:
                raise MalformedBatch("the stream was empty: send at least one event")
        except asyncio.CancelledError:
            metrics.REQUESTS.labels("grpc", "CANCELLED").inc()
            for task in in_flight:  # Kafka may have them already; nobody waits for how it ends
                task.add_done_callback(_forget)
            raise
        except Exception as error:
            await asyncio.gather(*in_flight, return_exceptions=True)
            await _abort(context, error)
        metrics.REQUESTS.labels("grpc", "OK").inc()
        return response

    async def _authenticate(self, context: Context) -> Principal:
        return await self._ingest.authenticate(_authorization(context), _address(context.peer()))

    async def _read(self, request: bytes, principal: Principal) -> Intake:
        with self._budget.share() as share:
            share.take(len(request))
            return await self._ingest.read(principal, len(request), lambda: intake_protobuf(request, principal))


def make_server(door: UsageDoor) -> tuple[grpc.aio.Server, health.aio.HealthServicer]:
    """A server without a port, not started."""
    server = grpc.aio.server(
        interceptors=[RequestIdInterceptor()],
        options=[
            ("grpc.max_receive_message_length", GRPC_MESSAGE_BYTES_MAX),
            # Off: another process on the same port would otherwise silently take half of the calls.
            ("grpc.so_reuseport", 0),
            # A connection whose other end is gone is noticed, and none lives for ever, whatever calls it holds open.
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # A sender that asks now and then whether we are there is not sent away for it.
            ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
            ("grpc.max_connection_age_ms", GRPC_CONNECTION_SECONDS_MAX * 1_000),
            ("grpc.max_connection_age_grace_ms", GRPC_CONNECTION_SECONDS_MAX * 1_000),
        ],
        maximum_concurrent_rpcs=GRPC_CALLS_MAX,
    )
    methods: dict[str, grpc.RpcMethodHandler[bytes, Any]] = {
        "RecordUsage": grpc.stream_unary_rpc_method_handler(
            door.record_usage, response_serializer=usage_pb2.RecordUsageResponse.SerializeToString
        ),
        "StreamUsage": grpc.stream_unary_rpc_method_handler(
            door.stream_usage, response_serializer=usage_pb2.StreamUsageResponse.SerializeToString
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return server, health_servicer


async def announce_serving(health_servicer: health.aio.HealthServicer) -> None:
    """Says SERVING for the server as a whole and for UsageService."""
    for name in ("", SERVICE):
        await health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)


def _forget(task: asyncio.Task[None]) -> None:
    """Takes note of a failure that nobody is told of, so that it isn't reported as forgotten."""
    if not task.cancelled():
        task.exception()


def _authorization(context: Context) -> str | None:
    for name, value in context.invocation_metadata() or ():
        if name == "authorization":
            return value if isinstance(value, str) else value.decode("latin-1")
    return None


def _address(peer: str) -> str:
    """The client's address of what gRPC calls a peer: `ipv4:127.0.0.1:4711`, `ipv6:[::1]:4711`."""
    return peer.partition(":")[2].rpartition(":")[0].strip("[]")


async def _next(requests: AsyncIterator[bytes]) -> bytes | None:
    """The next message of a call, None at its end; raises TimeoutError."""
    try:
        async with asyncio.timeout(RECEIVE_SECONDS_MAX):
            return await anext(requests)
    except StopAsyncIteration:
        return None
    except TimeoutError:
        raise TimeoutError(f"no message came for {RECEIVE_SECONDS_MAX:.0f} s") from None


def _rejected(events: list[RejectedEvent], index_base: int = 0) -> list[usage_pb2.RejectedEvent]:
    return [
        usage_pb2.RejectedEvent(index=index_base + event.index, event_id=event.event_id, reason=event.reason)
        for event in events
    ]


def _pushback(error: Exception) -> tuple[tuple[str, str], ...]:
    """When to come again, as gRPC's own retries understand it."""
    return (("grpc-retry-pushback-ms", str(error.retry_after_seconds * 1_000)),) if isinstance(error, TooFast) else ()


async def _abort(context: Context, error: Exception) -> NoReturn:
    """Ends the call with the status that `error` means."""
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            metrics.REQUESTS.labels("grpc", status.name).inc()
            await context.abort(status, str(error), _pushback(error))
    log.error("unexpected_error", exc_info=error)
    metrics.REQUESTS.labels("grpc", "INTERNAL").inc()
    await context.abort(grpc.StatusCode.INTERNAL, "something went wrong here; sending the events again is safe")
    raise AssertionError("abort() raises")
