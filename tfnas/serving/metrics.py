"""Figures of a running server in the format of Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("tfnas_requests", "Requests by route and status.", ["route", "status"])
SECONDS = Histogram("tfnas_request_seconds", "Seconds from the head of a request to the end of its answer.", ["route"])
WAITING_BYTES = Gauge("tfnas_waiting_bytes", "Bytes of the bodies that are held.")
BATCH_ROWS = Histogram(
    "tfnas_batch_rows",
    "Rows that a model computed at a time.",
    ["model", "signature"],
    buckets=[2**power for power in range(13)],
)
