-- Who there is.
CREATE TABLE tenant (
    tenant_no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id text NOT NULL UNIQUE,
    name text NOT NULL,
    tz text NOT NULL DEFAULT 'UTC',
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE agent_label (
    tenant_no integer NOT NULL REFERENCES tenant,
    agent_id text NOT NULL,
    label text NOT NULL,
    PRIMARY KEY (tenant_no, agent_id)
);

CREATE TABLE api_key (
    key_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key_hash bytea NOT NULL UNIQUE,
    role text NOT NULL CHECK (role IN ('admin', 'viewer', 'ingest')),
    tenant_id text REFERENCES tenant (tenant_id),
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    CHECK (role <> 'ingest' OR tenant_id IS NOT NULL),
    CHECK (role <> 'admin' OR tenant_id IS NULL)
);

CREATE TABLE admin_log (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor_key_id text NOT NULL,
    actor_name text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);

-- The ledger is the truth of what has been applied; it moves in the same transaction as the rows.
CREATE TABLE ledger (
    cluster_id text NOT NULL,
    topic_id text NOT NULL,
    topic text NOT NULL,
    kafka_partition integer NOT NULL,
    next_offset bigint NOT NULL DEFAULT 0,
    -- Of whoever may write; its connections have it in their name.
    owner_token uuid,
    -- The broker's time of the last message applied.
    stream_through timestamptz,
    -- From where on messages are counted: 0, or where an operator had the reading go on.
    read_from bigint NOT NULL DEFAULT 0,
    -- What came, counted where messages are decoded; apart from what became of it.
    messages_read bigint NOT NULL DEFAULT 0,
    events_read bigint NOT NULL DEFAULT 0,
    counted bigint NOT NULL DEFAULT 0,
    duplicate bigint NOT NULL DEFAULT 0,
    dead_lettered bigint NOT NULL DEFAULT 0,
    quarantined bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (cluster_id, topic_id, kafka_partition)
) WITH (fillfactor = 50);

-- Offsets that were passed without counting what was there. 'empty': read again, and the log has nothing there (marks of
-- transactions). 'deleted', 'abandoned': an operator adopted a log that no longer holds them; see admin_log.
CREATE TABLE ledger_gap (
    cluster_id text NOT NULL,
    topic_id text NOT NULL,
    kafka_partition integer NOT NULL,
    first_offset bigint NOT NULL,
    next_offset bigint NOT NULL,
    reason text NOT NULL CHECK (reason IN ('empty', 'deleted', 'abandoned')),
    found_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster_id, topic_id, kafka_partition, first_offset)
);

-- A worker stopped here because nearly all was bad; none reads on until an operator resumes. `bury_through`: the stream's
-- total of dead-lettered events up to which going on was said to be right.
CREATE TABLE ledger_halt (
    halt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster_id text NOT NULL,
    topic_id text NOT NULL,
    reason text NOT NULL,
    halted_at timestamptz NOT NULL DEFAULT now(),
    resumed_at timestamptz,
    bury_through bigint NOT NULL DEFAULT 0
);

-- Written every second by each partition's owner: tells a partition that is idle from one that is stuck.
CREATE TABLE partition_progress (
    topic_id text NOT NULL,
    kafka_partition integer NOT NULL,
    next_offset bigint NOT NULL,
    end_offset bigint NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (topic_id, kafka_partition)
) WITH (fillfactor = 50);

-- Identity apart from the events: whatever time an event gives, its id counts once.
CREATE TABLE event_identity (
    tenant_no integer NOT NULL,
    event_key uuid NOT NULL,
    content_hash bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_no, event_key)
);

CREATE TABLE quarantined_event (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id text NOT NULL,
    event_id text NOT NULL,
    occurred_at timestamptz,
    reason text NOT NULL,
    payload bytea NOT NULL,
    kafka_partition integer NOT NULL,
    kafka_offset bigint NOT NULL,
    received_at timestamptz NOT NULL,
    admitted_at timestamptz
);

-- Wide columns before narrow ones and texts last: in any other order each row is padded, and slower to take apart.
-- Those with a default are left out of a COPY in which all events have it.
CREATE TABLE usage_event (
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    kafka_offset bigint NOT NULL,
    input_uncached bigint NOT NULL,
    cache_read bigint NOT NULL,
    cache_write_5m bigint NOT NULL DEFAULT 0,
    cache_write_1h bigint NOT NULL DEFAULT 0,
    output_text bigint NOT NULL,
    output_reasoning bigint NOT NULL DEFAULT 0,
    input_audio bigint NOT NULL DEFAULT 0,
    output_audio bigint NOT NULL DEFAULT 0,
    input_image bigint NOT NULL DEFAULT 0,
    output_image bigint NOT NULL DEFAULT 0,
    response_cache_saved_pico_usd bigint NOT NULL DEFAULT 0,
    prompt_cache_saved_pico_usd bigint NOT NULL DEFAULT 0,
    -- NULL is unpriced, which is not zero.
    cost_pico_usd bigint,
    latency_ms bigint,
    tenant_no integer NOT NULL,
    attempt integer NOT NULL,
    retry_count integer NOT NULL DEFAULT 0,
    kafka_partition smallint NOT NULL,
    superseded boolean NOT NULL DEFAULT false,
    cache_hit boolean NOT NULL DEFAULT false,
    streaming boolean NOT NULL DEFAULT false,
    tokens_estimated boolean NOT NULL DEFAULT false,
    event_key uuid NOT NULL,
    run_id text NOT NULL,
    request_id text NOT NULL,
    event_id text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    feature text NOT NULL,
    agent_id text NOT NULL,
    section_path text NOT NULL,
    customer_id text NOT NULL,
    user_id text NOT NULL,
    channel text NOT NULL,
    region text NOT NULL,
    service_tier text NOT NULL,
    operation text NOT NULL,
    status text NOT NULL,
    error_type text NOT NULL DEFAULT '',
    prompt_template_id text NOT NULL DEFAULT '',
    prompt_template_version text NOT NULL DEFAULT '',
    source text NOT NULL,
    tier text NOT NULL,
    price_entry text NOT NULL,
    price_book_version text NOT NULL,
    reported_cost_usd text NOT NULL DEFAULT '',
    -- {"name": quantity}; NULL for the most, which have none.
    units text,
    metadata text
);

-- An execution of an agent. Keyed by partition too, so that workers never share a row; `run` sums them.
CREATE TABLE run_base (
    tenant_no integer NOT NULL,
    run_id text NOT NULL,
    kafka_partition smallint NOT NULL,
    agent_id text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    calls bigint NOT NULL,
    unpriced_events bigint NOT NULL,
    billed_pico_usd bigint NOT NULL,
    adjustment_pico_usd bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_no, run_id, kafka_partition)
);
CREATE INDEX ON run_base (tenant_no, started_at);
-- Tells at once whether a tenant's runs can lie in pieces at all, which is what counting them would have to look for.
CREATE INDEX ON run_base (tenant_no, kafka_partition);
CREATE VIEW run AS
SELECT tenant_no, run_id, (array_agg(agent_id ORDER BY started_at))[1] AS agent_id, min(started_at) AS started_at,
       max(ended_at) AS ended_at, sum(calls)::bigint AS calls, sum(unpriced_events)::bigint AS unpriced_events,
       sum(billed_pico_usd)::bigint AS billed_pico_usd, sum(adjustment_pico_usd)::bigint AS adjustment_pico_usd
FROM run_base GROUP BY tenant_no, run_id;

-- Healing and corrections: raw rows are immutable, what changes their cost stands here.
CREATE TABLE cost_adjustment (
    adjustment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_no integer NOT NULL,
    event_key uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    delta_pico_usd bigint NOT NULL,
    heals_unpriced boolean NOT NULL,
    price_entry text NOT NULL,
    price_book_version text NOT NULL,
    reason text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON cost_adjustment (tenant_no, event_key);

-- One row. Buckets that end at or before `closed_through` are closed: a write into one is marked in dirty_bucket.
CREATE TABLE rollup_state (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    closed_through timestamptz NOT NULL,
    materialized_through timestamptz NOT NULL
);
INSERT INTO rollup_state (closed_through, materialized_through)
VALUES ('1970-01-01 00:00:00+00', '1970-01-01 00:00:00+00');

-- Where the buckets of this width begin that may not be whole yet, on plain PostgreSQL; in the views of every level.
CREATE FUNCTION materialized_before(width interval) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT date_bin(width, materialized_through, TIMESTAMPTZ '1970-01-01 00:00:00+00') FROM public.rollup_state $$;

-- 15-minute buckets waiting for refresh; append-only, so that workers do not wait for each other.
CREATE TABLE dirty_bucket (
    mark_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bucket timestamptz NOT NULL
);

-- Rows that flushes added to a base table of the rollups and that are not merged yet; append-only like the marks above. It
-- is about size alone: readers sum whatever is there.
CREATE TABLE unmerged_bucket (
    mark_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rollup text NOT NULL,
    bucket timestamptz NOT NULL,
    row_count integer NOT NULL
);

-- Buckets that an audit found right, and what they looked like then; see services/audit.
CREATE TABLE audit_checkpoint (
    scope text NOT NULL CHECK (scope IN ('hour', 'day', 'run')),
    bucket timestamptz NOT NULL,
    fingerprint text NOT NULL,
    checked_at timestamptz NOT NULL,
    PRIMARY KEY (scope, bucket)
);

-- Where an audit left off for want of time, working from the newest day backwards; no row after one that came round.
CREATE TABLE audit_left_off (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    left_off timestamptz NOT NULL
);

CREATE TABLE spike (
    spike_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    rule text NOT NULL,
    tenant_no integer NOT NULL REFERENCES tenant,
    dimension text NOT NULL,
    value text NOT NULL,
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL,
    observed_pico_usd bigint NOT NULL,
    usual_pico_usd bigint NOT NULL,
    -- The figures behind the sentence: per-call averages now and usually, top contributors.
    evidence jsonb NOT NULL,
    cause text NOT NULL,
    detected_at timestamptz NOT NULL,
    relayed_at timestamptz,
    UNIQUE (rule, tenant_no, dimension, value, window_start)
);
CREATE INDEX ON spike (detected_at);
CREATE INDEX ON spike (spike_id) WHERE relayed_at IS NULL;

CREATE TABLE alert_rule (
    rule_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    alert_type text NOT NULL CHECK (alert_type IN ('daily_limit', 'weekly_limit', 'monthly_limit', 'cost_spike', 'anomaly',
                                                   'budget', 'unpriced_usage', 'no_data', 'pipeline_lag')),
    threshold_cents bigint CHECK (threshold_cents > 0),
    threshold_percent numeric CHECK (threshold_percent > 0),
    tenant_id text REFERENCES tenant (tenant_id),
    scope jsonb NOT NULL DEFAULT '{}',
    notification_emails text[] NOT NULL DEFAULT '{}',
    slack_webhook text,
    webhook_url text,
    notification_frequency text NOT NULL DEFAULT 'once' CHECK (notification_frequency IN ('once', 'hourly', 'daily', 'every')),
    is_active boolean NOT NULL DEFAULT true,
    silenced_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO alert_rule (name, alert_type, threshold_cents, threshold_percent, notification_frequency) VALUES
    ('Daily Global Spend Alert', 'daily_limit', 10000, NULL, 'once'),
    ('Monthly Global Spend Alert', 'monthly_limit', 100000, NULL, 'once'),
    ('Cost Spike Alert', 'cost_spike', NULL, 200, 'once');

-- One per (rule, series, window, threshold), across restarts and workers.
CREATE TABLE alert (
    alert_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    rule_id uuid NOT NULL REFERENCES alert_rule ON DELETE CASCADE,
    tenant_id text,
    series text NOT NULL,
    window_start timestamptz NOT NULL,
    threshold text NOT NULL,
    state text NOT NULL DEFAULT 'firing' CHECK (state IN ('firing', 'resolved')),
    title text NOT NULL,
    summary text NOT NULL,
    payload jsonb NOT NULL,
    fired_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    UNIQUE (rule_id, series, window_start, threshold)
);
CREATE INDEX ON alert (fired_at);

-- The outbox: a row is written with its alert, sent by whichever worker locks it first.
CREATE TABLE notification (
    notification_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    alert_id uuid NOT NULL REFERENCES alert ON DELETE CASCADE,
    channel text NOT NULL CHECK (channel IN ('slack', 'webhook', 'email')),
    target text NOT NULL,
    payload jsonb NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed', 'parked')),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz
);
CREATE INDEX ON notification (next_attempt_at) WHERE state = 'pending';
CREATE INDEX ON notification (alert_id);
-- Who was sent to just now.
CREATE INDEX ON notification (sent_at);

-- A rule's channel that answered with an error that will not pass: nothing is sent to it until the rule is changed or a
-- test gets through.
CREATE TABLE parked_channel (
    rule_id uuid NOT NULL REFERENCES alert_rule ON DELETE CASCADE,
    channel text NOT NULL,
    target text NOT NULL,
    reason text NOT NULL,
    parked_at timestamptz NOT NULL,
    PRIMARY KEY (rule_id, channel, target)
);

CREATE TABLE budget (
    budget_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    -- NULL: of all tenants together.
    tenant_id text REFERENCES tenant (tenant_id),
    -- {"agent_id": ...} | {"user_id": ...} | {"feature": ...} | {}
    scope jsonb NOT NULL DEFAULT '{}',
    budget_window text NOT NULL CHECK (budget_window IN ('daily', 'weekly', 'monthly')),
    limit_pico_usd bigint NOT NULL CHECK (limit_pico_usd > 0),
    thresholds integer[] NOT NULL DEFAULT '{80,100}',
    created_at timestamptz NOT NULL DEFAULT now()
);
