"""Metrics for Prometheus: a closed list (`docs/operations/metrics.md`). No label ever holds a party or an id."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import asyncpg
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY: Final = CollectorRegistry()
CONTENT_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"

#: `fate` is emitted, applied, refused or parked: the buckets of accounting equation II.
MESSAGES: Final = Counter("causeway_messages", "Messages by what became of them.", ["fate"], registry=REGISTRY)
REFUSALS: Final = Counter("causeway_refusals", "Submissions refused at intake, by code.", ["code"], registry=REGISTRY)
HTTP_REQUESTS: Final = Counter(
    "causeway_http_requests", "Answered requests.", ["method", "route", "status"], registry=REGISTRY
)
INTAKE_SECONDS: Final = Histogram(
    "causeway_intake_seconds",
    "From a request's arrival until it is durable.",
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
)
OUTBOX_ROWS: Final = Gauge("causeway_outbox_rows", "Messages that wait for their first sending.", registry=REGISTRY)
OUTBOX_AGE_SECONDS: Final = Gauge(
    "causeway_outbox_age_seconds", "Age of the oldest message that was never sent.", registry=REGISTRY
)
UNRECEIPTED_AGE_SECONDS: Final = Gauge(
    "causeway_unreceipted_age_seconds", "Age of the oldest sending that nobody has receipted.", registry=REGISTRY
)
QUARANTINE_RECORDS: Final = Gauge(
    "causeway_quarantine_records", "Parked records that were not replayed.", registry=REGISTRY
)
BUS_LAG_RECORDS: Final = Gauge(
    "causeway_bus_lag_records", "Records of the inbox topic that were not read yet.", registry=REGISTRY
)

_STORES = """
SELECT (SELECT count(*) FROM outbox WHERE sequence IS NULL) AS rows,
       (SELECT min(created_at) FROM outbox WHERE sent_at IS NULL) AS unsent_since,
       (SELECT min(created_at) FROM outbox WHERE sent_at IS NOT NULL) AS unreceipted_since,
       (SELECT count(*) FROM quarantine WHERE replayed_at IS NULL) AS parked
"""


async def measure_stores(driver: asyncpg.Connection, now: datetime) -> None:
    """Set the gauges that tables answer: outbox, receipts outstanding, quarantine."""
    row = await driver.fetchrow(_STORES)
    OUTBOX_ROWS.set(row["rows"])
    OUTBOX_AGE_SECONDS.set(_age_s(row["unsent_since"], now))
    UNRECEIPTED_AGE_SECONDS.set(_age_s(row["unreceipted_since"], now))
    QUARANTINE_RECORDS.set(row["parked"])


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


def _age_s(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
