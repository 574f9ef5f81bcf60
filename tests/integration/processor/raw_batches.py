"""Batches of Kafka's wire format written by hand, for what no client would pack."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c, encode_varint

_HEADER = struct.Struct(">qiibIhiqqqhii")
_CRC_AT, _CHECKED_FROM, _LENGTH_FROM = 17, 21, 12
_GZIP = 1
_PIECE = 1 << 20
# A value, or a number of zeros in its place.
Value = bytes | int


def gzip_batch(values: Iterable[Value], codec: int = _GZIP) -> bytes:
    """A record batch of these values, packed piece by piece: zeros take no memory here."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    body, count = b"", 0
    for count, value in enumerate(values, 1):
        size = value if isinstance(value, int) else len(value)
        head = b"\0" + _varint(0) + _varint(count - 1) + _varint(-1) + _varint(size)
        body += packer.compress(_varint(len(head) + size + 1) + head)
        for piece in [bytes(_PIECE)] * (size // _PIECE) if isinstance(value, int) else [value]:
            body += packer.compress(piece)
        body += packer.compress(_varint(0))
    body += packer.flush()
    length = _HEADER.size - _LENGTH_FROM + len(body)
    batch = bytearray(_HEADER.pack(0, length, 0, 2, 0, codec, count - 1, 1_000, 1_000, -1, -1, -1, count) + body)
    struct.pack_into(">I", batch, _CRC_AT, calc_crc32c(bytes(batch[_CHECKED_FROM:])))
    return bytes(batch)


async def send_batch(bootstrap: str, topic: str, partition: int, batch: bytes) -> int:
    """Has the broker append it; the offset of its first record."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=60_000)
    await client.bootstrap()
    try:
        request = ProduceRequest(
            transactional_id=None, required_acks=-1, timeout=60_000, topics=[(topic, [(partition, batch)])]
        )
        (node,) = [each.nodeId for each in client.cluster.brokers()]
        answer = await client.send(node, request)
        ((_, ((_, error, offset, *_),)),) = answer.topics
        assert error == 0, f"the broker refused it: {error}"
        return int(offset)
    finally:
        await client.close()


def _varint(number: int) -> bytes:
    out = bytearray()
    encode_varint(number, out.append)
    return bytes(out)
