"""The value axis of a chart, decided on the server: the first paint and the hydrated chart are one picture."""

from __future__ import annotations

from dataclasses import dataclass

from services.query.pages.formats import money_ticks, short

_ROUND_STEPS = (1, 2, 5, 10)
_TICKS_WANTED = 4


@dataclass(frozen=True, slots=True)
class Axis:
    """From zero to `top` in `steps` equal steps; `labels` has steps + 1 texts."""

    top: int
    steps: int
    labels: tuple[str, ...]


def _scale(greatest: int) -> tuple[int, int]:
    """(top, steps): a round step of 1, 2 or 5 times a power of ten, so that about four of them cover `greatest`."""
    greatest = max(greatest, 1)
    wanted = max(1, -(-greatest // _TICKS_WANTED))
    magnitude = 1
    while magnitude * 10 <= wanted:
        magnitude *= 10
    step = next(s * magnitude for s in _ROUND_STEPS if s * magnitude >= wanted)
    steps = -(-greatest // step)
    return step * steps, steps


def money_axis(greatest_pico_usd: int) -> Axis:
    top, steps = _scale(greatest_pico_usd)
    return Axis(top, steps, tuple(money_ticks(top, steps)))


def count_axis(greatest: int) -> Axis:
    top, steps = _scale(greatest)
    labels = tuple(_tick(top * i // steps) for i in range(steps + 1))
    return Axis(top, steps, labels)


def _tick(value: int) -> str:
    """2 M rather than 2.0 M: ticks are round."""
    return "0" if value == 0 else short(value).replace(".0", "")
