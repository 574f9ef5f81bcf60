"""What operator commands share: where the backends are, one-line errors, and the admin log."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import click
import orjson
import psycopg
from confluent_kafka import KafkaException
from pydantic import ValidationError

from services.cli.running import find_running
from services.contracts.topics import DEAD_LETTER, USAGE_EVENTS
from services.runtime.embedded.home import default_home
from services.runtime.kafka_settings import PLAINTEXT, KafkaSecurity, KafkaSecuritySettings

EXIT_FAILED = 1
T = TypeVar("T")


class Refused(Exception):
    """The command can't or won't do it; the message says why in a line."""


@dataclass(frozen=True, slots=True)
class Place:
    """The broker and the database that a command works on."""

    database_dsn: str
    kafka_bootstrap: str
    usage_topic: str
    dead_letter_topic: str
    security: KafkaSecurity = PLAINTEXT

    def kafka(self, **more: str | int | bool) -> dict[str, str | int | float | bool]:
        """A client's configuration; `more` names settings with _ for their dots. The library itself keeps quiet."""
        settings = {name.replace("_", "."): value for name, value in more.items()}
        return {**self.security.client_config(self.kafka_bootstrap), "log_level": 0, **settings}


def find_place(environment: Mapping[str, str] = os.environ, *, broker: bool = True) -> Place:
    """The one the environment names (SPENDSTREAM_DATABASE_DSN, SPENDSTREAM_KAFKA_BOOTSTRAP), else the one that
    `spendstream up` runs here; raises Refused. Without `broker` the database alone is enough."""
    dsn = environment.get("SPENDSTREAM_DATABASE_DSN", "")
    bootstrap = environment.get("SPENDSTREAM_KAFKA_BOOTSTRAP", "")
    if bool(dsn) != bool(bootstrap) and (broker or not dsn):
        raise Refused("set both SPENDSTREAM_DATABASE_DSN and SPENDSTREAM_KAFKA_BOOTSTRAP, or neither")
    if not dsn:
        running = find_running(default_home())
        if running is None:
            raise Refused(
                "Spendstream isn't running here; start it, "
                "or set SPENDSTREAM_DATABASE_DSN and SPENDSTREAM_KAFKA_BOOTSTRAP"
            )
        dsn, bootstrap = running.database_dsn, running.kafka_bootstrap
    return Place(
        dsn,
        bootstrap,
        environment.get("SPENDSTREAM_USAGE_TOPIC", USAGE_EVENTS.name),
        environment.get("SPENDSTREAM_DEAD_LETTER_TOPIC", DEAD_LETTER.name),
        KafkaSecuritySettings().kafka_security,
    )


def complaining(command: str, work: Callable[[Place], T], *, broker: bool = True) -> T:
    """Runs `work`; what goes wrong becomes one line on stderr and exit code 1."""
    try:
        return work(find_place(broker=broker))
    except Refused as error:
        _fail(command, str(error))
    except ValidationError as error:
        _fail(command, str(error.errors()[0]["msg"]))
    except psycopg.Error as error:
        _fail(command, f"the database: {str(error).strip() or type(error).__name__}")
    except KafkaException as error:
        _fail(command, f"the broker: {error.args[0].str()}")


def _fail(command: str, message: str) -> NoReturn:
    click.echo(f"spendstream {command}: {' '.join(message.split())}", err=True)
    sys.exit(EXIT_FAILED)


def write_admin_log(
    connection: psycopg.Connection[Any], action: str, target: str, detail: Mapping[str, object]
) -> None:
    """Notes a command in the connection's transaction, under the name of who runs it."""
    connection.execute(
        "INSERT INTO admin_log (actor_key_id, actor_name, action, target, detail) "
        "VALUES ('command line', %s, %s, %s, %s)",
        (_actor(), action, target, json.dumps(detail)),
    )


def _actor() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def show_json(value: object) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
