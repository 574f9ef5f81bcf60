from __future__ import annotations

from spendstream_sdk._proto import usage_pb2 as sdk_usage_pb2

from services.contracts.stubs.spendstream.v1 import usage_pb2


def test_the_sdk_carries_the_same_messages_as_the_services() -> None:
    ours = sdk_usage_pb2.DESCRIPTOR.serialized_pb
    assert ours == usage_pb2.DESCRIPTOR.serialized_pb
