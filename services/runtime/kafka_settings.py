"""How a client reaches Kafka: plainly, by TLS, with a name and a password; for librdkafka and for aiokafka alike."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """What both client libraries are told. `ca_file` None: the authorities the machine trusts."""

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str = ""
    password: SecretStr = field(default=SecretStr(""))
    ca_file: Path | None = None

    @property
    def encrypted(self) -> bool:
        return self.protocol.endswith("SSL")

    @property
    def authenticated(self) -> bool:
        return self.protocol.startswith("SASL")

    def client_config(self, bootstrap: str) -> dict[str, str | int | float | bool]:
        """The part of a confluent-kafka configuration that says where and how to connect."""
        config: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap}
        if self.protocol != "PLAINTEXT":
            config["security.protocol"] = self.protocol
        if self.authenticated:
            config["sasl.mechanism"] = self.mechanism
            config["sasl.username"] = self.username
            config["sasl.password"] = self.password.get_secret_value()
        if self.encrypted and self.ca_file is not None:
            config["ssl.ca.location"] = str(self.ca_file)
        return config

    def ssl_context(self) -> ssl.SSLContext | None:
        """For clients in Python: certificate and host name are checked. None without TLS."""
        if not self.encrypted:
            return None
        return ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file is not None else None)


PLAINTEXT = KafkaSecurity()


class KafkaSecuritySettings(BaseSettings):
    """`SPENDSTREAM_KAFKA_SECURITY_PROTOCOL` and what belongs to it; services' settings have these as their own."""

    model_config = SettingsConfigDict(env_prefix="SPENDSTREAM_", frozen=True, extra="ignore")

    kafka_security_protocol: Protocol = "PLAINTEXT"
    kafka_sasl_mechanism: Mechanism = "SCRAM-SHA-512"
    kafka_sasl_username: str = Field(default="", max_length=200)
    kafka_sasl_password: SecretStr = SecretStr("")
    # A PEM file; without it the authorities the machine trusts.
    kafka_ssl_ca: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> KafkaSecuritySettings:
        named = bool(self.kafka_sasl_username and self.kafka_sasl_password.get_secret_value())
        if self.kafka_security_protocol.startswith("SASL") and not named:
            raise ValueError("SASL needs SPENDSTREAM_KAFKA_SASL_USERNAME and SPENDSTREAM_KAFKA_SASL_PASSWORD")
        if named and not self.kafka_security_protocol.startswith("SASL"):
            raise ValueError("a Kafka user is given, but SPENDSTREAM_KAFKA_SECURITY_PROTOCOL names no SASL")
        if self.kafka_ssl_ca is not None and not self.kafka_ssl_ca.is_file():
            raise ValueError(f"SPENDSTREAM_KAFKA_SSL_CA: there is no file {self.kafka_ssl_ca}")
        return self

    @property
    def kafka_security(self) -> KafkaSecurity:
        return KafkaSecurity(
            self.kafka_security_protocol,
            self.kafka_sasl_mechanism,
            self.kafka_sasl_username,
            self.kafka_sasl_password,
            self.kafka_ssl_ca,
        )
