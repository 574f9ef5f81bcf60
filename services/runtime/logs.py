"""Structured logs: one JSON object a line on stderr, the libraries' logs too, secrets blotted out."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from services.runtime.foreign_output import adopt_stderr

_BLOT = "***"
_SECRET_NAME = re.compile(r"(?i)(^|_)(key|secret|password|token|authorization|dsn|webhook|webhook_url)$")
_SECRET_TEXT = (
    (re.compile(r"sps_[A-Za-z0-9_-]{8,}"), "sps_" + _BLOT),
    (re.compile(r"(?i)\b(bearer) +[^\s\"']+"), rf"\1 {_BLOT}"),
    (re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), rf"\1:{_BLOT}@"),
    (re.compile(r"(?i)\b(password=)\S+"), rf"\1{_BLOT}"),
    (re.compile(r"https://hooks\.slack\.com/\S+"), f"https://hooks.slack.com/{_BLOT}"),
)


def redact_text(text: str) -> str:
    """`text` without API keys, bearer tokens, passwords of DSNs and Slack webhooks."""
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    return text


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401
    """A structlog processor: blots out secrets by the field's name and by how the value looks."""
    for name, value in event.items():
        if _SECRET_NAME.search(name) and value:
            event[name] = _BLOT
        elif isinstance(value, str):
            event[name] = redact_text(value)
    return event


def configure_logging(service: str, level: str = "info") -> None:
    """Sets up this process's logs; `service` stands on every line. Call once, from main."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )

    def add_service(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401
        event["service"] = service
        return event

    adopt_stderr()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                add_service,
                redact,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
