"""What tenants pay instead of the list price by an admin's word; they are a part of the price book in force."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

# An override that has begun is ended, not changed: what was billed by it stays explained.
SCHEMA = """
CREATE TABLE price_override (
    override_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id text NOT NULL REFERENCES tenant (tenant_id),
    provider text NOT NULL,
    model text NOT NULL,
    effective_from timestamptz NOT NULL,
    effective_until timestamptz CHECK (effective_until > effective_from),
    -- A multiplier, or prices in the keys of a price book's entry.
    terms jsonb NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL
);
CREATE INDEX ON price_override (tenant_id, provider, model, effective_from);
-- Each book that was in force is kept whole.
ALTER TABLE price_book ADD COLUMN overrides text NOT NULL DEFAULT '';
"""


def upgrade() -> None:
    op.execute(SCHEMA)
