"""Starts the embedded broker and database together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from services.runtime.embedded.home import Home
from services.runtime.embedded.kafka import EmbeddedKafka
from services.runtime.embedded.postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from services.runtime.children import Process


@dataclass(frozen=True, slots=True)
class Backends:
    """Where the broker and the database are: `host:port`, and a DSN with the owner's password in it."""

    kafka_bootstrap: str
    database_dsn: str


class EmbeddedBackends:
    """A broker and a database in one data folder; a context manager.

    `start` may be called from the thread that will live as long as they should: they end with it.
    """

    def __init__(self, home: Home | Path, *, kafka: bool = True, postgres: bool = True) -> None:
        self._owns_home = isinstance(home, Path)
        self.home = Home(home) if isinstance(home, Path) else home
        self._wants_kafka = kafka
        self._wants_postgres = postgres
        self.kafka: EmbeddedKafka | None = None
        self.postgres: EmbeddedPostgres | None = None

    @property
    def processes(self) -> dict[str, Process]:
        """The running children by name."""
        parts = {"kafka": self.kafka, "postgres": self.postgres}
        return {name: part.process for name, part in parts.items() if part is not None and part.process is not None}

    def start(self) -> Backends:
        """Start both at the same time and return when both answer.

        Raises:
            HomeError: the data folder is in use or incomplete.
            StartError: one of them didn't start; neither is left running.
            JarsError: the broker's jars are missing or wrong.
        """
        if self._owns_home:
            self.home.open()
        try:
            return self._start_parts()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the broker, then the database, and let go of the folder."""
        for part in (self.kafka, self.postgres):
            if part is not None:
                part.stop()
        self.kafka = self.postgres = None
        if self._owns_home:
            self.home.close()

    def __enter__(self) -> Backends:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _start_parts(self) -> Backends:
        self.kafka = EmbeddedKafka(self.home) if self._wants_kafka else None
        self.postgres = EmbeddedPostgres(self.home) if self._wants_postgres else None
        # The slower one first at each step.
        parts = [part for part in (self.kafka, self.postgres) if part is not None]
        for part in parts:
            part.begin()
        for part in reversed(parts):
            part.launch()
        for part in reversed(parts):
            part.wait_ready()
        return Backends(
            kafka_bootstrap=self.kafka.bootstrap if self.kafka else "",
            database_dsn=self.postgres.dsn if self.postgres else "",
        )
