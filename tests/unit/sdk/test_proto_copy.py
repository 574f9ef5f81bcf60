from __future__ import annotations

from pathlib import Path

from spendstream_sdk import normalise as sdk_normalise
from spendstream_sdk._proto import usage_pb2 as sdk_usage_pb2

from services.contracts import normalise
from services.contracts.stubs.spendstream.v1 import usage_pb2


def test_the_sdk_carries_the_same_messages_as_the_services() -> None:
    ours = sdk_usage_pb2.DESCRIPTOR.serialized_pb
    assert ours == usage_pb2.DESCRIPTOR.serialized_pb


def test_the_sdk_carries_the_same_normaliser_as_the_services() -> None:
    ours, copied = (Path(str(module.__file__)).read_text() for module in (normalise, sdk_normalise))
    assert copied == ours
