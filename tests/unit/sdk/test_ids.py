from __future__ import annotations

import os
import uuid

from spendstream_sdk.ids import to_text, uuid7_int, uuid7_text


def test_an_id_is_laid_out_as_rfc_9562_says() -> None:
    # Appendix A.6: 2022-02-22T19:22:22Z is 0x017F22E279B0 milliseconds.
    text = uuid7_text(0x017F22E279B0 * 1_000_000)
    parsed = uuid.UUID(text)
    assert text.startswith("017f22e2-79b0-7")
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)


def test_ids_of_one_moment_differ_and_those_of_later_ones_sort_behind() -> None:
    same = [uuid7_int(1_700_000_000_000_000_000) for _ in range(10_000)]
    assert len(set(same)) == len(same)
    assert to_text(max(same)) < uuid7_text(1_700_000_000_001_000_000)


def test_a_forked_child_makes_other_ids_than_its_parent() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, uuid7_text(0).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100).decode() != uuid7_text(0)
    os.close(reading)
    os.close(writing)
