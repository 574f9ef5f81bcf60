"""What is summed by what: every rollup, its dimensions, its measures and its levels, declared once.

The migrations build tables and views from it, the processor folds into it, the query planner chooses from it. All
measures add up (that is why they are here); what does not (distinct users, percentiles) has its own place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pricing.usage import USAGE_CLASSES

Level = Literal["minute", "15m", "hour", "day"]

# Width of a bucket in seconds, finest first. Buckets are aligned to the epoch in UTC.
LEVEL_SECONDS: dict[Level, int] = {"minute": 60, "15m": 900, "hour": 3_600, "day": 86_400}

MONEY_MEASURES = ("billed_pico_usd", "adjustment_pico_usd", "wasted_pico_usd")
COUNT_MEASURES = ("calls", "requests", "errors", "unpriced_events", "late_events")
USAGE_MEASURES = (
    *COUNT_MEASURES,
    "retry_count",
    "cache_hits",
    "latency_sum_ms",
    "latency_count",
    *USAGE_CLASSES,
    *MONEY_MEASURES,
    "response_cache_saved_pico_usd",
    "prompt_cache_saved_pico_usd",
)
NARROW_MEASURES = (*COUNT_MEASURES, "prompt_tokens", "completion_tokens", *MONEY_MEASURES)


@dataclass(frozen=True, slots=True)
class Rollup:
    """One family of rollups.

    `{name}_{level}` is what readers select from: `bucket timestamptz, tenant_no integer`, the dimensions as text
    ('' where the event said nothing), the measures as bigint. The processor writes `{name}_{levels[0]}_base`, whose
    rows also carry `kafka_partition`, so that two workers never share a row. A family that is `wide` summed by fewer
    dimensions has no base: the refresher builds its first level from the same level of `wide`.
    """

    name: str
    levels: tuple[Level, ...]
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    # Dimensions that are small integers instead of text (a histogram's bucket).
    integer_dimensions: tuple[str, ...] = ()
    wide: Rollup | None = None

    @property
    def base_level(self) -> Level:
        """The level that is exact at every moment, where the family has one."""
        return self.levels[0]

    @property
    def built_levels(self) -> tuple[Level, ...]:
        """The levels that the refresher builds, finest first."""
        return self.levels if self.wide is not None else self.levels[1:]

    def below(self, level: Level) -> tuple[Rollup, Level]:
        """What a built level is summed from."""
        if level == self.levels[0] and self.wide is not None:
            return self.wide, level
        return self, self.levels[self.levels.index(level) - 1]

    def view_below(self, level: Level) -> str:
        """The name readers use of what a built level is summed from."""
        family, below = self.below(level)
        return family.view(below)

    @property
    def base_table(self) -> str:
        return f"{self.name}_{self.base_level}_base"

    def view(self, level: Level) -> str:
        """The name readers use at `level`; KeyError-free only for `level in levels`."""
        return f"{self.name}_{level}"


USAGE = Rollup(
    "usage",
    ("minute", "15m", "hour", "day"),
    ("feature", "agent_id", "provider", "model", "tier", "service_tier", "status"),
    USAGE_MEASURES,
)
CUSTOMER = Rollup("customer", ("hour", "day"), ("customer_id", "user_id", "model"), NARROW_MEASURES)
CHANNEL = Rollup("channel", ("hour", "day"), ("channel",), NARROW_MEASURES)
REGION = Rollup("region", ("hour", "day"), ("region", "prompt_template_id"), NARROW_MEASURES)
# Latency as a histogram: `latency_bucket` b counts calls with bound(b - 1) < latency_ms <= bound(b).
LATENCY = Rollup("latency", ("hour", "day"), ("feature", "model", "latency_bucket"), ("calls",), ("latency_bucket",))
UNITS = Rollup("units", ("hour", "day"), ("feature", "provider", "model", "unit"), ("quantity",))

# What the processor writes with every flush.
ROLLUPS = (USAGE, CUSTOMER, CHANNEL, REGION, LATENCY, UNITS)

# The same with fewer dimensions, for questions over months: a tenant's customers or users have a row each a day instead
# of one for each model they used, an hour has a row for each provider instead of each agent, model and status.
PROVIDER = Rollup("provider", ("hour", "day"), ("provider",), USAGE_MEASURES, wide=USAGE)
SPENDER = Rollup("spender", ("hour", "day"), ("customer_id", "user_id"), NARROW_MEASURES, wide=CUSTOMER)
NARROWED = (PROVIDER, SPENDER)
FAMILIES = (*ROLLUPS, *NARROWED)
# Whatever the refresher builds, in the order it can be built in: each level is summed from one before it.
BUILT: tuple[tuple[Rollup, Level], ...] = tuple(
    sorted(
        ((rollup, level) for rollup in FAMILIES for level in rollup.built_levels),
        key=lambda pair: LEVEL_SECONDS[pair[1]],
    )
)

# Buckets grow by 2 ** (1 / 4): a percentile read from them is at most 19 % above the true one. 0 holds latency 0..1 ms.
LATENCY_BUCKETS_PER_DOUBLING = 4
LATENCY_BUCKET_MAX = 96


def latency_bound_ms(bucket: int) -> float:
    """Upper bound in milliseconds, inclusive, of a latency bucket 0..LATENCY_BUCKET_MAX."""
    return float(2.0 ** (bucket / LATENCY_BUCKETS_PER_DOUBLING))
