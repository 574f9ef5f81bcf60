"""`python -m tests.bench [NAME ...]`: measures, prints Markdown tables. Nothing here is a test.

Backends are those the environment names (see tests.backends), else embedded ones of its own.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from services.runtime.embedded.backends import Backends
from tests.backends import running_backends
from tests.bench import (
    backlog,
    caller,
    cross_check,
    doors,
    healing,
    latency,
    microseconds,
    pricing_speed,
    reads,
    size,
    soak,
)
from tests.bench.resources import versions

_NAMES = (
    "pricing",
    "cross-check",
    "caller",
    "doors",
    "backlog",
    "healing",
    "latency",
    "size",
    "soak",
    "microseconds",
    "reads",
)
# Only when they are asked for: minutes by themselves, or a look that needs the database on this machine.
_LONG = {"soak", "microseconds", "reads"}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measures speed; prints ratios.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which of {', '.join(_NAMES)}; all but the last three when left out"
    )
    parser.add_argument("--events", type=int, default=500_000, help="of each backlog, and of size")
    parser.add_argument("--naive-events", type=int, default=20_000, help="for the agent it is compared with")
    parser.add_argument(
        "--duplicates", type=float, nargs="*", default=[0.0, 0.001, 0.01], help="shares, a backlog each"
    )
    parser.add_argument("--shuffled", action="store_true", help="events of a backlog in no order of time")
    parser.add_argument("--rate", type=int, default=2_000, help="events a second for latency")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long latency and doors send")
    parser.add_argument("--soak-rate", type=int, default=10_000, help="events a second for soak")
    parser.add_argument("--soak-seconds", type=float, default=300.0, help="how long soak sends")
    parser.add_argument(
        "--months", type=int, nargs="*", default=[5_000_000, 20_000_000], help="events that reads lie in"
    )
    parser.add_argument("--asked", type=int, default=30, help="how often each question of reads is asked")
    parser.add_argument("--keep", type=Path, help="a folder in which the databases of reads stay for the next time")
    parser.add_argument("--generate-only", action="store_true", help="fill the databases of reads and ask nothing")
    asked = parser.parse_args()
    unknown = sorted(set(asked.names) - set(_NAMES))
    if unknown:
        parser.error(f"{', '.join(unknown)}: not one of {', '.join(_NAMES)}")
    return asked


def _print(title: str, lines: Iterable[str]) -> None:
    print(f"\n## {title}\n", flush=True)
    for line in lines:
        print(line, flush=True)


def _alone(names: Iterable[str]) -> None:
    """What needs neither broker nor database."""
    if "pricing" in names:
        _print("Pricing", pricing_speed.measure())
    if "cross-check" in names:
        _print("Cross-check", cross_check.beside_peers())
    if "caller" in names:
        _print("SDK, the caller's side", caller.measure())


def main() -> None:
    asked = _arguments()
    names = asked.names or tuple(name for name in _NAMES if name not in _LONG)
    print(f"`{shlex.join(['python', '-m', 'tests.bench', *sys.argv[1:]])}` at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    with ExitStack() as stack:
        backends: Backends | None = None
        if {"backlog", "doors", "healing", "latency", "size", "soak", "microseconds"} & set(names):
            backends = stack.enter_context(running_backends())
            print(f"\n{versions(backends.database_dsn)}")
        _alone(names)
        if "doors" in names and backends:
            _print("Doors", doors.measure(backends, asked.seconds))
        if "backlog" in names and backends:
            lines = backlog.measure(backends, asked.events, asked.naive_events, asked.duplicates, asked.shuffled)
            _print("Backlog", lines)
        if "healing" in names and backends:
            _print("Healing", healing.measure(backends, asked.events))
        if "size" in names and backends:
            _print("Size", size.measure(backends, asked.events))
        if "latency" in names and backends:
            _print("Latency", latency.measure(backends, asked.rate, asked.seconds))
        if "microseconds" in names and backends:
            _print("Microseconds", microseconds.measure(backends, asked.events))
        if "soak" in names and backends:
            _print("Soak", soak.measure(backends, asked.soak_rate, asked.soak_seconds))
        if "reads" in names:
            _reads(asked)


def _reads(asked: argparse.Namespace) -> None:
    if asked.generate_only and asked.keep:
        reads.generate_only(asked.months, asked.keep)
    else:
        _print("Reads", reads.measure(asked.months, asked.keep, asked.asked))


if __name__ == "__main__":
    main()
