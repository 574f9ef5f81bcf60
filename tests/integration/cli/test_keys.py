"""`spendstream keys` on the real database: what it makes is known to the doors, what it revokes is not."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg_pool import AsyncConnectionPool

from services.cli.main import main
from services.contracts.keys import Principal
from services.runtime.keys import KeyStore


@pytest.fixture
def run(database: str) -> Any:  # noqa: ANN401
    def run(*arguments: str, code: int = 0) -> Result:
        done = CliRunner().invoke(main, ["keys", *arguments], env={"SPENDSTREAM_DATABASE_DSN": database})
        assert done.exit_code == code, (done.output, done.exception)
        return done

    return run


async def whose(dsn: str, key: str) -> Principal | None:
    async with AsyncConnectionPool(dsn, min_size=1, max_size=1, open=False) as pool:
        return await KeyStore(pool, None).authenticate(key)


async def test_a_key_made_here_works_and_is_nowhere_else(run: Any, database: str) -> None:  # noqa: ANN401
    made = json.loads(run("create", "--role", "ingest", "--tenant", "acme", "--name", "billing", "--json").stdout)
    assert await whose(database, made["key"]) == Principal(made["id"], "billing", "ingest", "acme")
    assert made["key"] not in run("list", "--json").stdout + run("list").stdout
    with psycopg.connect(database) as connection:
        log = connection.execute("SELECT action, target, detail::text FROM admin_log").fetchall()
    assert [(action, target) for action, target, _ in log] == [("key.create", made["id"])]
    assert made["key"] not in str(log)


async def test_a_revoked_key_is_nobodys_and_stays_on_the_list_of_revoked_ones(run: Any, database: str) -> None:  # noqa: ANN401
    key = run("create", "--role", "viewer").stdout.strip()
    found = await whose(database, key)
    assert found is not None and found.tenant_id is None
    assert run("revoke", found.key_id).exit_code == 0
    assert await whose(database, key) is None
    assert found.key_id not in run("list").stdout
    listed = {each["id"]: each for each in json.loads(run("list", "--revoked", "--json").stdout)["keys"]}
    assert listed[found.key_id]["revoked_at"]
    assert "or it is revoked" in run("revoke", found.key_id, code=1).stderr


async def test_of_several_keys_all_are_revoked_or_none(run: Any, database: str) -> None:  # noqa: ANN401
    key = run("create", "--role", "admin").stdout.strip()
    found = await whose(database, key)
    assert found is not None
    assert "no key no-uuid" in run("revoke", found.key_id, "no-uuid", code=1).stderr
    assert await whose(database, key) == found


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--role", "ingest"), "needs a --tenant"),
        (("--role", "admin", "--tenant", "acme"), "leave --tenant out"),
        (("--role", "root"), "root"),
        (("--role", "viewer", "--name", "a\0b"), "--name"),
        ((), "--role"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_line(run: Any, arguments: tuple[str, ...], complaint: str) -> None:  # noqa: ANN401
    said = run("create", *arguments, code=2).stderr
    assert complaint in said
    assert said.count("\n") == 1
