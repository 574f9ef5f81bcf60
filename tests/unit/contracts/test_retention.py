"""Settings that would lose something are refused."""

from __future__ import annotations

import pytest

from services.contracts.retention import Retention


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"raw_days": 36}, "raw_days is 36"),
        ({"identity_days": 35}, "identity_days is 35"),
        ({"minute_days": 500}, r"quarter_days \(400\) is less than minute_days \(500\)"),
        ({"hour_days": None, "day_days": 4_000}, r"day_days \(4000\) is less than hour_days \(forever\)"),
    ],
)
def test_what_would_lose_something_is_refused_by_name(settings: dict[str, int | None], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Retention(**settings)  # type: ignore[arg-type]


def test_days_are_kept_forever_and_every_relation_is_named_once() -> None:
    relations = Retention().relations()
    assert {kept.days for kept in relations if kept.level == "day"} == {None}
    assert len({kept.name for kept in relations}) == len(relations)
