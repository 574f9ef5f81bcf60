"""Money as integers of pico-USD (10^-12 USD): exact inside, decimal strings at the edge, no binary floats."""

import re
from decimal import Decimal
from typing import Final

PICO_PER_USD: Final = 10**12
INT64_MAX: Final = 2**63 - 1
COST_MAX_PICO_USD: Final = 2**62
"""Largest cost of one event: two such still add up within int64."""

_PLAIN_DECIMAL: Final = re.compile(r"(?P<sign>-?)(?P<whole>\d{1,30})(?:\.(?P<part>\d{1,30}))?", re.ASCII)


class MoneyOverflowError(OverflowError):
    """An amount does not fit a BIGINT of pico-USD."""


class PriceOverflowError(OverflowError):
    """A count is beyond COUNT_MAX or a cost beyond COST_MAX_PICO_USD. `rows` are the offending rows of a batch."""

    def __init__(self, message: str, rows: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.rows = rows


class UsageCountError(ValueError):
    """A negative count, or a class or column that does not exist. `rows` are the offending rows of a batch."""

    def __init__(self, message: str, rows: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.rows = rows


def scaled_int(amount: str | Decimal, digits: int) -> int:
    """`amount * 10^digits` as an integer. ValueError if that isn't exact, or the text isn't a plain decimal."""
    text = format(amount, "f") if isinstance(amount, Decimal) else amount
    match = _PLAIN_DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError(f"not a plain decimal number: {text!r}")
    part = (match["part"] or "").rstrip("0")
    if len(part) > digits:
        raise ValueError(f"{text} has more than {digits} decimal places")
    value = int(match["whole"] + part.ljust(digits, "0"))
    return -value if match["sign"] else value


def pico_from_usd_per_million(price: str | Decimal) -> int:
    """Price of one token in pico-USD from USD per million tokens: "2.50" -> 2_500_000. Refuses what isn't exact."""
    pico = scaled_int(price, 6)
    if pico < 0:
        raise ValueError(f"a price is not negative: {price}")
    return pico


def parse_usd(text: str) -> int:
    """Pico-USD from a plain decimal of dollars, at most 12 places: "96.791325" -> 96_791_325_000_000."""
    return checked_int64(scaled_int(text, 12))


def usd_string(pico_usd: int) -> str:
    """The exact amount in dollars without exponent or trailing zeros: 96_791_325_000_000 -> "96.791325"."""
    whole, part = divmod(abs(pico_usd), PICO_PER_USD)
    sign = "-" if pico_usd < 0 else ""
    return f"{sign}{whole}.{part:012d}".rstrip("0").rstrip(".")


def usd_decimal(pico_usd: int) -> Decimal:
    """The exact amount in dollars, whatever the decimal context."""
    return Decimal(usd_string(pico_usd))


def checked_int64(pico_usd: int) -> int:
    """The amount itself, or MoneyOverflowError where a BIGINT could not hold it."""
    if not -INT64_MAX <= pico_usd <= INT64_MAX:
        raise MoneyOverflowError(f"{usd_string(pico_usd)} USD is beyond what 64 bits of pico-USD hold")
    return pico_usd


def multiply_half_even(amount: int, numerator: int, denominator: int) -> int:
    """`amount * numerator / denominator`, the one rounding of an event: half to even."""
    quotient, rest = divmod(amount * numerator, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and quotient % 2):
        quotient += 1
    return quotient
