"""An alert rule as a form: fields to the API's body and back. Pure."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pydantic import ValidationError
from pydantic.alias_generators import to_snake

from services.query.api.alert_bodies import AlertBody
from services.query.pages.forms import Fields, FormFault, faults_of, scope_fields, scope_of_fields

LIMIT_TYPES: Final = ("daily_limit", "weekly_limit", "monthly_limit")
PERCENT_TYPES: Final = ("cost_spike", "anomaly")
TYPES: Final = (
    ("daily_limit", "Daily limit"),
    ("weekly_limit", "Weekly limit"),
    ("monthly_limit", "Monthly limit"),
    ("cost_spike", "Cost spike: an hour against its usual"),
    ("anomaly", "Anomaly: a day against its usual"),
    ("budget", "Budget runs out"),
    ("unpriced_usage", "Usage without a price"),
    ("no_data", "No data"),
    ("pipeline_lag", "Pipeline lags behind"),
)
FREQUENCIES: Final = (
    ("once", "once per window"),
    ("hourly", "every hour while it lasts"),
    ("daily", "every day while it lasts"),
    ("every", "every time"),
)
EMPTY: Final = {"alert_type": "daily_limit", "notification_frequency": "once", "is_active": "on"}
_FIELD_OF: Final = {"thresholdCents": "threshold_usd", "scope": "scope_value"}
_NEEDED: Final = "is needed for an alert of this kind"


def name_of(body_name: str) -> str:
    """The form's field of a name in the body."""
    return _FIELD_OF.get(body_name, to_snake(body_name))


def alert_body(fields: Fields, silenced_until: object = None) -> AlertBody:
    """FormFault with the reason for each wrong field. A masked address goes back as it came: it changes nothing."""
    cents, faults = _cents(fields.get("threshold_usd", ""))
    kind = fields.get("alert_type", "")
    if kind in LIMIT_TYPES and cents is None:
        faults.setdefault("threshold_usd", _NEEDED)
    if kind in PERCENT_TYPES and not fields.get("threshold_percent"):
        faults["threshold_percent"] = _NEEDED
    try:
        body = AlertBody.model_validate(_values(fields, cents, silenced_until))
    except ValidationError as error:
        raise FormFault({**{k: v for k, v in faults_of(error, name_of).items() if k}, **faults}) from None
    if faults:
        raise FormFault(faults)
    return body


def _values(fields: Fields, cents: int | None, silenced_until: object) -> dict[str, object]:
    return {
        "name": fields.get("name", ""),
        "alertType": fields.get("alert_type", ""),
        "thresholdCents": cents,
        "thresholdPercent": fields.get("threshold_percent") or None,
        "organizationId": fields.get("organization_id") or None,
        "scope": scope_of_fields(fields),
        "notificationEmails": [part for part in re.split(r"[,;\s]+", fields.get("notification_emails", "")) if part],
        "slackWebhook": fields.get("slack_webhook") or None,
        "webhookUrl": fields.get("webhook_url") or None,
        "notificationFrequency": fields.get("notification_frequency", ""),
        "isActive": fields.get("is_active") == "on",
        "silencedUntil": silenced_until,
    }


def _cents(text: str) -> tuple[int | None, dict[str, str]]:
    text = text.removeprefix("$").strip()
    if not text:
        return None, {}
    try:
        cents = Decimal(text).scaleb(2)
    except InvalidOperation:
        return None, {"threshold_usd": "must be an amount in USD, like 250 or 12.50"}
    if not cents.is_finite() or cents <= 0:
        return None, {"threshold_usd": "must be more than 0"}
    if cents != cents.to_integral_value():
        return None, {"threshold_usd": "has no parts of a cent"}
    return int(cents), {}


def alert_fields(rule: dict[str, Any]) -> dict[str, str]:
    """What stands in the form of a rule as the API shows it; addresses masked."""
    cents, percent = rule["thresholdCents"], rule["thresholdPercent"]
    return {
        "name": rule["name"],
        "alert_type": rule["alertType"],
        "threshold_usd": "" if cents is None else f"{Decimal(cents).scaleb(-2):f}",
        "threshold_percent": "" if percent is None else f"{percent:g}",
        "organization_id": rule["organizationId"] or "",
        **scope_fields(rule["scope"]),
        "notification_emails": ", ".join(rule["notificationEmails"]),
        "slack_webhook": rule["slackWebhook"] or "",
        "webhook_url": rule["webhookUrl"] or "",
        "notification_frequency": rule["notificationFrequency"],
        "is_active": "on" if rule["isActive"] else "",
    }
