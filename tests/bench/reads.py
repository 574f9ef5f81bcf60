"""How fast questions are answered from months of events: 20,000,000 over 90 days, and a quarter of that beside.

Each endpoint a page calls, lists, details, pages, first paint and the export, of one query process over HTTP; and that
time grows with the buckets asked for and not with the events stored. `--keep FOLDER` keeps the databases for the next
time.
"""

from __future__ import annotations

import http.client
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson
import psycopg
from psycopg import sql

from deploy.timescale.migrate import migrate
from services.audit.engine import Question as Audit
from services.audit.engine import run_audit
from services.contracts.signin import OPERATOR, make_signin_token
from services.runtime.embedded.backends import EmbeddedBackends
from tests.backends import temporary_home, with_database
from tests.bench.reads_questions import Question, questions
from tests.bench.reads_store import TENANTS, generate
from tests.bench.resources import peak_megabytes
from tests.bench.services import ADMIN_KEY, free_port, running, wait_ready
from tests.e2e.pages.browser import running_browser

_ASKED: Final = 10
_WARM: Final = 3
_SECRET: Final = "the secret of the benchmark's sessions"
_EXPORT_DAYS: Final = 3
_AUDIT_SECONDS: Final = 40.0
# Of large, middling and small ones.
_ASKED_OF: Final = ("tenant-01", "tenant-02", "tenant-05", "tenant-10", "tenant-20")


@dataclass(frozen=True, slots=True)
class Server:
    """A query process on one database."""

    port: int
    pid: int
    viewers: dict[str, str]

    def get(self, connection: http.client.HTTPConnection, path: str, key: str = ADMIN_KEY) -> bytes:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, answer.status, body[:300])
        return body

    def key_for(self, question: Question, path: str) -> str:
        if not question.by_viewer:
            return ADMIN_KEY
        return next(key for tenant, key in self.viewers.items() if tenant in path)


def measure(counts: list[int], keep: Path | None, asked: int = 30) -> Iterator[str]:
    """Lines of Markdown; generates first what is not there."""
    with ExitStack() as stack:
        home = keep or stack.enter_context(temporary_home())
        home.mkdir(parents=True, exist_ok=True)
        backends = stack.enter_context(EmbeddedBackends(home, kafka=False))
        dsns = {count: _database(backends.database_dsn, count) for count in counts}
        figures: dict[int, dict[str, list[float]]] = {}
        for count, dsn in dsns.items():
            with _serving(dsn) as server:
                figures[count] = dict(_answered(server, asked))
                if count == max(counts):
                    yield from _table(figures[count], count)
                    yield from _paints(server)
                    yield from _export(server)
                yield from _buckets(server, count)
            if count == max(counts):
                yield from _audits(dsn)
        if len(counts) > 1:
            yield from _beside(figures)


def generate_only(counts: list[int], keep: Path) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    with EmbeddedBackends(keep, kafka=False) as backends:
        for count in counts:
            _database(backends.database_dsn, count)


def _database(server_dsn: str, events: int) -> str:
    name = f"reads_{events}"
    dsn = with_database(server_dsn, name)
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if there and _is_complete(dsn, events):
            # Made by an earlier version, perhaps.
            migrate(dsn)
            return dsn
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate(dsn)
    began = time.monotonic()
    generate(
        dsn,
        events,
        datetime.now(UTC),
        lambda said: print(f"{events:,}: {said}, {time.monotonic() - began:.0f} s", flush=True),
    )
    return dsn


def _is_complete(dsn: str, events: int) -> bool:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT to_regclass('ledger'), current_database()").fetchone()
        if row is None or row[0] is None:
            return False
        found = connection.execute("SELECT counted FROM ledger").fetchone()
        return found is not None and found[0] == events


@contextmanager
def _serving(dsn: str) -> Iterator[Server]:
    port = free_port()
    settings = {
        **os.environ, "SPENDSTREAM_DATABASE_DSN": dsn, "SPENDSTREAM_QUERY_PORT": str(port),
        "SPENDSTREAM_ADMIN_KEY": ADMIN_KEY, "SPENDSTREAM_SESSION_SECRET": _SECRET,
    }  # fmt: skip
    with running("services.query.main", settings, port) as started:
        wait_ready(started)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        viewers = {tenant: _viewer(connection, tenant) for tenant in _ASKED_OF}
        yield Server(port, started.process.pid, viewers)


def _viewer(connection: http.client.HTTPConnection, tenant: str) -> str:
    body = orjson.dumps({"role": "viewer", "tenant_id": tenant, "name": "bench"})
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}
    connection.request("POST", "/api/v1/keys", body, headers)
    made: str = orjson.loads(connection.getresponse().read())["data"]["key"]
    return made


def _answered(server: Server, asked: int) -> Iterator[tuple[str, list[float]]]:
    """Milliseconds of each question, asked one after the other, over a connection that stays open."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for question in questions(lambda path: orjson.loads(server.get(connection, path)), _ASKED_OF):
        for path in question.paths[:: max(1, len(question.paths) // _WARM)]:
            server.get(connection, path, server.key_for(question, path))
        times = [_timed(server, connection, question, n) for n in range(asked)]
        print(f"{question.name}: {_p95(times):.0f} ms", file=sys.stderr, flush=True)
        yield _label(question), times


def _label(question: Question) -> str:
    return f"{question.limit_ms or ''}|{question.name}"


def _timed(server: Server, connection: http.client.HTTPConnection, question: Question, number: int) -> float:
    path = question.paths[number % len(question.paths)]
    key = server.key_for(question, path)
    began = time.perf_counter()
    server.get(connection, path, key)
    return (time.perf_counter() - began) * 1_000


def _p95(times: list[float]) -> float:
    return sorted(times)[int(0.95 * (len(times) - 1) + 0.5)]


def _table(found: dict[str, list[float]], events: int) -> Iterator[str]:
    asked = len(next(iter(found.values())))
    yield f"{events:,} events of {TENANTS} tenants over 90 days, each question {asked} times, one after the other:\n"
    yield "| what | p50 ms | p95 ms | at most ms | wanted ms | |"
    yield "|---|---:|---:|---:|---:|---|"
    for label, times in found.items():
        limit, _, name = label.partition("|")
        held = "" if not limit else "holds" if _p95(times) <= int(limit) else "**no**"
        yield f"| {name} | {statistics.median(times):.0f} | {_p95(times):.0f} | {max(times):.0f} | {limit} | {held} |"


def _paints(server: Server) -> Iterator[str]:
    """First contentful paint with nothing cached, as the browser tells it."""
    yield "\n| page | first contentful paint ms, p50 of 5 | at most |\n|---|---:|---:|"
    with running_browser() as browser:
        for path in (
            "/",
            f"/?tenant={_ASKED_OF[0]}&range=30d",
            f"/usage/{_ASKED_OF[0]}",
            "/orgs",
            "/features/chat",
            "/runs",
        ):
            times = []
            for _ in range(5):
                with browser.new_context() as context:
                    tab = context.new_page()
                    link = (
                        f"/sign-in?token={make_signin_token(_SECRET, datetime.now(UTC), OPERATOR)}&next=/docs/start.js"
                    )
                    tab.goto(f"http://127.0.0.1:{server.port}{link}")
                    tab.goto(f"http://127.0.0.1:{server.port}{path}")
                    # Not in the page: its policy forbids evaluating.
                    while not tab.evaluate("performance.getEntriesByName('first-contentful-paint').length"):
                        tab.wait_for_timeout(20)
                    times.append(
                        float(tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
                    )
            yield f"| {path} | {statistics.median(times):.0f} | {max(times):.0f} |"


def _export(server: Server) -> Iterator[str]:
    today = datetime.now(UTC).date()
    first, last = today - timedelta(days=_EXPORT_DAYS), today - timedelta(days=1)
    path = f"/api/v1/admin/llm-costs/export?startDate={first}&endDate={last}"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    before = peak_megabytes(server.pid)
    began = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": f"Bearer {ADMIN_KEY}"})
    answer = connection.getresponse()
    lines, began_after = 0, 0.0
    while block := answer.read1(1 << 16):
        began_after = began_after or time.perf_counter() - began
        lines += block.count(b"\n")
    took = time.perf_counter() - began
    rows = lines - 1
    yield (
        f"\nExport of {rows:,} rows: {rows / took:,.0f} rows/s, the first after {began_after * 1_000:.0f} ms; the "
        f"query process had {before:.0f} MB before and {peak_megabytes(server.pid):.0f} MB at most."
    )


def _buckets(server: Server, events: int) -> Iterator[str]:
    """The same question over more and more buckets."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    yield f"\n{events:,} events: costs of tenant-01 by hour and provider.\n\n| hours | p50 ms |\n|---:|---:|"
    for days in (1, 3, 10, 30, 90):
        start = datetime.now(UTC).date() - timedelta(days=days)
        end = datetime.now(UTC).date()
        path = "/api/v1/costs?granularity=hour&group_by=provider&filter[tenant_id]=tenant-01&limit=1000"
        path += f"&from={start}&to={end}"
        asked = Question("", None, (path,))
        times = [_timed(server, connection, asked, 0) for _ in range(_ASKED)]
        yield f"| {days * 24} | {statistics.median(times):.0f} |"


def _audits(dsn: str) -> Iterator[str]:
    """The first looks at all that is there, none of which was ever audited."""
    with psycopg.connect(dsn, autocommit=True, options="-c timezone=UTC") as connection:
        connection.execute("TRUNCATE audit_checkpoint, audit_left_off")
        yield f"\nAudits that end after about {_AUDIT_SECONDS:.0f} s.\n"
        yield "| | s | hours compared | known from before | days not looked at this time |\n|---|---:|---:|---:|---:|"
        for name in ("first", "second", "third"):
            report = run_audit(connection, Audit(seconds_max=_AUDIT_SECONDS))
            assert report.holds, report.differences[:5]
            left = sum(((span.end - span.start).days for span in report.left), 0)
            yield f"| {name} | {report.seconds:.1f} | {report.hours_checked:,} | {report.hours_known:,} | {left} |"


def _beside(figures: dict[int, dict[str, list[float]]]) -> Iterator[str]:
    few, many = min(figures), max(figures)
    yield f"\nThe same questions of {few:,} and of {many:,} events, p50 ms:\n"
    yield f"| what | {few:,} | {many:,} | times |\n|---|---:|---:|---:|"
    for label, times in figures[many].items():
        if label in figures[few] and label.partition("|")[0]:
            a, b = statistics.median(figures[few][label]), statistics.median(times)
            yield f"| {label.partition('|')[2]} | {a:.0f} | {b:.0f} | {b / a:.1f} |"
