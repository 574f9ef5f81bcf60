"""How figures read. Pure: exact integers in, short text out; the exact value goes into the `title` beside it.

Money keeps as many digits as it needs: $12,345.67, $4.31, $0.0427, $0.000069. Amounts are pico-USD (10^-12 USD).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, Literal

from pricing.money import PICO_PER_USD, usd_string
from services.contracts.figures import usd_text

THIN: Final = "\u202f"
"""A narrow no-break space: before %, and between a figure and its unit."""
MINUS: Final = "\u2212"
NOTHING: Final = "\u2013"
"""Shown where there is no figure: not measured is not zero."""

_STEPS: Final = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))
_SHORT_FROM: Final = 10_000
_FLAT_BELOW: Final = Decimal("0.0005")
_TIMES_FROM: Final = Decimal(10)

Direction = Literal["up", "down", "flat", "new"]


def money(pico_usd: int) -> str:
    """Two decimals from a dollar up, three significant digits below, never fewer than two decimals."""
    return usd_text(pico_usd).replace("-", MINUS)


def money_whole(pico_usd: int) -> str:
    """Whole dollars, for where cents don't fit: $1,284."""
    dollars, rest = divmod(pico_usd, PICO_PER_USD)
    return f"${dollars + (2 * rest >= PICO_PER_USD):,}"


def money_exact(pico_usd: int) -> str:
    """Every digit: $96.791325."""
    text = usd_string(pico_usd)
    return f"{MINUS}${text[1:]}" if text.startswith("-") else f"${text}"


def money_ticks(top_pico_usd: int, steps: int) -> list[str]:
    """Labels of an axis from 0 to `top_pico_usd` in equal steps, all with the same number of decimals."""
    labels = [usd_string(top_pico_usd * i // steps) for i in range(steps + 1)]
    places = max(len(label.partition(".")[2]) for label in labels)
    places = 2 if places == 1 else places
    return ["$0", *(f"${Decimal(label):,.{places}f}" for label in labels[1:])]


def count(number: int) -> str:
    """All digits, in groups of three: 214,380."""
    return f"{number:,}".replace("-", MINUS)


def short(number: int) -> str:
    """22.4 M. Exact below ten thousand; the exact count belongs into the title."""
    if abs(number) < _SHORT_FROM:
        return count(number)
    for index, (size, unit) in enumerate(_STEPS):
        if abs(number) < size:
            continue
        tenths = (abs(number) * 10 + size // 2) // size
        if tenths >= 10_000 and index:  # 999,960 is 1.0 M, not 1,000.0 k
            tenths, unit = tenths // 1_000, _STEPS[index - 1][1]
        return f"{MINUS if number < 0 else ''}{tenths / 10:,.1f}{THIN}{unit}"
    return count(number)


def share(part: int, whole: int) -> Decimal:
    """0 to 1; 0 of an empty whole."""
    return Decimal(part) / Decimal(whole) if whole else Decimal(0)


def percent(fraction: Decimal, places: int | None = None) -> str:
    """0.375 -> 37.5 %. One decimal unless `places` says otherwise; less than shown but not nothing reads < 0.1 %."""
    decimals = 1 if places is None else places
    smallest = Decimal(1).scaleb(-decimals)
    value = (fraction * 100).quantize(smallest, rounding=ROUND_HALF_EVEN)
    if fraction and not value:
        return f"<{THIN}{smallest}{THIN}%"
    return f"{value}{THIN}%".replace("-", MINUS)


@dataclass(frozen=True, slots=True)
class Change:
    """A figure against the one before. `text` carries arrow and sign, so colour is never the only bearer."""

    direction: Direction
    text: str
    plain: str
    """Without the arrow, for sentences: 12.1 %."""

    @property
    def spoken(self) -> str:
        """For screen readers, who don't see an arrow."""
        words = {"up": f"up {self.plain}", "down": f"down {self.plain}", "flat": "no change", "new": "new"}
        return words[self.direction]


def change(now: int | Decimal, before: int | Decimal, places: int | None = None) -> Change:
    """Relative change. From nothing to something is `new`, beyond ten times it reads as a factor."""
    if not before:
        return Change("new", "new", "new") if now else Change("flat", f"±{THIN}0{THIN}%", f"0{THIN}%")
    relative = (Decimal(now) - Decimal(before)) / abs(Decimal(before))
    if abs(relative) < _FLAT_BELOW:
        return Change("flat", f"±{THIN}0{THIN}%", f"0{THIN}%")
    decimals = places if places is not None else (1 if abs(relative) < 1 else 0)
    plain = percent(abs(relative), decimals)
    if relative >= _TIMES_FROM:
        plain = f"{Decimal(now) / Decimal(before):,.0f}{THIN}×"
    return Change("up", f"▲{THIN}{plain}", plain) if relative > 0 else Change("down", f"▼{THIN}{plain}", plain)


def milliseconds(value: Decimal | None) -> str:
    """842 ms, 2.9 s, 1 min 12 s; a dash where nothing was measured."""
    if value is None:
        return NOTHING
    if value < 1_000:
        return f"{value:.0f}{THIN}ms"
    seconds = value / 1_000
    if seconds < 60:
        return f"{seconds:.1f}{THIN}s"
    whole = int(seconds)
    return f"{whole // 60}{THIN}min {whole % 60}{THIN}s"


def per_call(pico_usd: int, calls: int) -> int:
    """Average cost of a call in pico-USD, to the nearest."""
    return (2 * pico_usd + calls) // (2 * calls) if calls else 0


def number_word(number: int) -> str:
    """Small counts as words, as in a sentence."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    return words[number] if 0 <= number < len(words) else count(number)


def plural(number: int, one: str, many: str | None = None) -> str:
    return one if number == 1 else (many or one + "s")


def listing(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
