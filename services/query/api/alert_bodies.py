"""How an alert rule comes in and goes out. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from services.query.api.parameters import Id

AlertType = Literal[
    "daily_limit", "weekly_limit", "monthly_limit", "cost_spike", "anomaly", "budget", "unpriced_usage", "no_data",
    "pipeline_lag",
]  # fmt: skip
_NEEDS = {
    "daily_limit": "threshold_cents",
    "weekly_limit": "threshold_cents",
    "monthly_limit": "threshold_cents",
    "cost_spike": "threshold_percent",
    "anomaly": "threshold_percent",
}
_CENTS_MAX, _PERCENT_MAX = 10**12, 10**6
_EMAIL = re.compile(r"[^@\s<>,;:\"'()\[\]\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?", re.ASCII)
_HIDDEN = "…"
Address = Annotated[str, StringConstraints(max_length=2_000)]


class AlertBody(BaseModel):
    """A rule as POST and PUT take it; camelCase outside."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    name: Id
    alert_type: AlertType
    threshold_cents: Annotated[int, Field(gt=0, le=_CENTS_MAX, strict=True)] | None = None
    threshold_percent: Annotated[Decimal, Field(gt=0, le=_PERCENT_MAX, max_digits=12, decimal_places=4)] | None = None
    organization_id: Id | None = None
    scope: dict[Literal["agent_id", "user_id", "feature"], Id] = Field(default_factory=dict, max_length=1)
    notification_emails: list[Address] = Field(default_factory=list, max_length=20)
    slack_webhook: Address | None = None
    webhook_url: Address | None = None
    notification_frequency: Literal["once", "hourly", "daily", "every"] = "once"
    is_active: bool = True
    silenced_until: AwareDatetime | None = None

    @field_validator("notification_emails")
    @classmethod
    def _addresses(cls, addresses: list[str]) -> list[str]:
        wrong = [address for address in addresses if not _EMAIL.fullmatch(address)]
        if wrong:
            raise ValueError(f"not an e-mail address: {wrong[0][:80]!r}")
        return list(dict.fromkeys(addresses))

    @field_validator("slack_webhook", "webhook_url")
    @classmethod
    def _url(cls, url: str | None) -> str | None:
        if not url:
            return None
        try:
            parts = urlsplit(url)
            known = parts.scheme in ("https", "http") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            known = False
        if not known or not url.isprintable() or " " in url:
            raise ValueError("must be an http or https URL")
        return url

    @model_validator(mode="before")
    @classmethod
    def _missing_is_null(cls, body: object) -> object:
        """So that a threshold that is needed is missed under its own name."""
        return {"thresholdCents": None, "thresholdPercent": None, **body} if isinstance(body, dict) else body

    @field_validator("threshold_cents", "threshold_percent")
    @classmethod
    def _threshold_of_type(cls, threshold: int | Decimal | None, info: ValidationInfo) -> int | Decimal | None:
        alert_type = info.data.get("alert_type", "")
        if threshold is None and _NEEDS.get(alert_type) == info.field_name:
            raise ValueError(f"is needed for {alert_type}")
        return threshold


def masked(url: str | None) -> str | None:
    """An address without the part that is its secret; sent back as it is, it changes nothing."""
    if not url:
        return None
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}/{_HIDDEN}"


def rule_body(row: dict[str, Any]) -> dict[str, Any]:
    """A rule as it is shown."""
    percent = row["threshold_percent"]
    return {
        "id": str(row["rule_id"]),
        "name": row["name"],
        "alertType": row["alert_type"],
        "thresholdCents": row["threshold_cents"],
        "thresholdPercent": None if percent is None else float(percent),
        "organizationId": row["tenant_id"],
        "scope": row["scope"],
        "notificationEmails": row["notification_emails"],
        "slackWebhook": masked(row["slack_webhook"]),
        "webhookUrl": masked(row["webhook_url"]),
        "notificationFrequency": row["notification_frequency"],
        "isActive": row["is_active"],
        "silencedUntil": row["silenced_until"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
    }


def test_payload(channel: str, title: str, summary: str, now: datetime) -> dict[str, Any]:
    """A test message in the shape the outbox keeps for its channel."""
    if channel == "slack":
        # Plain text only: the rule's name is somebody's and must not become markup.
        header = {"type": "header", "text": {"type": "plain_text", "text": title[:150], "emoji": False}}
        section = {"type": "section", "text": {"type": "plain_text", "text": summary, "emoji": False}}
        return {"text": summary, "blocks": [header, section], "unfurl_links": False, "unfurl_media": False}
    if channel == "webhook":
        return {"type": "alert.test", "timestamp": now.isoformat(), "data": {"title": title, "cause": summary}}
    subject = " ".join(title.split())[:150]
    return {"subject": subject, "text": summary, "html": f"<h2>{escape(title)}</h2><p>{escape(summary)}</p>"}
