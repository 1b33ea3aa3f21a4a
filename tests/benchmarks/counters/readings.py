"""Readings of all counters of a running exchange, and the difference between two of them."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

import asyncpg
import httpx
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from prometheus_client.parser import text_string_to_metric_families

from deploy.devstack.servers import binaries
from deploy.site.access import admin_client
from shared.core.protocol.authority import INBOXES
from tests.support.running import Exchange

_KEY_OPERATIONS: Final = "causeway_key_operations"
#: Rows by table. A partition counts as its table. Rows of TOAST tables, which hold wide values, count separately.
_ROWS: Final = """
SELECT CASE WHEN s.schemaname = 'pg_toast' THEN 'toast' ELSE coalesce(root.relname, s.relname)::text END AS name,
       sum(s.n_tup_ins)::bigint AS inserted, sum(s.n_tup_upd)::bigint AS updated,
       sum(s.n_tup_hot_upd)::bigint AS hot, sum(s.n_tup_del)::bigint AS deleted
FROM pg_stat_all_tables AS s LEFT JOIN pg_class AS root ON root.oid = pg_partition_root(s.relid)
WHERE s.schemaname NOT IN ('pg_catalog', 'information_schema') GROUP BY 1
"""
#: Bytes by table with its indexes and its wide rows.
_SIZES: Final = """
SELECT coalesce(root.relname, c.relname)::text AS name, sum(pg_total_relation_size(c.oid))::bigint AS bytes
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_class AS root ON root.oid = pg_partition_root(c.oid)
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') GROUP BY 1
"""
_TOTAL: Final = re.compile(r"^Total\s+(\d+)\s+(\d+) \[[^]]*\]\s+(\d+) \[", flags=re.MULTILINE)


class Name(NamedTuple):
    """The name of a count: its kind, and the table (`store.table`), topic or instance, if it has one."""

    kind: str
    place: str = ""


#: Counts between two readings, or since the servers began.
Counts = Counter[Name]


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters at one moment; `lsn` is the end of the write-ahead log, `logged` the bytes of the server's log."""

    at_s: float
    counts: Counts
    lsn: str
    logged: int


def log_of(exchange: Exchange) -> Path:
    """Return the path of the PostgreSQL server's log."""
    return exchange.stack.state.log("postgres")


async def read_counters(exchange: Exchange, admin: asyncpg.Connection) -> Reading:
    """Read all counters. An idle backend publishes its own only after ten seconds."""
    lsn = await admin.fetchval("SELECT pg_current_wal_flush_lsn()::text")
    logged, at_s = log_of(exchange).stat().st_size, monotonic()
    counts = record_counts(exchange) + _log_bytes(exchange)
    for store in exchange.endpoints.instances:
        counts += await _table_counts(exchange, store)
        counts += _key_operations(exchange, store)
    return Reading(at_s, counts, lsn, logged)


async def checkpoint(admin: asyncpg.Connection) -> str:
    """Write a checkpoint and return the end of the write-ahead log after it."""
    await admin.execute("CHECKPOINT")
    return str(await admin.fetchval("SELECT pg_current_wal_flush_lsn()::text"))


def wal_counts(exchange: Exchange, start: str, end: str) -> Counts:
    """Count records and bytes of the write-ahead log between two positions; page images are separate."""
    folder = exchange.state / "postgres/data/pg_wal"
    command = [str(binaries() / "pg_waldump"), "--path", str(folder), "--start", start, "--end", end, "--stats"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    found = _TOTAL.search(told.stdout)
    if found is None:
        raise AssertionError(f"pg_waldump has no total: {told.stderr[-300:]}")
    records, own, images = map(int, found.groups())
    return Counter({Name("wal_records"): records, Name("wal_bytes"): own, Name("page_image_bytes"): images})


async def table_bytes(exchange: Exchange, *, compacted: bool) -> Counts:
    """Count the bytes of all tables, `compacted` without their dead rows; no interval may follow that.

    Instances treat a rewritten database as a different one, and begin new incarnations.
    """
    sizes: Counts = Counter()
    for store in exchange.endpoints.instances:
        connection = await exchange.admin(store)
        if compacted:
            await connection.execute("VACUUM FULL")
        for row in await connection.fetch(_SIZES):
            sizes[Name("retained", f"{store}.{row['name']}")] = row["bytes"]
        await connection.close()
    return sizes


async def _table_counts(exchange: Exchange, store: str) -> Counts:
    connection = await exchange.admin(store)
    try:
        rows = await connection.fetch(_ROWS)
    finally:
        await connection.close()
    counts: Counts = Counter()
    for row in rows:
        for kind in ("inserted", "updated", "hot", "deleted"):
            counts[Name("toast" if row["name"] == "toast" else kind, f"{store}.{row['name']}")] += row[kind]
    return counts


def _key_operations(exchange: Exchange, instance: str) -> Counts:
    text = httpx.get(f"{exchange.endpoints.metrics[instance]}/metrics", trust_env=False, timeout=60).text
    return Counter(
        {
            Name(sample.labels["kind"], instance): int(sample.value)
            for family in text_string_to_metric_families(text)
            if family.name == _KEY_OPERATIONS
            for sample in family.samples
        }
    )


def record_counts(exchange: Exchange) -> Counts:
    """Count the records of the inbox topics by the ends of their partitions."""
    admin: AdminClient = admin_client(exchange.endpoints.kafka)
    topics = admin.list_topics(timeout=60).topics
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    wanted = {
        TopicPartition(name, partition): latest
        for name, topic in topics.items()
        if name.startswith(INBOXES)
        for partition in topic.partitions
    }
    counts: Counts = Counter()
    for partition, future in admin.list_offsets(wanted).items():
        counts[Name("records", partition.topic)] += future.result().offset
    return counts


def _log_bytes(exchange: Exchange) -> Counts:
    """Count the bytes of the inbox topics' segment files: records with their headers, batches and proofs."""
    counts: Counts = Counter()
    for segment in (exchange.state / "kafka/data").glob(f"{INBOXES}*/*.log"):
        counts[Name("kafka_bytes", segment.parent.name.rpartition("-")[0])] += segment.stat().st_size
    return counts


def sum_of(counts: Mapping[Name, float], kind: str) -> float:
    """Return the sum of one kind of count over all places."""
    return sum(count for name, count in counts.items() if name.kind == kind)
