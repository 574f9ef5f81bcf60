"""The gateway's settings, from the environment."""

from __future__ import annotations

import ssl
from pathlib import Path

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from services.contracts.topics import USAGE_EVENTS
from services.runtime.kafka_settings import KafkaSecuritySettings

BODY_BYTES_MAX = 10 * 1024 * 1024
"""Of one HTTP body, as sent and as unpacked."""
GRPC_MESSAGE_BYTES_MAX = 4 * 1024 * 1024
GRPC_CALLS_MAX = 256
GRPC_CONNECTION_SECONDS_MAX = 1_800
BATCH_EVENTS_MAX = 10_000
"""Events of one HTTP request or one gRPC message."""
RECEIVE_SECONDS_MAX = 60.0
"""For one body or one gRPC message to arrive."""
STREAM_EVENTS_MAX = 10_000_000
STREAM_REJECTED_MAX = 10_000


class GatewaySettings(KafkaSecuritySettings):
    """Each is `SPENDSTREAM_` and its name in capitals. Port 0 takes a free one."""

    model_config = SettingsConfigDict(env_prefix="SPENDSTREAM_", frozen=True, extra="ignore")

    kafka_bootstrap: str = Field(min_length=1)
    database_dsn: SecretStr
    admin_key: SecretStr | None = None
    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(default=8080, ge=0, le=65535)
    grpc_port: int = Field(default=50051, ge=0, le=65535)
    # Both doors speak TLS when both are given: PEM files, the certificate with its chain.
    gateway_tls_certificate: Path | None = None
    gateway_tls_key: Path | None = None
    usage_topic: str = USAGE_EVENTS.name
    log_level: str = "info"
    # How long events of different requests wait for each other, to share a Kafka message.
    gateway_linger_ms: float = Field(default=3.0, ge=0, le=1_000)
    # After this without Kafka's acknowledgement the caller is told to come again.
    gateway_delivery_timeout_ms: int = Field(default=10_000, ge=1_000)
    # Events admitted and not yet acknowledged by Kafka.
    gateway_queue_bytes_max: int = Field(default=128 * 1024 * 1024, ge=BODY_BYTES_MAX)
    # Of one key, in this process, on average; ten seconds of it may come at once. 0 is no limit.
    gateway_key_requests_per_second: float = Field(default=1_000, ge=0)
    gateway_key_events_per_second: float = Field(default=100_000, ge=0)
    # Requests from one address with keys that nobody has; a key that was known lately works from there all the same.
    unknown_keys_per_minute: float = Field(default=600, ge=0)
    # Bodies being received, all requests together.
    gateway_receiving_bytes_max: int = Field(default=128 * 1024 * 1024, ge=BODY_BYTES_MAX)

    @model_validator(mode="after")
    def _tls_whole(self) -> GatewaySettings:
        files = (self.gateway_tls_certificate, self.gateway_tls_key)
        if (files[0] is None) != (files[1] is None):
            raise ValueError("TLS needs both SPENDSTREAM_GATEWAY_TLS_CERTIFICATE and SPENDSTREAM_GATEWAY_TLS_KEY")
        missing = [str(path) for path in files if path is not None and not path.is_file()]
        if missing:
            raise ValueError(f"there is no file {', '.join(missing)}, which a SPENDSTREAM_GATEWAY_TLS_ setting names")
        if self.gateway_tls_certificate is not None:
            self._try_pair(self.gateway_tls_certificate)
        return self

    def _try_pair(self, certificate: Path) -> None:
        """gRPC would only say that it can't listen. The password, '', keeps an encrypted key from asking a terminal."""
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, self.gateway_tls_key, password=str)
        except (ssl.SSLError, OSError) as error:
            raise ValueError(
                "SPENDSTREAM_GATEWAY_TLS_CERTIFICATE and SPENDSTREAM_GATEWAY_TLS_KEY are no certificate with its key, "
                f"not encrypted, in PEM: {error}"
            ) from None
