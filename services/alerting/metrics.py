"""The alerting worker's metrics, all of them."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

ALERTS_FIRED = Counter("spendstream_alerting_alerts_fired_total", "Alerts recorded.", ["alert_type"])
ALERTS_DROPPED = Counter("spendstream_alerting_alerts_dropped_total", "Breaches not recorded, by stage.", ["stage"])
NOTIFICATIONS = Counter(
    "spendstream_alerting_notifications_total", "Attempts to send by how they ended.", ["channel", "outcome"]
)
PENDING = Gauge("spendstream_alerting_notifications_pending", "Notifications in the outbox that wait.")
EVALUATE_SECONDS = Histogram("spendstream_alerting_evaluate_seconds", "One evaluation of all rules.", ["kind"])
FAILURES = Counter("spendstream_alerting_failures_total", "Rounds of a loop that failed and are tried again.", ["loop"])
LAST_EVALUATED = Gauge(
    "spendstream_alerting_last_evaluated_timestamp_seconds", "When rules were last evaluated, as Unix time."
)
