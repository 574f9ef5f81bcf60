"""The query service's metrics, declared once."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

REQUEST_SECONDS = Histogram(
    "spendstream_query_request_seconds",
    "Time to answer a request, by route template.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0),
)
REFUSED = Counter("spendstream_query_refused_total", "Requests refused, by kind.", ["kind"])
