"""Every metric of the processor."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("spendstream_processor_events_total", "Events by what became of them.", ["outcome"])
DEAD = Counter("spendstream_processor_dead_events_total", "Dead-lettered events by reason.", ["reason"])
FLUSH_SECONDS = Histogram("spendstream_processor_flush_seconds", "Time of a flush by stage.", ["stage"])
FLUSH_EVENTS = Histogram(
    "spendstream_processor_flush_events",
    "Events in a flush.",
    buckets=(1, 10, 100, 1_000, 5_000, 10_000, 20_000, 40_000),
)
LAG = Gauge("spendstream_processor_lag_messages", "Messages of an owned partition not yet applied.", ["partition"])
STILL_SECONDS = Gauge(
    "spendstream_processor_still_seconds",
    "For how long a partition has messages waiting and none counted.",
    ["partition"],
)
PROGRESS_AT = Gauge(
    "spendstream_processor_progress_timestamp_seconds",
    "When this worker last reached broker and database for its progress, as Unix time.",
)
HALTED = Gauge("spendstream_processor_halted", "1 while the stream is stopped because nearly all was bad.")
REFRESHED = Counter("spendstream_processor_refreshed_buckets_total", "Rollup buckets rebuilt.", ["level"])
MERGED = Counter("spendstream_processor_merged_rows_total", "Rows of rollups put together with others.", ["table"])
SPIKES = Counter("spendstream_processor_spikes_total", "Spikes seen.", ["rule"])
HEALED = Counter("spendstream_processor_healed_events_total", "Unpriced events that were given a price later.")
BOOK_REFUSED = Gauge("spendstream_processor_price_book_refused", "1 while the file's price book is refused as wrong.")
