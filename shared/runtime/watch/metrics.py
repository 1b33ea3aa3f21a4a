"""Metrics for Prometheus: a closed list (`docs/operations/metrics.md`). No label ever holds a party or an id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY: Final = CollectorRegistry()
CONTENT_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"

#: `fate` is emitted (numbered in a transaction of this process), or the outcome of a message that this process took:
#: applied, refused, moved, deferred, waiting or dead.
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
SUBJECTS_ASIDE: Final = Gauge(
    "causeway_subjects_aside", "Subjects of which a rule could not be applied: set aside.", registry=REGISTRY
)
OUTBOX_AGE_SECONDS: Final = Gauge(
    "causeway_outbox_age_seconds", "Age of the oldest message that waits to be appended.", registry=REGISTRY
)
UNACKED_AGE_SECONDS: Final = Gauge(
    "causeway_unacked_age_seconds",
    "Age of the oldest message that was appended and not acknowledged by its recipient.",
    registry=REGISTRY,
)
DEAD_LETTER_RECORDS: Final = Gauge(
    "causeway_dead_letter_records", "Dead letters: messages that only a person can end.", registry=REGISTRY
)
#: Reading of a stream stops at `EXCEPTIONS_MAX`.
EXCEPTION_RECORDS: Final = Gauge(
    "causeway_exception_records", "Exceptions of the stream that has the most.", registry=REGISTRY
)
#: Reading of a stream stops at `EXCEPTION_BYTES_MAX`, too.
EXCEPTION_BYTES: Final = Gauge(
    "causeway_exception_bytes", "Bytes of the exceptions of the stream that has the most.", registry=REGISTRY
)
KEPT_BYTES: Final = Gauge(
    "causeway_kept_bytes", "Bytes of own messages that are kept until all readers have them.", registry=REGISTRY
)
OPERATOR_LINES: Final = Gauge(
    "causeway_operator_lines", "Lines on the operator's list that nobody has closed.", registry=REGISTRY
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
SELECT (SELECT coalesce(sum(last - sent), 0)::bigint FROM stream) AS rows,
       (SELECT count(*) FROM exception WHERE outcome = 'dead') AS dead,
       fullest.row_count AS exceptions, fullest.byte_count AS exception_bytes,
       (SELECT coalesce(sum(octet_length(content) + octet_length(digests)), 0)::bigint FROM segment) AS kept_bytes,
       (SELECT count(*) FROM operator_line WHERE closed_at IS NULL) AS lines
FROM (
    SELECT coalesce(max(row_count), 0) AS row_count, coalesce(max(byte_count), 0) AS byte_count FROM (
        SELECT count(*) AS row_count, sum(record_bytes) AS byte_count FROM exception GROUP BY writer, lane) AS e
) AS fullest
"""
#: The id of the first message of each stream that was not appended, and of the first that was not acknowledged.
_OF_NUMBER = """
LEFT JOIN LATERAL (
    SELECT substring(g.message_ids FROM (16 * (s.{after} + 1 - g.first) + 1)::integer FOR 16) AS id
    FROM segment AS g
    WHERE s.{after} < s.{until} AND g.peer = s.peer AND g.incarnation = s.incarnation AND g.lane = s.lane
      AND g.first <= s.{after} + 1 ORDER BY g.first DESC LIMIT 1
) AS {name} ON true
"""
_OLDEST = f"""
SELECT unsent.id AS unsent, unacked.id AS unacked FROM stream AS s
{_OF_NUMBER.format(after="sent", until="last", name="unsent")}
{_OF_NUMBER.format(after="acked", until="sent", name="unacked")}
"""
#: The milliseconds since 1970 that the id of a message begins with.
_TIME_BYTES: Final = 6


class Ages(NamedTuple):
    """Seconds that the oldest message has waited for its append, and for its acknowledgement; 0 without one.

    They are those of message ids, so cut to 10 s.
    """

    unsent_s: float
    unacked_s: float


async def load_ages(driver: asyncpg.Connection, now: datetime) -> Ages:
    """Return how long the oldest messages of the own streams have waited at `now`."""
    rows = await driver.fetch(_OLDEST)
    return Ages(*(_age_s([row[name] for row in rows], now) for name in ("unsent", "unacked")))


async def measure_stores(driver: asyncpg.Connection, now: datetime) -> None:
    """Set the gauges of the tables of messaging."""
    row, ages = await driver.fetchrow(_COUNTS), await load_ages(driver, now)
    OUTBOX_ROWS.set(row["rows"])
    OUTBOX_AGE_SECONDS.set(ages.unsent_s)
    UNACKED_AGE_SECONDS.set(ages.unacked_s)
    DEAD_LETTER_RECORDS.set(row["dead"])
    EXCEPTION_RECORDS.set(row["exceptions"])
    EXCEPTION_BYTES.set(row["exception_bytes"])
    KEPT_BYTES.set(row["kept_bytes"])
    OPERATOR_LINES.set(row["lines"])


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


def _age_s(message_ids: Sequence[bytes | None], now: datetime) -> float:
    times = [int.from_bytes(each[:_TIME_BYTES]) / 1000 for each in message_ids if each]
    return max([0.0, *(now.timestamp() - each for each in times)])
