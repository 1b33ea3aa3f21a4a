"""Metrics for Prometheus: a closed list (`docs/operations/metrics.md`). No label ever holds a party or an id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY: Final = CollectorRegistry()
CONTENT_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"

#: `fate` is emitted (numbered in a transaction of this process), applied, refused or
#: parked (for the first time, by this consumer).
MESSAGES: Final = Counter("causeway_messages", "Messages by what became of them.", ["fate"], registry=REGISTRY)
REFUSALS: Final = Counter("causeway_refusals", "Submissions refused at intake, by code.", ["code"], registry=REGISTRY)
#: `kind` as in `shared/party/origin/use_cases/alarms.py`. Which party, the log's opaque name and the table say.
ALARMS: Final = Counter(
    "causeway_alarms", "Alarms about parties that this process was first to raise.", ["kind"], registry=REGISTRY
)
#: `reason` is over_budget or over_day: the second only of a child at risk.
UNRELEASED: Final = Counter(
    "causeway_unreleased", "Referrals that wait for a second person, by reason.", ["reason"], registry=REGISTRY
)
HTTP_REQUESTS: Final = Counter(
    "causeway_http_requests", "Answered requests.", ["method", "route", "status"], registry=REGISTRY
)
INTAKE_SECONDS: Final = Histogram(
    "causeway_intake_seconds",
    "From handing over to intake until it is durable.",
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
)
OUTBOX_ROWS: Final = Gauge("causeway_outbox_rows", "Messages that wait to be appended.", registry=REGISTRY)
OUTBOX_ASIDE_ROWS: Final = Gauge(
    "causeway_outbox_aside_rows", "Messages that cannot be sent and were set aside.", registry=REGISTRY
)
SUBJECTS_ASIDE: Final = Gauge(
    "causeway_subjects_aside", "Subjects of which a rule could not be applied: set aside.", registry=REGISTRY
)
OUTBOX_AGE_SECONDS: Final = Gauge(
    "causeway_outbox_age_seconds", "Age of the oldest message that waits to be appended.", registry=REGISTRY
)
UNRECEIPTED_AGE_SECONDS: Final = Gauge(
    "causeway_unreceipted_age_seconds",
    "Age of the oldest message under way without a final outcome.",
    registry=REGISTRY,
)
QUARANTINE_RECORDS: Final = Gauge(
    "causeway_quarantine_records", "Parked records that were not replayed.", registry=REGISTRY
)
BUS_LAG_RECORDS: Final = Gauge(
    "causeway_bus_lag_records", "Records of the inbox topics that were not read yet.", registry=REGISTRY
)
#: `state` is new, reading, gap, truncated or forbidden: how audit stands to the partitions it should read.
AUDIT_PARTITIONS: Final = Gauge(
    "causeway_audit_partitions", "Partitions of inbox topics by how audit reads them.", ["state"], registry=REGISTRY
)
CLOCKS_ASIDE: Final = Gauge(
    "causeway_clocks_aside_rows", "Edges whose clocks cannot be reckoned and were set aside.", registry=REGISTRY
)
#: `reason` is clock_off or beat_late: what /readyz says of the relay.
EDGES_WAIT: Final = Gauge(
    "causeway_edges_wait", "1 while edges may not leave, by why they may not.", ["reason"], registry=REGISTRY
)
#: `kind` is directory or policy. Negative after the end.
DOCUMENT_DAYS_LEFT: Final = Gauge(
    "causeway_document_days_left", "Days until the document in force should be replaced.", ["kind"], registry=REGISTRY
)
BEAT_AGE_SECONDS: Final = Gauge(
    "causeway_beat_age_seconds", "Age of the newest word on which documents are newest.", registry=REGISTRY
)
#: `reason` is ended, succeeded, unreviewed, ending or beginning.
LAW_AGED: Final = Gauge(
    "causeway_law_aged", "Instruments of the policy in force that a person must look at.", ["reason"], registry=REGISTRY
)
#: `fate` is delivered or failed: attempts at addresses that parties have registered.
WEBHOOK_DELIVERIES: Final = Counter(
    "causeway_webhook_deliveries", "Attempts to send an event, by what became of them.", ["fate"], registry=REGISTRY
)
WEBHOOKS_PAUSED: Final = Gauge(
    "causeway_webhooks_paused", "Addresses to which nothing is sent until their party begins again.", registry=REGISTRY
)

#: `kind` is sign, verify, encapsulate or decapsulate.
KEY_OPERATIONS: Final = Gauge(
    "causeway_key_operations", "Uses of signing and sealing keys since the process began.", ["kind"], registry=REGISTRY
)

_COUNTS = """
SELECT (SELECT coalesce(sum(last - appended), 0)::bigint FROM lane JOIN lane_end USING (lane)) AS rows,
       (SELECT count(*) FROM outbox WHERE aside IS NOT NULL) AS aside,
       (SELECT count(*) FROM quarantine WHERE replayed_at IS NULL) AS parked
"""
#: In each lane the first is the oldest but for what is sent again, and an index finds it in a long lane too. It is
#: looked for from $2 on: no message below is open. A database that was restored has given fewer places than that.
_OLDEST = """
SELECT l.lane, waiting.created_at AS waiting, open.created_at AS open, coalesce(open.position, l.appended + 1) AS first
FROM lane AS l JOIN lane_end AS e USING (lane)
LEFT JOIN unnest($1::text[], $2::bigint[]) AS seen (lane, first) USING (lane)
LEFT JOIN LATERAL (SELECT o.created_at FROM outbox AS o WHERE o.lane = l.lane AND o.position > l.appended
                   ORDER BY o.position LIMIT 1) AS waiting ON true
LEFT JOIN LATERAL (SELECT o.created_at, o.position FROM outbox AS o
                   WHERE o.lane = l.lane AND NOT o.done AND o.position <= l.appended
                     AND o.position >= CASE WHEN seen.first <= e.last + 1 THEN seen.first ELSE 0 END
                   ORDER BY o.position LIMIT 1) AS open ON true
"""


class Ages(NamedTuple):
    """For how many seconds the oldest message has waited for its first sending, and for its receipt; 0 if none does."""

    unsent_s: float
    unreceipted_s: float


class Oldest:
    """The oldest messages of an outbox, as one process looks for them again and again.

    Each look goes on where the last one ended. As long as anybody holds a snapshot, whatever has left the outbox since
    then lies before what is there, and would be passed over each time.
    """

    def __init__(self) -> None:
        self._first: dict[str, int] = {}

    async def ages(self, driver: asyncpg.Connection, now: datetime) -> Ages:
        """How long they have waited at `now`."""
        rows = await driver.fetch(_OLDEST, *self.seen())
        self._first = {row["lane"]: row["first"] for row in rows}
        waiting, unreceipted = ([row[name] for row in rows if row[name] is not None] for name in ("waiting", "open"))
        return Ages(_age_s(waiting, now), _age_s(unreceipted, now))

    def seen(self) -> tuple[list[str], list[int]]:
        """Of each lane the position of its first open message, or where one may be: arguments of the next look."""
        return list(self._first), list(self._first.values())


async def measure_stores(driver: asyncpg.Connection, now: datetime, oldest: Oldest) -> None:
    """Set the gauges that tables answer: outbox, receipts outstanding, quarantine."""
    row, ages = await driver.fetchrow(_COUNTS), await oldest.ages(driver, now)
    OUTBOX_ROWS.set(row["rows"])
    OUTBOX_ASIDE_ROWS.set(row["aside"])
    OUTBOX_AGE_SECONDS.set(ages.unsent_s)
    UNRECEIPTED_AGE_SECONDS.set(ages.unreceipted_s)
    QUARANTINE_RECORDS.set(row["parked"])


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


def _age_s(since: Sequence[datetime], now: datetime) -> float:
    return max([0.0, *((now - each).total_seconds() for each in since)])
