"""Grouping: groups, their order and their sums are those of a plain loop."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from services.processor.grouping import encode, group

ROWS = st.lists(st.tuples(st.sampled_from(["", "a", "b", "é"]), st.integers(-3, 3), st.integers(0, 2**62)), max_size=60)


@given(rows=ROWS)
def test_groups_and_sums_are_those_of_a_plain_loop(rows: list[tuple[str, int, int]]) -> None:
    names, numbers = pa.array([row[0] for row in rows], pa.string()), pa.array([row[1] for row in rows], pa.int64())
    values = np.array([row[2] >> 6 for row in rows], dtype=np.int64)
    groups = group([encode(names), encode(numbers)])
    plain: dict[tuple[bytes, int], list[int]] = {}
    for row, (name, number, _) in enumerate(rows):
        plain.setdefault((name.encode(), number), []).append(row)
    in_order = [plain[key] for key in sorted(plain)]
    assert groups.first.tolist() == [members[0] for members in in_order]
    assert groups.counts().tolist() == [len(members) for members in in_order]
    assert groups.sums(values).tolist() == [sum(int(values[row]) for row in members) for members in in_order]
    assert groups.least(values).tolist() == [min(int(values[row]) for row in members) for members in in_order]
    assert groups.greatest(values).tolist() == [max(int(values[row]) for row in members) for members in in_order]


@given(rows=ROWS.filter(bool))
def test_more_combinations_than_fit_a_number_are_grouped_all_the_same(rows: list[tuple[str, int, int]]) -> None:
    column = encode(pa.array([row[2] for row in rows], pa.int64()))
    huge = type(column)(column.by_row, 1 << 40)
    groups = group([huge, huge, huge])
    assert len(groups) == column.size
