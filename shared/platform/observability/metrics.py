"""Metrics for Prometheus: a closed list (`docs/operations/metrics.md`). No label ever holds a party or an id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY: Final = CollectorRegistry()
CONTENT_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    return Counter(f"causeway_{name}", meaning, labels, registry=REGISTRY)


def _gauge(name: str, meaning: str, *labels: str) -> Gauge:
    return Gauge(f"causeway_{name}", meaning, labels, registry=REGISTRY)


#: `fate` is emitted (numbered in a transaction of this process), or the outcome of a message that this process took:
#: applied, refused, moved, deferred, waiting or dead.
MESSAGES: Final = _counter("messages", "Messages by outcome.", "fate")
REFUSALS: Final = _counter("refusals", "Submissions refused at intake, by code.", "code")
#: `kind` as in `shared/features/filing/service/alarms.py`. The log has the party's opaque name, the table has its id.
ALARMS: Final = _counter("alarms", "Alarms about parties that this process was first to raise.", "kind")
#: `reason` is over_budget or over_day: the second only of a child at risk.
UNRELEASED: Final = _counter("unreleased", "Referrals that wait for a second person, by reason.", "reason")
HTTP_REQUESTS: Final = _counter("http_requests", "Answered requests.", "method", "route", "status")
INTAKE_SECONDS: Final = Histogram(
    "causeway_intake_seconds",
    "Time from the transfer to intake until the referral is durable.",
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
)
OUTBOX_ROWS: Final = _gauge("outbox_rows", "Messages that wait to be appended.")
SUBJECTS_ASIDE: Final = _gauge("subjects_aside", "Subjects in retry backoff, because a rule could not be applied.")
OUTBOX_AGE_SECONDS: Final = _gauge("outbox_age_seconds", "Age of the oldest message that waits to be appended.")
UNACKED_AGE_SECONDS: Final = _gauge(
    "unacked_age_seconds", "Age of the oldest message that was appended and not acknowledged by its recipient."
)
DEAD_LETTER_RECORDS: Final = _gauge("dead_letter_records", "Dead letters: messages that only a person can end.")
#: Reading of a stream stops at `EXCEPTIONS_MAX`.
EXCEPTION_RECORDS: Final = _gauge("exception_records", "Exceptions of the stream that has the most.")
#: Reading of a stream stops at `EXCEPTION_BYTES_MAX`, too.
EXCEPTION_BYTES: Final = _gauge("exception_bytes", "Bytes of the exceptions of the stream that has the most.")
KEPT_BYTES: Final = _gauge("kept_bytes", "Bytes of own messages that are kept until all readers have them.")
OPERATOR_LINES: Final = _gauge("operator_lines", "Open lines on the operator's list.")
BUS_LAG_RECORDS: Final = _gauge("bus_lag_records", "Records of the inbox topics that were not read yet.")
#: `state` is new, reading, gap, truncated or forbidden: the status of the partitions that audit should read.
AUDIT_PARTITIONS: Final = _gauge("audit_partitions", "Partitions of inbox topics by audit's reading status.", "state")
CLOCKS_ASIDE: Final = _gauge("clocks_aside_rows", "Edges in retry backoff, because their deadlines cannot be computed.")
#: `reason` is clock_off or beat_late, as /readyz shows it for the relay.
EDGES_WAIT: Final = _gauge("edges_wait", "1 while the send gate stops edges, by reason.", "reason")
#: `kind` is directory or policy. Negative after the end.
DOCUMENT_DAYS_LEFT: Final = _gauge("document_days_left", "Days until the document in force should be replaced.", "kind")
BEAT_AGE_SECONDS: Final = _gauge("beat_age_seconds", "Age of the newest document heartbeat.")
#: `reason` is ended, succeeded, unreviewed, ending or beginning.
LAW_AGED: Final = _gauge("law_aged", "Instruments of the policy in force that a person must review.", "reason")
#: `fate` is delivered or failed: attempts at addresses that parties have registered.
WEBHOOK_DELIVERIES: Final = _counter("webhook_deliveries", "Attempts to send an event, by result.", "fate")
WEBHOOKS_PAUSED: Final = _gauge("webhooks_paused", "Paused webhooks, which wait for their party to resume them.")

#: `kind` is sign, verify, encapsulate or decapsulate.
KEY_OPERATIONS: Final = _gauge("key_operations", "Uses of signing and sealing keys since the process began.", "kind")

_COUNTS = """
SELECT (SELECT coalesce(sum(last - sent), 0)::bigint FROM stream) AS rows,
       (SELECT count(*) FROM exception WHERE outcome = 'dead') AS dead,
       fullest.row_count AS exceptions, fullest.byte_count AS exception_bytes,
       (SELECT coalesce(sum(octet_length(content) + octet_length(digests)), 0)::bigint FROM segment) AS kept_bytes,
       (SELECT count(*) FROM operator_line WHERE closed_at IS NULL) AS lines
FROM (
    SELECT coalesce(max(row_count), 0) AS row_count, coalesce(max(byte_count), 0) AS byte_count FROM (
        SELECT count(*) AS row_count, sum(record_bytes) AS byte_count FROM exception
        WHERE code IS DISTINCT FROM 'sender_day_spent' GROUP BY writer, lane) AS e
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
#: The size of the milliseconds since 1970 with which the id of a message begins.
_TIME_BYTES: Final = 6


class Ages(NamedTuple):
    """Seconds that the oldest message has waited for its append, and for its acknowledgement; 0 without one.

    The times are those of message ids, so they are cut to 10 s.
    """

    unsent_s: float
    unacked_s: float


async def load_ages(driver: asyncpg.Connection, now: datetime) -> Ages:
    """Return how long the oldest messages of the own streams have waited at `now`."""
    rows = await driver.fetch(_OLDEST)
    return Ages(*(_age_s([row[name] for row in rows], now) for name in ("unsent", "unacked")))


async def measure_stores(driver: asyncpg.Connection, now: datetime) -> None:
    """Set the gauges of the tables of messaging."""
    counts = await driver.fetchrow(_COUNTS)
    gauges = OUTBOX_ROWS, DEAD_LETTER_RECORDS, EXCEPTION_RECORDS, EXCEPTION_BYTES, KEPT_BYTES, OPERATOR_LINES
    ages = OUTBOX_AGE_SECONDS, UNACKED_AGE_SECONDS
    for gauge, value in zip((*gauges, *ages), (*counts, *await load_ages(driver, now)), strict=True):
        gauge.set(value)


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


def _age_s(message_ids: Sequence[bytes | None], now: datetime) -> float:
    times = [int.from_bytes(each[:_TIME_BYTES]) / 1000 for each in message_ids if each]
    return max([0.0, *(now.timestamp() - each for each in times)])
