"""The alerting worker's settings, from the environment."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.alerting.outbox import GAP_SECONDS
from services.alerting.webhook_message import decode_secret
from services.runtime.addresses import private_hosts_of
from services.runtime.sealing import Sealer


class AlertingSettings(BaseSettings):
    """Each is `SPENDSTREAM_` and its name in capitals. Port 0 takes a free one."""

    model_config = SettingsConfigDict(env_prefix="SPENDSTREAM_", frozen=True, extra="ignore")

    database_dsn: SecretStr
    alerting_host: str = "127.0.0.1"
    alerting_port: int = Field(default=9102, ge=0, le=65535)
    # Where the web pages are reached; links in messages start with it.
    public_url: str = "http://127.0.0.1:8000"
    # Where a rule without a channel of its own is told.
    slack_webhook: SecretStr | None = None
    # Signs generic webhooks: whsec_ and base64, as Standard Webhooks say.
    webhook_secret: SecretStr | None = None
    # Opens the sealed addresses of rules' webhooks; the query service seals them with the same key.
    address_key: SecretStr | None = None
    # "1" for all, or host names separated by commas, that may be private addresses or plain http.
    allow_private_webhooks: str = ""
    # smtp://user:password@host:port, smtps:// for TLS from the start; smtp:// uses STARTTLS where the server offers it.
    smtp_url: SecretStr | None = None
    smtp_from: str = "spendstream@localhost"
    alerting_spike_seconds: float = Field(default=1.0, gt=0, le=60)
    alerting_limit_seconds: float = Field(default=5.0, gt=0, le=60)
    # Between two messages to one channel.
    alerting_gap_seconds: float = Field(default=GAP_SECONDS, ge=0, le=60)
    alerting_senders: int = Field(default=2, ge=1, le=16)
    log_level: str = "info"

    @field_validator("slack_webhook", "webhook_secret", "smtp_url", "address_key", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("webhook_secret")
    @classmethod
    def _is_a_signing_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            decode_secret(value.get_secret_value())
        return value

    @field_validator("address_key")
    @classmethod
    def _is_a_sealing_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            Sealer(value.get_secret_value())
        return value

    @property
    def private_hosts(self) -> frozenset[str] | None:
        """Hosts allowed to be private, None for all."""
        return private_hosts_of(self.allow_private_webhooks)
