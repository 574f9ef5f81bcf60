"""Brings a database to the newest schema: `python -m deploy.timescale.migrate`, or `migrate(dsn)`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from deploy.timescale.isolation import database_statements

# Two migrations at once would race; the second waits here and then finds nothing to do.
_MIGRATION_LOCK = 720_301


def migrate(dsn: str, revision: str = "head") -> None:
    """Upgrades the database at `dsn` (postgresql://…). Safe to call again and from several places at once.

    Raises sqlalchemy.exc.OperationalError when the database can't be reached.
    """
    url = make_url(dsn).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        if revision == "head":
            for statement in database_statements():
                connection.execute(text(statement.replace(":", "\\:")))
        connection.commit()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
        connection.commit()


if __name__ == "__main__":
    if not os.environ.get("SPENDSTREAM_DATABASE_DSN"):
        sys.exit("SPENDSTREAM_DATABASE_DSN isn't set")
    migrate(os.environ["SPENDSTREAM_DATABASE_DSN"])
