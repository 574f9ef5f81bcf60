"""What watching 10,000 series costs: four weeks of their hours in a real database, read and looked at as a worker does.

Run in a process of its own, whose memory and CPU are then those of watching alone.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import psycopg

from services.processor.spike_past import UsualHours
from services.processor.spike_store import detect, touched_series
from services.processor.spikes import HOUR
from services.processor.watch import EVERY_SECONDS, rest_after
from tests.backends import fresh_database, running_backends

TENANTS, FEATURES, MODELS = 10, 450, 99
# A tenant's features, as many agents, its models and itself.
SERIES = TENANTS * (2 * FEATURES + MODELS + 1)
NOON = datetime(2026, 10, 7, 12, tzinfo=UTC)
NOW = NOON + timedelta(minutes=20, seconds=30)
WEEKS_HOURS = 28 * 24
# What a worker reads again of each tenant: at the full hour and half an hour later, and the hour before once more.
_READS_AN_HOUR, _ROUNDS = 3, 5
Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Cost:
    """`read` three times an hour, `round` each second or as often as it may; seconds of CPU and wall."""

    series: int
    megabytes: float
    read: tuple[float, float]
    round: tuple[float, float]

    @property
    def share(self) -> float:
        """Of one core, in the worker's process."""
        between = EVERY_SECONDS + rest_after(self.round[0]) + self.round[1]
        rounds_an_hour = (3_600 - _READS_AN_HOUR * self.read[1]) / between
        return (_READS_AN_HOUR * self.read[0] + rounds_an_hour * self.round[0]) / 3_600


def measure() -> Cost:
    with (
        running_backends() as backends,
        fresh_database(backends.database_dsn) as dsn,
        psycopg.connect(dsn, autocommit=True, options="-c timezone=UTC") as connection,
    ):
        tenants = _fill(connection)
        touched = touched_series((tenant, "feature-1", NOON) for tenant in tenants)
        # One tenant first: what is imported and cached is no cost of the others.
        detect(connection, [one for one in touched if one.tenant_no == tenants[0]], NOW)
        memory, before = UsualHours(), _resident()
        read = _timed(lambda: detect(connection, touched, NOW, usual_hours=memory))
        megabytes = (_resident() - before) / 1e6
        print(f"read: {read[0]:.1f} s of CPU, {read[1]:.0f} s; {megabytes:.0f} MB", file=sys.stderr)
        rounds = [_timed(lambda: detect(connection, touched, NOW, usual_hours=memory)) for _ in range(_ROUNDS)]
        known = sum(len(past) for _, past in memory._kept.values())
        assert known == SERIES, known
    cpu, wall = (sum(one[index] for one in rounds) / _ROUNDS for index in (0, 1))
    return Cost(SERIES, megabytes, read, (cpu, wall))


def _fill(connection: Connection) -> list[int]:
    """Hours of a rhythm with noise, as the refresher leaves them, and the running hour by minutes."""
    tenants = [
        int(row[0])
        for number in range(TENANTS)
        for row in connection.execute(
            "INSERT INTO tenant (tenant_id, name) VALUES (%s, '') RETURNING tenant_no", [f"tenant-{number}"]
        )
    ]
    columns = (
        "bucket, tenant_no, feature, agent_id, provider, model, tier, service_tier, status, calls, requests, "
        "billed_pico_usd"
    )
    rows = (
        "%s, tenant, 'feature-' || n, 'agent-' || n, 'openai', 'model-' || n %% %s, 'standard', 'standard', 'ok', "
        "c.calls, c.calls, c.calls * 2000000000::bigint "
        "FROM unnest(%s::int[]) AS tenant, generate_series(1, %s) AS n"
    )
    connection.execute(
        f"INSERT INTO usage_hour_mat ({columns}) SELECT {rows}, generate_series(1, %s) AS age, "
        "LATERAL (SELECT (600 * (1.5 + cos(age / 24.0 * 2 * pi())) * exp(0.1 * random_normal()))::bigint AS calls) AS c"
        .replace("%s, tenant", "%s::timestamptz - age * INTERVAL '1 hour', tenant", 1).encode(),
        [NOON, MODELS, tenants, FEATURES, WEEKS_HOURS],
    )  # fmt: skip
    connection.execute(
        f"INSERT INTO usage_minute_base ({columns}, kafka_partition) SELECT {rows}, generate_series(0, 20) AS age, "
        "LATERAL (SELECT 20 AS calls) AS c"
        .replace("%s, tenant", "%s::timestamptz + age * INTERVAL '1 minute', tenant", 1)
        .replace("::bigint FROM", "::bigint, 0 FROM", 1).encode(),
        [NOON, MODELS, tenants, FEATURES],
    )  # fmt: skip
    connection.execute("UPDATE rollup_state SET closed_through = %s, materialized_through = %s", [NOON, NOON])
    connection.execute("VACUUM ANALYZE usage_hour_mat, usage_minute_base")
    return tenants


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of CPU of this process and of the wall."""
    cpu, wall = time.process_time(), time.monotonic()
    work()
    return time.process_time() - cpu, time.monotonic() - wall


def _resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def main() -> None:
    cost = measure()
    print(
        f"{cost.series:,} series: {cost.megabytes:.0f} MB remembered; read in {cost.read[0]:.1f} s of CPU "
        f"({cost.read[1]:.0f} s) three times an hour, looked at in {cost.round[0] * 1e3:.0f} ms of CPU "
        f"({cost.round[1]:.1f} s) a round: {cost.share:.1%} of one core."
    )


if __name__ == "__main__":
    assert timedelta(hours=1) == HOUR
    main()
