"""The query service's settings, from the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from pricing.book import DEFAULT_BOOK_PATH
from services.contracts.signin import SECRET_CHARACTERS_MIN

BODY_BYTES_MAX = 1024 * 1024
BODY_SECONDS_MAX = 30.0
CONNECTIONS_MAX = 1_000
ANSWER_SECONDS_MAX = 120.0
# What is streamed takes longer, and ends by a limit of its own.
STREAM_SECONDS_MAX = 3_700.0
STREAMED_PATHS = ("/api/v1/stream", "/api/v1/admin/llm-costs/export")


class QuerySettings(BaseSettings):
    """Each is `SPENDSTREAM_` and its name in capitals. Port 0 takes a free one."""

    model_config = SettingsConfigDict(env_prefix="SPENDSTREAM_", frozen=True, extra="ignore")

    database_dsn: SecretStr
    admin_key: SecretStr | None = None
    # Signs sign-in links and session cookies.
    session_secret: SecretStr = Field(min_length=SECRET_CHARACTERS_MIN)
    # Seals the addresses of webhooks; see services.runtime.sealing. Without it none can be set.
    address_key: SecretStr | None = None
    # "1" for all, or host names separated by commas, that webhooks may have though they are private or plain http.
    allow_private_webhooks: str = ""
    query_host: str = "127.0.0.1"
    query_port: int = Field(default=8000, ge=0, le=65535)
    # Where the pages tell people to send their first event.
    gateway_url: str = "http://127.0.0.1:8080"
    log_level: str = "info"
    price_book: Path = DEFAULT_BOOK_PATH
    # Of one key, in this process, on average; ten seconds of it may come at once. 0 is no limit.
    query_key_requests_per_second: float = Field(default=1_000, ge=0)
    # Requests from one address with keys that nobody has; a key that was known lately works from there all the same.
    unknown_keys_per_minute: float = Field(default=600, ge=0)
    # Connections for reading answers, and for everything that writes.
    query_read_connections_max: int = Field(default=8, ge=1, le=100)
    query_write_connections_max: int = Field(default=3, ge=1, le=100)
