"""How much a sender may do, and when it may go on."""

from __future__ import annotations

import pytest

from services.runtime import rates
from services.runtime.rates import RateLimit, TooFast, network_of


def test_a_sender_has_a_burst_and_then_its_rate() -> None:
    limit = RateLimit(per_second=2, burst_seconds=5)
    for _ in range(10):
        assert limit.wait_seconds("a", 100.0) == 0
        limit.take("a", 1, 100.0)
    assert limit.wait_seconds("a", 100.0) == pytest.approx(1 / 2)
    assert limit.wait_seconds("a", 100.5) == 0
    limit.take("a", 1, 100.5)
    assert limit.wait_seconds("a", 100.5) == pytest.approx(1 / 2)
    assert limit.wait_seconds("b", 100.5) == 0, "another has its own"


def test_what_was_taken_beyond_the_burst_is_a_debt_to_be_waited_for() -> None:
    limit = RateLimit(per_second=100, burst_seconds=1)
    limit.take("a", 1_000, 0.0)
    assert limit.wait_seconds("a", 0.0) == pytest.approx((1_000 - 100 + 1) / 100)
    assert limit.wait_seconds("a", 9.01) == pytest.approx(0, abs=1e-9)


def test_over_an_hour_exactly_the_rate_passes_whatever_the_steps() -> None:
    limit, now, passed = RateLimit(per_second=3, burst_seconds=10), 0.0, 0
    while now < 3_600:
        wait = limit.wait_seconds("a", now)
        now += wait
        limit.take("a", 7, now)
        passed += 7
    assert abs(passed - (3 * 3_600 + 3 * 10)) <= 7


def test_idle_time_is_not_saved_up_beyond_the_burst() -> None:
    limit = RateLimit(per_second=1, burst_seconds=2)
    limit.take("a", 2, 0.0)
    limit.take("a", 2, 1e6)
    assert limit.wait_seconds("a", 1e6) == pytest.approx(1)


def test_zero_is_no_limit() -> None:
    limit = RateLimit(0)
    limit.take("a", 1e9, 0.0)
    assert limit.wait_seconds("a", 0.0) == 0


def test_senders_are_remembered_up_to_a_number_the_longest_unseen_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "SENDERS_MAX", 2)
    limit = RateLimit(per_second=1, burst_seconds=1)
    for sender in ("a", "b", "a", "c"):
        limit.take(sender, 5, 0.0)
    assert [limit.wait_seconds(sender, 0.0) > 0 for sender in ("a", "b", "c")] == [True, False, True]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff%eth0", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_an_address_stands_for_one_sender(address: str, network: str) -> None:
    assert network_of(address) == network


def test_when_to_come_again_is_said_in_whole_seconds() -> None:
    assert [TooFast("", wait).retry_after_seconds for wait in (0.001, 1.0, 1.2)] == [1, 1, 2]
