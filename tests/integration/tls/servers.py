"""A broker and a database that speak TLS only (the broker: on the listener that is tested)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from services.runtime.children import spawn, stop
from services.runtime.embedded.home import Home
from services.runtime.embedded.kafka import EmbeddedKafka
from services.runtime.embedded.reach import database_user
from tests.integration.processor.running import free_port
from tests.integration.tls.certificates import HOST, Server

USER = "spendstream"
PASSWORD = "a password that no log may have"
_LOGIN = "org.apache.kafka.common.security"
_DEBIAN = Path("/usr/lib/postgresql")


class SecureKafka(EmbeddedKafka):
    """The embedded broker with one more listener: SASL over TLS, with SCRAM and PLAIN."""

    def __init__(self, home: Home, server: Server) -> None:
        super().__init__(home)
        self._folder = home.path
        self._server = server
        self.secure_port = free_port()

    @property
    def secure_bootstrap(self) -> str:
        return f"{HOST}:{self.secure_port}"

    def begin(self) -> None:
        super().begin()
        file = self._folder / "kafka.properties"
        settings = dict(line.split("=", 1) for line in file.read_text().splitlines())
        secure = {
            "listeners": f"{settings['listeners']},SECURE://127.0.0.1:{self.secure_port}",
            "advertised.listeners": f"{settings['advertised.listeners']},SECURE://{self.secure_bootstrap}",
            "listener.security.protocol.map": f"{settings['listener.security.protocol.map']},SECURE:SASL_SSL",
            "listener.name.secure.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "listener.name.secure.scram-sha-512.sasl.jaas.config": f"{_LOGIN}.scram.ScramLoginModule required;",
            "listener.name.secure.plain.sasl.jaas.config": (
                f'{_LOGIN}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
            ),
            "listener.name.secure.ssl.keystore.type": "PEM",
            "listener.name.secure.ssl.keystore.location": str(self._server.both),
        }
        file.write_text("".join(f"{name}={value}\n" for name, value in {**settings, **secure}.items()))

    def add_user(self) -> None:
        """The SCRAM user, by way of the plain listener."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        client = AdminClient({"bootstrap.servers": self.bootstrap})
        wanted: list[UserScramCredentialAlteration] = [UserScramCredentialUpsertion(USER, info, PASSWORD.encode())]
        for future in client.alter_user_scram_credentials(wanted).values():
            future.result(30)


@contextmanager
def secure_kafka(home: Path, server: Server) -> Iterator[SecureKafka]:
    with Home(home) as opened:
        kafka = SecureKafka(opened, server)
        try:
            kafka.begin()
            kafka.launch()
            kafka.wait_ready()
            kafka.add_user()
            yield kafka
        finally:
            kafka.stop()


def postgres_programs() -> Path | None:
    """Of a PostgreSQL that is built with TLS: the embedded one is not, a distribution's is."""
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def secure_postgres(folder: Path, programs: Path, server: Server) -> Iterator[str]:
    """A server that lets nobody in without TLS; the DSN of its superuser, who is to be verified with `sslmode`."""
    user = database_user()
    data = folder / "pgdata"
    data.mkdir(mode=0o700)
    password_file = folder / "pgpassword"
    password_file.write_text(PASSWORD)
    key = shutil.copy(server.key, folder / "pg.key")
    for path in (data, password_file, Path(key)):
        path.chmod(path.stat().st_mode & 0o700)
        if user is not None:
            os.chown(path, user.uid, user.gid)
    port = free_port()
    initdb = [programs / "initdb", "-D", data, "-U", USER, f"--pwfile={password_file}", "-A", "scram-sha-256", "-E",
              "UTF8", "--locale=C", "--no-sync"]  # fmt: skip
    with (folder / "postgres.log").open("ab") as log:
        assert spawn([str(part) for part in initdb], output=log, user=user, folder=data).wait(60) == 0, "initdb"
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        options = {
            "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "ssl": "on",
            "ssl_key_file": key, "ssl_cert_file": server.certificate, "fsync": "off",
        }  # fmt: skip
        command = [str(programs / "postgres"), "-D", str(data)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        process = spawn(command, output=log, user=user, folder=data, death_signal=signal.SIGINT)
    dsn = f"postgresql://{USER}:{PASSWORD.replace(' ', '%20')}@{HOST}:{port}/postgres"
    try:
        _wait_for(dsn, process)
        yield dsn
    finally:
        stop(process, stop_signal=signal.SIGINT)


def _wait_for(dsn: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert process.poll() is None, "the server ended; see postgres.log"
        try:
            psycopg.connect(dsn, sslmode="require").close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the server took too long")
