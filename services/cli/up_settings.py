"""Settings of `spendstream up`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.contracts.signin import SECRET_CHARACTERS_MIN
from services.runtime.kafka_settings import KafkaSecuritySettings

Port = Annotated[int, Field(ge=1, le=65_535)]


class UpSettings(KafkaSecuritySettings):
    """Read from `SPENDSTREAM_*`. A port that is given is used or refused; one that isn't may move when busy."""

    model_config = SettingsConfigDict(env_prefix="SPENDSTREAM_", frozen=True, env_ignore_empty=True)

    home: Path = Path("~/.local/share/spendstream")
    admin_key: Annotated[SecretStr, Field(min_length=1)] | None = None
    session_secret: Annotated[SecretStr, Field(min_length=SECRET_CHARACTERS_MIN)] | None = None
    query_port: Port | None = None
    gateway_port: Port | None = None
    grpc_port: Port | None = None
    processor_port: Port | None = None
    alerting_port: Port | None = None
    demo_port: Port | None = None
    database_dsn: SecretStr | None = None
    kafka_bootstrap: str | None = None
    webhook_secret: SecretStr | None = None
    address_key: SecretStr | None = None
    slack_webhook: SecretStr | None = None
    demo: bool = True

    @property
    def home_path(self) -> Path:
        return self.home.expanduser().absolute()
