"""What the embedded broker is told: its settings, its logging, its command line. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_RETENTION_BYTES = 1024**3
_SEGMENT_BYTES = 128 * 1024**2
_HEAP = "256m"


def server_properties(data: Path, broker_port: int, controller_port: int) -> Mapping[str, str]:
    """Settings of a single node that is broker and controller, on the loopback interface only.

    Retention is by size alone (1 GiB a partition): a folder that was left for months still has its newest events.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "BROKER",
        "listeners": f"BROKER://127.0.0.1:{broker_port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"BROKER://127.0.0.1:{broker_port}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        "log.message.timestamp.type": "LogAppendTime",
        "log.retention.ms": "-1",
        "log.retention.bytes": str(_RETENTION_BYTES),
        "log.segment.bytes": str(_SEGMENT_BYTES),
        "message.max.bytes": str(MAX_MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
        # The cleaner's default buffer, 128 MB, would take half of the heap.
        "log.cleaner.dedupe.buffer.size": str(16 * 1024**2),
        # A broker that was killed is let back in only when its session of before is over.
        "broker.session.timeout.ms": "5000",
        "broker.heartbeat.interval.ms": "1000",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
    }


def to_properties(settings: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def logging_properties(log: Path) -> str:
    """Log4j 2 settings: everything from INFO into one rolling file, nothing on the console."""
    return f"""\
status=error
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName={log}
appender.file.filePattern={log}.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{{ISO8601}} %-5p %m (%c{{1}})%n
appender.file.policy.type=SizeBasedTriggeringPolicy
appender.file.policy.size=10MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=3
rootLogger.level=info
rootLogger.appenderRef.file.ref=file
"""


def java_command(
    java: Path, classpath: Sequence[Path], logging_file: Path, archive_options: Sequence[str] = ()
) -> list[str]:
    """The start of a command line; the main class and its arguments follow."""
    return [
        str(java),
        f"-Xmx{_HEAP}",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        *archive_options,
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={logging_file}",
        "-cp",
        ":".join(str(path) for path in classpath),
    ]
