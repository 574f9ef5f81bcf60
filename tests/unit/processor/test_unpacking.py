"""Packed batches are read as aiokafka reads them, however small the buffer, and bombs are cut."""

from __future__ import annotations

import random
from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from services.contracts.topics import MESSAGE_BYTES_MAX
from services.processor.unpacking import RECORD_BYTES_MAX, BoundedRecords, CutValue
from tests.integration.processor.raw_batches import gzip_batch

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def batch(codec: str, values: list[bytes | None]) -> bytes:
    builder = DefaultRecordBatchBuilder(2, CODECS[codec], 0, -1, -1, 0, 1 << 30)
    for number, value in enumerate(values):
        builder.append(number, 1_000 + number, b"key", value, [("header", b"x")])
    return bytes(builder.build())


def read(records: Any) -> list[Any]:  # noqa: ANN401
    found: list[Any] = []
    while records.has_next():
        each = records.next_batch()
        assert each.validate_crc()
        found += [(r.offset, r.timestamp, r.timestamp_type, r.key, r.value, list(r.headers)) for r in each]
        found.append((each.base_offset, each.next_offset, each.is_control_batch, each.is_transactional))
    return found


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("buffer_bytes", [100, 1 << 20])
def test_a_batch_is_read_as_aiokafka_reads_it(codec: str, buffer_bytes: int) -> None:
    first = batch(codec, [random.Random(1).randbytes(3_000), b"", None, b"x" * 200_000, b"last"])
    second = batch(codec, [b"one"])
    answer = first + second + first[: len(first) // 2]
    found = read(BoundedRecords(bytearray(buffer_bytes), answer))
    assert found == read(MemoryRecords(answer))
    assert len(found) == 8


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
def test_of_a_record_too_large_the_beginning_is_kept_and_its_neighbours_whole(codec: str) -> None:
    size = 2 * RECORD_BYTES_MAX
    answer = batch(codec, [b"before", b"\0" * size, b"after"])
    records = list(BoundedRecords(bytearray(1_000), answer).next_batch())
    assert [(each.offset, each.timestamp) for each in records] == [(0, 1_000), (1, 1_001), (2, 1_002)]
    assert [records[0].value, records[2].value] == [b"before", b"after"]
    cut = records[1].value
    assert isinstance(cut, CutValue)
    assert size < cut.size_bytes < size + 100
    assert MESSAGE_BYTES_MAX < len(cut) <= RECORD_BYTES_MAX
    assert not cut.strip(b"\0")


def test_a_key_too_large_is_cut_too() -> None:
    builder = DefaultRecordBatchBuilder(2, CODECS["zstd"], 0, -1, -1, 0, 1 << 30)
    builder.append(0, 1_000, b"\0" * (2 * RECORD_BYTES_MAX), b"value", [])
    (only,) = BoundedRecords(bytearray(1_000), bytes(builder.build())).next_batch()
    assert only.value == b""
    assert only.value.size_bytes > 2 * RECORD_BYTES_MAX


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
def test_a_batch_that_ends_too_early_is_said_to_be_broken(codec: str) -> None:
    whole = bytearray(batch(codec, [random.Random(2).randbytes(5_000)]))
    whole[8:12] = (len(whole) - 12 - 100).to_bytes(4, "big")
    (broken,) = [BoundedRecords(bytearray(1_000), bytes(whole[:-100])).next_batch()]
    with pytest.raises(CorruptRecordException, match="can't be unpacked"):
        list(broken)


def test_batches_written_by_hand_for_other_tests_are_what_aiokafka_reads() -> None:
    assert [each[4] for each in read(MemoryRecords(gzip_batch([b"one", 1 << 20, b"two"])))[:3]] == [
        b"one", bytes(1 << 20), b"two",
    ]  # fmt: skip
