"""How figures are written for people: one voice in causes, Slack messages, e-mails and pages. Pure."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from pricing.money import PICO_PER_USD

_DIGITS_BELOW_A_DOLLAR = 3
# A ratio above it tells nobody anything.
TIMES_MAX = 100


def usd_text(pico_usd: int) -> str:
    """As many digits as the amount needs: $12,345.67 · $4.31 · $0.0427 · $0.000069; nothing is $0.00."""
    amount = Decimal(abs(pico_usd)) / PICO_PER_USD
    sign = "-" if pico_usd < 0 else ""
    if amount >= 1 or amount == 0:
        return f"{sign}${_rounded(amount, 2):,f}"
    # Three significant digits below a dollar, without trailing zeros beyond the cents.
    places = _DIGITS_BELOW_A_DOLLAR - 1 - amount.adjusted()
    text = f"{_rounded(amount, places):f}".rstrip("0")
    whole, _, part = text.partition(".")
    return f"{sign}${whole}.{part.ljust(2, '0')}"


def count_text(count: float) -> str:
    """A count or an average of counts, with thousands separated: 3,700; one decimal below ten where there is one."""
    if abs(count) < 10 and count != int(count):
        return f"{count:.1f}"
    return f"{round(count):,}"


def share_text(share: float) -> str:
    """A share of 0 to 1 as per cent: 0.128 is 12.8 %; whole above ten per cent where it is whole."""
    return f"{share * 100:.1f}".removesuffix(".0") + " %"


def times_text(ratio: float) -> str:
    """How many times: 4.1 ×, from ten on without decimals."""
    return f"{ratio:.1f} ×" if ratio < 10 else f"{ratio:,.0f} ×"


def _rounded(amount: Decimal, places: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
