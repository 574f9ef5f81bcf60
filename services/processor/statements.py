"""The SQL of a flush."""

from __future__ import annotations

# Held shared by every flush, exclusively by the refresher while it closes buckets: none can close under a flush.
CLOSING_LOCK = 720_302
# Held alone by whoever merges rows of the rollups' base tables, or builds them again.
MERGING_LOCK = 720_305

STAGES = (
    (
        "CREATE TEMP TABLE identity_stage (row_no integer, tenant_no integer, event_key uuid, content_hash bigint, "
        "occurred_at timestamptz) ON COMMIT DELETE ROWS"
    ),
    "CREATE TEMP TABLE stage_run_base (LIKE run_base INCLUDING DEFAULTS) ON COMMIT DELETE ROWS",
)

# In key order, so that two workers that meet on identities wait for each other instead of deadlocking.
INSERT_IDENTITIES = (
    "INSERT INTO event_identity (tenant_no, event_key, content_hash, occurred_at) "
    "SELECT tenant_no, event_key, content_hash, occurred_at FROM identity_stage ORDER BY tenant_no, event_key "
    "ON CONFLICT DO NOTHING"
)

# Staged rows whose identity another transaction wrote: (row_no, whether the content is the same).
LOSERS = (
    "SELECT s.row_no, i.content_hash = s.content_hash FROM identity_stage s "
    "CROSS JOIN LATERAL (SELECT content_hash, xmin FROM event_identity e "
    "WHERE e.tenant_no = s.tenant_no AND e.event_key = s.event_key OFFSET 0) i "
    "WHERE i.xmin <> pg_current_xact_id()::xid ORDER BY s.row_no"
)

HOLD_BUCKETS_OPEN = f"SELECT pg_advisory_xact_lock_shared({CLOSING_LOCK})"
CLOSED_THROUGH = "SELECT (extract(epoch FROM closed_through) * 1000000)::bigint FROM rollup_state"

MARK_DIRTY = "INSERT INTO dirty_bucket (bucket) SELECT to_timestamp(b) FROM unnest(%s::float8[]) AS b"
MARK_UNMERGED = (
    "INSERT INTO unmerged_bucket (rollup, bucket, row_count) "
    "SELECT r, to_timestamp(b), n FROM unnest(%s::text[], %s::float8[], %s::integer[]) AS u (r, b, n)"
)

QUARANTINE = (
    "INSERT INTO quarantined_event "
    "(tenant_id, event_id, occurred_at, reason, payload, kafka_partition, kafka_offset, received_at) "
    "VALUES (%(tenant)s, %(event)s, to_timestamp(%(occurred)s), 'outside_window', %(payload)s, %(partition)s, "
    "%(offset)s, to_timestamp(%(received)s))"
)

ADVANCE = (
    "UPDATE ledger SET next_offset = %(next)s, stream_through = to_timestamp(%(through)s), "
    "messages_read = messages_read + %(messages)s, events_read = events_read + %(events)s, "
    "counted = counted + %(counted)s, duplicate = duplicate + %(duplicate)s, dead_lettered = dead_lettered + %(dead)s, "
    "quarantined = quarantined + %(quarantined)s "
    "WHERE cluster_id = %(cluster)s AND topic_id = %(topic_id)s AND kafka_partition = %(partition)s"
)

UPSERT_RUNS = (
    "INSERT INTO run_base SELECT * FROM stage_run_base ORDER BY tenant_no, run_id, kafka_partition "
    "ON CONFLICT (tenant_no, run_id, kafka_partition) DO UPDATE SET "
    "agent_id = CASE WHEN EXCLUDED.started_at < run_base.started_at THEN EXCLUDED.agent_id ELSE run_base.agent_id END, "
    "started_at = least(run_base.started_at, EXCLUDED.started_at), "
    "ended_at = greatest(run_base.ended_at, EXCLUDED.ended_at), calls = run_base.calls + EXCLUDED.calls, "
    "unpriced_events = run_base.unpriced_events + EXCLUDED.unpriced_events, "
    "billed_pico_usd = run_base.billed_pico_usd + EXCLUDED.billed_pico_usd"
)
