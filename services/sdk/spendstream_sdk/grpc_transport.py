"""Batches over gRPC to the gateway's UsageService: `pip install spendstream-sdk[grpc]`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

# A forked child may only use gRPC when the library was told so before it was loaded.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")

import grpc

from spendstream_sdk._proto import usage_pb2
from spendstream_sdk.records import Event
from spendstream_sdk.transport import Delivered, GiveUp, TooLarge, TryAgain
from spendstream_sdk.wire import to_batch

_METHOD = "/spendstream.v1.UsageService/RecordUsage"
# The gateway takes 4 MiB; the frame around the batch needs a little.
_MESSAGE_BYTES_MAX = 4_000_000
_NEVER = frozenset(
    (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT,
     grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND)
)  # fmt: skip


class GrpcTransport:
    """One channel that is kept open. `target` is `host:port`; without `tls` the key goes in the clear."""

    def __init__(
        self, target: str, key: str, timeout_seconds: float, *, tls: bool, root_certificates: bytes | None = None
    ) -> None:
        self._target, self._timeout_seconds = target, timeout_seconds
        self._credentials = grpc.ssl_channel_credentials(root_certificates) if tls else None
        self._metadata = (("authorization", f"Bearer {key}"),)
        self._channel: grpc.Channel | None = None
        self._record: Callable[..., usage_pb2.RecordUsageResponse] | None = None

    def send(self, events: Sequence[Event]) -> Delivered:
        """See `Transport.send`."""
        request = usage_pb2.RecordUsageRequest(batch=to_batch(events)).SerializeToString()
        if len(request) > _MESSAGE_BYTES_MAX:
            raise TooLarge
        try:
            answer = self._connect()(request, timeout=self._timeout_seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise self._judge(error) from error
        return Delivered(answer.accepted, tuple(rejected.reason for rejected in answer.rejected))

    def close(self) -> None:
        """See `Transport.close`."""
        if self._channel is not None:
            self._channel.close()
        self.abandon()

    def abandon(self) -> None:
        """See `Transport.abandon`."""
        self._channel = self._record = None

    def _connect(self) -> Callable[..., usage_pb2.RecordUsageResponse]:
        if self._record is None:
            options = (("grpc.keepalive_time_ms", 60_000), ("grpc.max_reconnect_backoff_ms", 10_000))
            if self._credentials is None:
                self._channel = grpc.insecure_channel(self._target, options)
            else:
                self._channel = grpc.secure_channel(self._target, self._credentials, options)
            self._record = self._channel.unary_unary(
                _METHOD, response_deserializer=usage_pb2.RecordUsageResponse.FromString
            )
        return self._record

    def _judge(self, error: Any) -> TryAgain | GiveUp:  # noqa: ANN401 - grpc's error is a call at the same time
        status, detail = error.code(), error.details()
        if status in _NEVER:
            return GiveUp(f"the gateway refuses with {status.name} {detail}")
        return TryAgain(f"{self._target} answers {status.name} {detail}", _pause_seconds(error))


def _pause_seconds(error: Any) -> float | None:  # noqa: ANN401
    """How long the gateway asks to wait, if it does."""
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-retry-pushback-ms" and value.isdigit():
            return int(value) / 1_000
    return None
