"""What C libraries (librdkafka, gRPC) write to stderr past Python's logging, as lines of the log like all others."""

from __future__ import annotations

import os
import sys
import threading
from types import TracebackType

import structlog

log = structlog.get_logger("stderr")
_STDERR = 2


def adopt_stderr() -> None:
    """Python itself writes on to the real stderr; what else comes there is logged as a warning, a line each.

    Errors that nobody catches are logged too, with their traceback.
    """
    real = os.dup(_STDERR)
    read, write = os.pipe()
    os.dup2(write, _STDERR)
    os.close(write)
    # Whoever writes may hold the interpreter's lock: rather a line lost than one waiting for the thread that reads it.
    os.set_blocking(_STDERR, False)
    sys.stderr = open(real, "w", buffering=1, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
    threading.Thread(target=_log_lines, args=(read,), name="stderr", daemon=True).start()
    sys.excepthook = _uncaught
    threading.excepthook = lambda thrown: _uncaught(thrown.exc_type, thrown.exc_value, thrown.exc_traceback)


def _log_lines(descriptor: int) -> None:
    with open(descriptor, "rb") as lines:
        for line in lines:
            text = line.decode(errors="replace").strip()
            if text:
                log.warning(text)


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt | SystemExit) and error is not None:
        log.critical("uncaught", error=f"{kind.__name__}: {error}", exc_info=(kind, error, trace))
