"""A budget as a form: fields to the API's body and back. Pure."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from pricing.money import usd_string
from services.query.api.budgets import BudgetChange, NewBudget
from services.query.pages.budgets import ALL_TENANTS
from services.query.pages.forms import Fields, FormFault, faults_of, scope_fields, scope_of_fields
from services.query.read.budgets import Budget

WINDOWS: Final = (("daily", "a day"), ("weekly", "a week"), ("monthly", "a month"))
EMPTY: Final = {"window": "monthly", "thresholds": "80, 100"}
_FIELD_OF: Final = {"scope": "scope_value"}


def name_of(body_name: str) -> str:
    """The form's field of a name in the body."""
    return _FIELD_OF.get(body_name, body_name)


def new_budget(fields: Fields) -> NewBudget:
    """FormFault with the reason for each wrong field."""
    try:
        tenant_id = fields.get("tenant_id", "")
        whose = None if tenant_id == ALL_TENANTS else tenant_id
        return NewBudget.model_validate({"tenant_id": whose, **_shared(fields)})
    except ValidationError as error:
        raise FormFault(faults_of(error, name_of)) from None


def budget_change(fields: Fields) -> BudgetChange:
    """FormFault with the reason for each wrong field. A budget stays its tenant's."""
    try:
        return BudgetChange.model_validate(_shared(fields))
    except ValidationError as error:
        raise FormFault(faults_of(error, name_of)) from None


def _shared(fields: Fields) -> dict[str, object]:
    return {
        "scope": scope_of_fields(fields),
        "window": fields.get("window", ""),
        "limit_usd": fields.get("limit_usd", "").removeprefix("$").strip(),
        "thresholds": [part.strip(" %\u202f") for part in fields.get("thresholds", "").split(",") if part.strip()],
    }


def budget_fields(budget: Budget) -> dict[str, str]:
    """What stands in the form of a budget there is."""
    return {
        "tenant_id": budget.tenant_id or ALL_TENANTS,
        **scope_fields(budget.scope),
        "window": budget.budget_window,
        "limit_usd": usd_string(budget.limit_pico_usd),
        "thresholds": ", ".join(str(percent) for percent in budget.thresholds),
    }
