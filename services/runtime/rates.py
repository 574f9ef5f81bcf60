"""How much each of many senders may do: a token bucket each, in bounded memory. Pure; the time is an argument.

Per process: two processes behind one address allow twice as much.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address, ip_network
from math import ceil

SENDERS_MAX = 10_000
"""Remembered; the one not seen for longest is forgotten first, and begins anew with a full bucket."""


class TooFast(Exception):
    """A sender has used up what it may do; after `wait_seconds` it may go on."""

    def __init__(self, detail: str, wait_seconds: float) -> None:
        super().__init__(detail)
        self.wait_seconds = wait_seconds

    @property
    def retry_after_seconds(self) -> int:
        """Whole seconds, as HTTP says it."""
        return max(1, ceil(self.wait_seconds))


@dataclass(slots=True)
class RateLimit:
    """`per_second` on average for each sender, `burst_seconds` of it at once; 0 a second is no limit.

    What is taken may be more than there is: then the sender waits until the debt is paid. So a large batch passes
    whole, and its sender pauses afterwards.
    """

    per_second: float
    burst_seconds: float = 10.0
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait_seconds(self, sender: str, now: float) -> float:
        """Seconds from `now` (monotonic seconds) until `sender` may take again; 0 when it may."""
        if not self.per_second:
            return 0.0
        tokens = self._tokens(sender, now)
        return max(0.0, (1.0 - tokens) / self.per_second)

    def take(self, sender: str, count: float, now: float) -> None:
        """Takes `count`, whether or not there is so much."""
        if not self.per_second:
            return
        self._buckets[sender] = (self._tokens(sender, now) - count, now)
        self._buckets.move_to_end(sender)
        if len(self._buckets) > SENDERS_MAX:
            self._buckets.popitem(last=False)

    def _tokens(self, sender: str, now: float) -> float:
        full = max(1.0, self.per_second * self.burst_seconds)
        tokens, at = self._buckets.get(sender, (full, now))
        return min(full, tokens + (now - at) * self.per_second)


def network_of(address: str) -> str:
    """Whom an address stands for: itself, or with IPv6 its /64, of which one sender has all."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    mapped = parsed.ipv4_mapped
    return str(mapped) if mapped else str(ip_network((parsed, 64), strict=False))
