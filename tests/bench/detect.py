"""`make bench-detect`: how well spikes are found, beside plain rules, on seeded synthetic months. Prints one table.

Each injection is one occasion: found when any rule speaks within it (ramps: until two days after), its delay from its
start to the first word. Words outside any injection are false alarms; hours or days in a row of one series and rule
count as one. Jumps of series with enough volume are replayed in seconds through the rule for minutes alone.
The seeds are not those the rules were tuned on (tuned on 1-99, measured from 1,000 on).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import mean, median

import numpy as np

from services.processor.spike_baselines import HISTORY, usual_hour
from services.processor.spike_calendar import DAY
from services.processor.spike_daily import UsualDay, by_day, day_excess, usual_day
from services.processor.spike_fast import find_jump
from services.processor.spike_hourly import hour_excess
from services.processor.spike_slow_burn import slow_burn
from services.processor.spikes import Measures
from tests.bench.detect_months import FIRST_TESTED, HOUR, HOURS, START, Kind, SeriesOf, Shape, hash_of, make_series

KINDS: tuple[Kind, ...] = ("jump", "prompt_growth", "retry_storm", "ramp")
SHAPES: tuple[Shape, ...] = ("cyclic", "weekday", "growing", "bursty")
_GRACE_HOURS = {"ramp": 48}
_FAST_STEP_SECONDS = 5
Words = list[tuple[int, str]]


@dataclass
class Score:
    """Of one kind: occasions found, false alarms, delays in hours."""

    found: int = 0
    missed: int = 0
    false_alarms: int = 0
    delays: list[float] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return self.found / max(1, self.found + self.missed)

    @property
    def precision(self) -> float:
        return self.found / max(1, self.found + self.false_alarms)


def ours(series: SeriesOf) -> Words:
    """(hour, rule) whenever a rule speaks. The rule for minutes sees more than hours and is measured apart."""
    words: Words = []
    slow: set[datetime] = set()
    usual_of_day: UsualDay | None = None
    today, so_far = (START - DAY).date(), Measures()
    for hour in range(FIRST_TESTED, HOURS):
        totals = series.totals(hour)
        if not totals.measures.calls:
            continue
        if _may_be_unusual(series, hour):
            usual = usual_hour(totals.hour, series.history(hour))
            if usual is not None and hour_excess(totals, usual):
                words.append((hour, "hour"))
        if totals.hour.date() != today:
            today, so_far, days = totals.hour.date(), Measures(), by_day(series.history(hour))
            usual_of_day = usual_day(today, days)
            excess = slow_burn(today, days)
            if excess is not None and excess.observed.hour not in slow:
                slow.add(excess.observed.hour)
                words.append((hour, "slow burn"))
        so_far += totals.measures
        if usual_of_day is not None and day_excess(today, so_far, usual_of_day):
            words.append((hour, "day"))
    return words


def _may_be_unusual(series: SeriesOf, hour: int) -> bool:
    """Saves time only: an hour below 1.2 of its last four is three times its usual hour for no level there is here."""
    same = series.cost_pico_usd[hour - 672 : hour : 168]
    return bool(series.cost_pico_usd[hour] >= 1.2 * np.median(same))


def plain(series: SeriesOf) -> Words:
    """hour > 3 x the mean of the 7 days before, day > 2 x the mean of the 7 days before; with the same floors."""
    words: Words = []
    cost, calls = series.cost_pico_usd, series.calls
    for hour in range(FIRST_TESTED, HOURS):
        if calls[hour] >= 20 and cost[hour] >= 10**12 and cost[hour] > 3 * cost[hour - 168 : hour].mean():
            words.append((hour, "hour"))
        start = hour // 24 * 24
        if cost[start : hour + 1].sum() > max(2 * cost[start - 168 : start].sum() / 7, 2 * 10**12):
            words.append((hour, "day"))
    return words


def score(series: Iterable[tuple[SeriesOf, Words]]) -> Score:
    result = Score()
    for one, words in series:
        injection = one.injection
        inside: list[int] = []
        outside: Words = []
        for hour, rule in words:
            late = injection is not None and injection.start <= hour < (
                injection.start + injection.hours + _GRACE_HOURS.get(injection.kind, 24 if rule != "hour" else 0)
            )
            (inside.append(hour) if late else outside.append((hour, rule)))
        result.false_alarms += _occasions(outside)
        if injection is not None and inside:
            result.found += 1
            result.delays.append(min(inside) + 1 - injection.start)
        elif injection is not None:
            result.missed += 1
    return result


def _occasions(words: Words) -> int:
    """Words of one rule in neighbouring hours (days) are one alarm."""
    count = 0
    for rule in {rule for _, rule in words}:
        hours = sorted(hour for hour, of in words if of == rule)
        gap = 1 if rule == "hour" else 24
        count += sum(1 for place, hour in enumerate(hours) if place == 0 or hour - hours[place - 1] > gap)
    return count


def fast_delays(jumps: Iterable[SeriesOf], calls_a_minute_min: float) -> tuple[list[float], int]:
    """Seconds of event time from a jump's start to the first word of the rule for minutes, and how many it missed."""
    delays, missed = [], 0
    for number, one in enumerate(jumps):
        assert one.injection is not None
        hour = one.injection.start
        if one.rate[hour] / one.injection.factor / 60 < calls_a_minute_min:
            continue
        start = one.totals(hour).hour
        usual = usual_hour(start, one.history(hour))
        assert usual is not None
        rng = np.random.default_rng([number, hash_of("fast")])
        spoke = next(
            (now for now, minutes in one.seconds(rng, hour, _FAST_STEP_SECONDS) if find_jump(minutes, now, usual)), None
        )
        if spoke is None:
            missed += 1
        else:
            delays.append((spoke - start).total_seconds())
    return delays, missed


def fast_false(series: Iterable[SeriesOf], hours: int) -> tuple[int, int]:
    """Hours in which the rule for minutes spoke without a reason, of how many."""
    spoke = tested = 0
    for number, one in enumerate(series):
        rng = np.random.default_rng([number, hash_of("quiet")])
        for hour in rng.choice(np.arange(FIRST_TESTED, HOURS), hours, replace=False):
            usual = usual_hour(one.totals(int(hour)).hour, one.history(int(hour)))
            tested += 1
            if usual and any(find_jump(m, now, usual) for now, m in one.seconds(rng, int(hour), _FAST_STEP_SECONDS)):
                spoke += 1
    return spoke, tested


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.detect")
    parser.add_argument("--seed", type=int, default=1_000)
    parser.add_argument("--series", type=int, default=40, help="of each kind")
    parser.add_argument("--clean", type=int, default=100, help="clean cyclic series over 30 days")
    asked = parser.parse_args()
    started = time.monotonic()
    print("| kind | occasions | rules | precision | recall | false alarms | median delay | mean delay |")
    print("|---|---|---|---|---|---|---|---|")
    jumps: list[SeriesOf] = []
    for kind in KINDS:
        made = [make_series(asked.seed + number, SHAPES[number % len(SHAPES)], kind) for number in range(asked.series)]
        jumps += made if kind == "jump" else []
        for name, rules in (("ours", ours), ("plain", plain)):
            _row(kind, name, score((one, rules(one)) for one in made), len(made))
    clean = [make_series(asked.seed + number, "cyclic", "clean") for number in range(asked.clean)]
    sparse = [make_series(asked.seed + number, "sparse", "clean") for number in range(asked.clean // 4)]
    for label, made in ((f"clean, {len(clean)} cyclic", clean), (f"clean, {len(sparse)} sparse", sparse)):
        for name, rules in (("ours", ours), ("plain", plain)):
            _row(label, name, score((one, rules(one)) for one in made), 0)
    delays, missed = fast_delays(jumps, calls_a_minute_min=60)
    spoke, tested = fast_false(clean[:50], 4)
    if delays:
        ordered = sorted(delays)
        within = sum(delay <= 60 for delay in delays) / (len(delays) + missed)
        print(
            f"\nJumps by the minute ({len(delays) + missed} of them usually have 60 calls a minute): median "
            f"{median(ordered):.0f} s, p95 {ordered[int(0.95 * len(ordered))]:.0f} s of event time, "
            f"{within:.0%} within 60 s, {missed} missed in their first hour; {spoke} of {tested} clean hours raised it."
        )
    # A process of its own: what the months above took is no cost of watching.
    subprocess.run([sys.executable, "-m", "tests.bench.detect_cost"], check=True)
    print(f"Took {time.monotonic() - started:.0f} s.")


def _row(kind: str, name: str, result: Score, occasions: int) -> None:
    if not occasions:
        print(f"| {kind} | 0 | {name} | – | – | {result.false_alarms} | – | – |", flush=True)
        return
    delays = result.delays or [float("nan")]
    print(
        f"| {kind} | {occasions} | {name} | {result.precision:.2f} | {result.recall:.2f} | {result.false_alarms} | "
        f"{median(delays):.0f} h | {mean(delays):.1f} h |",
        flush=True,
    )


if __name__ == "__main__":
    assert HISTORY >= 28 * DAY and HOUR
    main()
