"""What healing needs: the unpriced events in line, what a heal saved, and the price books that were in force."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

# `unpriced_event` is written with the event and gone when that has a price. Its `price_book_version` is the last book
# that had none, so that a book looks at each row once.
SCHEMA = """
CREATE TABLE unpriced_event (
    provider text NOT NULL,
    model text NOT NULL,
    price_book_version text NOT NULL,
    occurred_at timestamptz NOT NULL,
    tenant_no integer NOT NULL,
    event_key uuid NOT NULL
);
CREATE INDEX unpriced_event_order ON unpriced_event (provider, model, price_book_version, occurred_at);
INSERT INTO unpriced_event
SELECT provider, model, price_book_version, occurred_at, tenant_no, event_key FROM usage_event AS e
WHERE cost_pico_usd IS NULL AND NOT EXISTS (
    SELECT FROM cost_adjustment AS c WHERE c.heals_unpriced AND c.occurred_at = e.occurred_at
    AND c.tenant_no = e.tenant_no AND c.event_key = e.event_key);
-- How a heal finds the raw rows again: few rows, whatever the table's size.
CREATE INDEX usage_event_unpriced ON usage_event (tenant_no, event_key) WHERE cost_pico_usd IS NULL;

ALTER TABLE cost_adjustment
    ADD COLUMN response_cache_saved_pico_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN prompt_cache_saved_pico_usd bigint NOT NULL DEFAULT 0;
-- An event is healed once, whoever tries.
CREATE UNIQUE INDEX cost_adjustment_heal ON cost_adjustment (tenant_no, event_key, occurred_at) WHERE heals_unpriced;

-- Each book that was in force, whole: rows name its version, and a worker that starts on a broken file goes on with
-- the last.
CREATE TABLE price_book (
    version text PRIMARY KEY,
    body text NOT NULL,
    first_loaded_at timestamptz NOT NULL DEFAULT now(),
    last_loaded_at timestamptz NOT NULL DEFAULT now()
);
-- A file that was refused, until a right one takes its place.
CREATE TABLE price_book_refusal (
    path text PRIMARY KEY,
    refused_at timestamptz NOT NULL DEFAULT now(),
    problems text NOT NULL,
    version_in_force text NOT NULL
);
"""


def upgrade() -> None:
    op.execute(SCHEMA)
