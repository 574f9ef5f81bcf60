from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.cli.running import FILE_NAME, find_running
from services.cli.up_plan import (
    DEFAULT_PORTS,
    Connections,
    Ports,
    banner,
    environment,
    moved_ports,
    running_record,
    services,
)
from services.runtime.supervision import Stage

PORTS = Ports(**DEFAULT_PORTS)
HOME = Path("/data/spendstream")
CONNECTIONS = Connections(
    "postgresql://u:p@127.0.0.1:5432/d", "127.0.0.1:9092", "sps_key", "session-secret", "whsec_x", "address-key", None
)


def test_every_service_of_the_contract_runs_and_says_when_it_is_ready() -> None:
    planned = {service.name: service for service in services(PORTS)}
    assert set(planned) == {"gateway", "processor", "query", "alerting"}
    assert all(service.ready_port for service in planned.values())
    assert planned["gateway"].stage == Stage.DOORS


def test_children_are_told_where_everything_is() -> None:
    settings = environment(PORTS, CONNECTIONS, HOME, demo=False)
    assert settings["SPENDSTREAM_DATABASE_DSN"] == CONNECTIONS.database_dsn
    assert settings["SPENDSTREAM_QUERY_URL"] == "http://127.0.0.1:8000"
    assert settings["SPENDSTREAM_WEBHOOK_SECRET"] == "whsec_x"
    assert "SPENDSTREAM_SLACK_WEBHOOK" not in settings


def test_the_demos_receiver_takes_the_alerts_unless_a_webhook_is_given() -> None:
    assert environment(PORTS, CONNECTIONS, HOME, demo=True)["SPENDSTREAM_SLACK_WEBHOOK"].startswith("http://127.0.0.1:")
    given = Connections("d", "k", "a", "s", "w", "x", slack_webhook="https://example.test/hook")
    assert environment(PORTS, given, HOME, demo=True)["SPENDSTREAM_SLACK_WEBHOOK"] == "https://example.test/hook"


def test_a_port_that_moved_is_said_and_one_that_was_asked_for_is_not() -> None:
    moved = Ports(**{**DEFAULT_PORTS, "query": 8001, "gateway": 9999})
    assert moved_ports(moved, asked=frozenset({"gateway"})) == ["Port 8000 is in use, so the page is at 8001."]
    assert moved_ports(PORTS, asked=frozenset()) == []


def test_the_banner_has_the_link_the_key_and_how_to_stop() -> None:
    text = banner(PORTS, "http://127.0.0.1:8000/sign-in?token=t", "sps_key", HOME, 9.46, demo=True)
    for expected in ("/sign-in?token=t", "sps_key", "9.5 s", "Ctrl-C", str(HOME), "8090"):
        assert expected in text


def test_other_commands_find_what_is_running(tmp_path: Path) -> None:
    record = running_record(PORTS, CONNECTIONS, pid=1, demo=True)
    (tmp_path / FILE_NAME).write_text(json.dumps(record))
    running = find_running(tmp_path)
    assert running is not None
    assert running.urls["gateway"] == "http://127.0.0.1:8080"
    assert running.admin_key == "sps_key"


@pytest.mark.parametrize("text", [None, "", "{}", "[1]", '{"pid": 999999999}'])
def test_nothing_is_found_where_nothing_runs(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / FILE_NAME).write_text(text)
    assert find_running(tmp_path) is None


def test_what_a_killed_process_left_is_not_taken_for_running(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps(running_record(PORTS, CONNECTIONS, pid=999_999_999, demo=True)))
    assert find_running(tmp_path) is None
