"""The gateway's metrics, all of them."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

EVENTS_ACCEPTED = Counter("spendstream_gateway_events_accepted_total", "Events that Kafka has.", ["door"])
EVENTS_REJECTED = Counter("spendstream_gateway_events_rejected_total", "Events refused with a reason.", ["door"])
REQUESTS = Counter("spendstream_gateway_requests_total", "Requests by how they ended.", ["door", "status"])
PUBLISH_SECONDS = Histogram(
    "spendstream_gateway_publish_seconds",
    "From the events read to their acknowledgement by Kafka.",
    ["door"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
KAFKA_MESSAGES = Counter("spendstream_gateway_kafka_messages_total", "Kafka messages by how they ended.", ["outcome"])
MESSAGE_EVENTS = Histogram(
    "spendstream_gateway_message_events",
    "Events in one Kafka message.",
    buckets=(1, 5, 20, 50, 100, 200, 350, 499, 500),
)
QUEUED_BYTES = Gauge("spendstream_gateway_queued_bytes", "Events admitted and not yet acknowledged by Kafka.")
