-- From when on a relation is complete. Moved ahead of the rows' removal, never back; no row: complete from the start.
CREATE TABLE retention_floor (
    relation text PRIMARY KEY,
    complete_from timestamptz NOT NULL,
    moved_at timestamptz NOT NULL
);
