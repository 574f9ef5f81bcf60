"""The dashboard of the pipeline's health: how far the stream is, by the database and by Prometheus. Pure."""

from __future__ import annotations

from deploy.grafana.build import DATA_SOURCE, METRICS_SOURCE, Json, dashboard, measured, stat, table

PIPELINE = "spendstream-pipeline"


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


def _p95(metric: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile(0.95, sum by ({labels}) (rate({metric}_bucket[$__rate_interval])))"


def pipeline() -> Json:
    behind = "FROM partition_progress WHERE seen_at > now() - interval '1 day'"
    partitions = (
        "SELECT l.topic, l.kafka_partition AS partition, l.next_offset, p.end_offset, "
        "p.end_offset - l.next_offset AS waiting, p.seen_at, l.stream_through FROM ledger AS l "
        "LEFT JOIN partition_progress AS p USING (topic_id, kafka_partition) ORDER BY 1, 2"
    )
    outcomes = (
        "SELECT topic, sum(events_read) AS read, sum(counted) AS counted, sum(duplicate) AS duplicate, "
        "sum(dead_lettered) AS dead_lettered, sum(quarantined) AS quarantined FROM ledger GROUP BY 1 ORDER BY 1"
    )
    floors = "SELECT relation, complete_from, moved_at FROM retention_floor ORDER BY 1"
    panels = [
        stat(
            "Messages waiting",
            f"SELECT coalesce(sum(greatest(end_offset - next_offset, 0)), 0) AS messages {behind}", "short",
        ),
        stat(
            "Seconds since a partition was seen",
            f"SELECT coalesce(max(extract(epoch FROM now() - seen_at)), 0) AS seconds {behind}", "s",
        ),
        stat("Buckets waiting for refresh", "SELECT count(DISTINCT bucket) AS buckets FROM dirty_bucket", "short"),
        stat(
            "Rollups are closed up to", "SELECT extract(epoch FROM closed_through) * 1000 AS closed FROM rollup_state",
            "dateTimeFromNow",
        ),
        stat(
            "Dead-lettered", "SELECT coalesce(sum(dead_lettered), 0) AS events FROM ledger", "short",
            "Of all time; spendstream dlq list shows them.",
        ),
        stat("Quarantined", "SELECT coalesce(sum(quarantined), 0) AS events FROM ledger", "short"),
        table("Partitions", partitions, {"waiting": "short"}, width=14),
        table("What became of events", outcomes, {"": "short"}, width=10),
        measured(
            "Events by what became of them",
            [("{{outcome}}", _rate("spendstream_processor_events_total", "outcome"))], "ops",
        ),
        measured(
            "Messages waiting, by partition",
            [("{{partition}}", "max by (partition) (spendstream_processor_lag_messages)")], "short",
        ),
        measured(
            "A flush, 19 of 20 are faster", [("{{stage}}", _p95("spendstream_processor_flush_seconds", "stage"))], "s"
        ),
        measured(
            "Seconds without progress", [("{{partition}}", "max by (partition) (spendstream_processor_still_seconds)")],
            "s", "With messages waiting.",
        ),
        measured(
            "Events taken in and refused",
            [
                ("accepted, {{door}}", _rate("spendstream_gateway_events_accepted_total", "door")),
                ("refused, {{door}}", _rate("spendstream_gateway_events_rejected_total", "door")),
            ],
            "ops",
        ),
        measured(
            "From a request to Kafka's acknowledgement, 19 of 20 are faster",
            [("{{door}}", _p95("spendstream_gateway_publish_seconds", "door"))], "s",
        ),
        measured(
            "Answers of the query service, 19 of 20 are faster",
            [("{{route}}", _p95("spendstream_query_request_seconds", "route"))], "s",
        ),
        measured(
            "Notifications",
            [
                ("{{channel}}, {{outcome}}",
                 _rate("spendstream_alerting_notifications_total", "channel, outcome")),
                ("waiting", "max(spendstream_alerting_notifications_pending)"),
            ],
            "short",
        ),
        measured("Services that answer", [("{{job}}", 'sum by (job) (up{job=~"spendstream-.*"})')], "short", width=12),
        table("Kept from", floors, {}, width=12, description="From when on each relation is complete."),
    ]  # fmt: skip
    return dashboard(
        PIPELINE, "Pipeline health", "How far the stream is counted, and how the services are.",
        [DATA_SOURCE, METRICS_SOURCE], panels, "now-6h",
    )  # fmt: skip
