"""Calls of the gRPC door have an id too: metadata `x-request-id`, or a new one, on every line logged about the call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from services.runtime.request_ids import HEADER, bind_request_id


class RequestIdInterceptor(grpc.aio.ServerInterceptor):
    """Runs in the task that handles the call."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401
        given = next((value for name, value in handler_call_details.invocation_metadata or () if name == HEADER), None)
        bind_request_id(given if isinstance(given, str) else None)
        return await continuation(handler_call_details)
