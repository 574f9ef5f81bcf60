"""The processor's settings, from `SPENDSTREAM_*` in the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

import pricing
from services.contracts.retention import Retention
from services.contracts.topics import DEAD_LETTER, SPEND_SPIKES, USAGE_EVENTS
from services.runtime.kafka_settings import KafkaSecuritySettings


class ProcessorSettings(KafkaSecuritySettings):
    """Read once by main."""

    model_config = SettingsConfigDict(env_prefix="SPENDSTREAM_", frozen=True)

    database_dsn: str
    kafka_bootstrap: str
    processor_host: str = "127.0.0.1"
    processor_port: int = 8090
    consumer_group: str = "spendstream-processor"
    price_book: Path = Path(pricing.__file__).with_name("price_book.yaml")
    # Other names than the product's are for tests that share a broker.
    usage_topic: str = USAGE_EVENTS.name
    dead_letter_topic: str = DEAD_LETTER.name
    spikes_topic: str = SPEND_SPIKES.name
    # Messages of up to 500 events that are taken at once, and how long a take waits for more. Large messages fill a
    # flush by their bytes; of small ones several full takes are one, while they are less than `lanes_bytes_min`.
    flush_messages_max: int = 160
    flush_bytes_max: int = 5_000_000
    # So many flushes, of different partitions, are stored at the same time where that many bytes are waiting together.
    store_lanes: int = Field(2, ge=1, le=8)
    lanes_bytes_min: int = 1_000_000
    flush_linger_seconds: float = 0.1
    refresh_seconds: float = 2.0
    # How often rows of the rollups that flushes added are looked at to be merged.
    merge_seconds: float = 2.0
    # Buckets close this long after they end, so that the usual stragglers need no refresh.
    close_after_seconds: int = 120
    session_timeout_seconds: float = 10.0
    # Messages waiting and none counted for this long: the process ends and is started again.
    stuck_seconds: float = 90.0
    # A name that is this worker's alone and stays over restarts: the group then hands a restarted worker its partitions
    # back at once instead of waiting for the session of the dead one to time out. Empty: no such promise is made.
    processor_instance: str = ""
    log_level: str = "info"
    # Days each level is kept (`services.contracts.retention`).
    retention_raw_days: int | None = 120
    retention_minute_days: int | None = 120
    retention_quarter_days: int | None = 400
    retention_hour_days: int | None = 1_100
    retention_run_days: int | None = 400

    @model_validator(mode="after")
    def _keeps_enough(self) -> ProcessorSettings:
        self.retention()
        return self

    def retention(self) -> Retention:
        """Raises ValueError for settings that would lose something."""
        return Retention(
            raw_days=self.retention_raw_days,
            minute_days=self.retention_minute_days,
            quarter_days=self.retention_quarter_days,
            hour_days=self.retention_hour_days,
            run_days=self.retention_run_days,
        )
