"""Metrics are a closed, documented list without parties, and the gauges tell what the tables hold."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.kernel.ids import uuid7
from shared.runtime.database.transactions import Database
from shared.runtime.post.outbox import enqueue
from shared.runtime.watch import metrics
from tests.shared.runtime.builders import NOW, draft

DOCUMENT = Path(__file__).parents[4] / "docs/operations/metrics.md"


@pytest.fixture(autouse=True)
async def empty_tables(database: Database) -> AsyncIterator[None]:
    yield
    async with database.transaction() as session:
        await session.driver.execute(
            "DELETE FROM lane; DELETE FROM lane_end; DELETE FROM outbox; DELETE FROM quarantine"
        )


async def measured(database: Database, oldest: metrics.Oldest | None = None) -> dict[str, float]:
    async with database.transaction() as session:
        await metrics.measure_stores(session.driver, NOW + timedelta(seconds=60), oldest or metrics.Oldest())
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


async def test_empty_tables_have_no_age(database: Database) -> None:
    found = await measured(database)
    assert found["causeway_outbox_rows"] == 0
    assert found["causeway_outbox_age_seconds"] == 0
    assert found["causeway_unreceipted_age_seconds"] == 0


async def test_what_was_never_sent_and_what_has_no_outcome_age_apart(database: Database) -> None:
    sent, waiting = (draft("t", subject=str(uuid7())) for _ in range(2))
    async with database.transaction() as session:
        await enqueue(session.driver, [replace(sent, created_at=NOW - timedelta(seconds=40)), waiting])
    async with database.transaction() as session:
        await session.driver.execute("UPDATE lane SET appended = 1")
    found = await measured(database)
    assert found["causeway_outbox_rows"] == 1
    assert found["causeway_outbox_aside_rows"] == 0
    assert found["causeway_outbox_age_seconds"] == 60
    assert found["causeway_unreceipted_age_seconds"] == 100
    async with database.transaction() as session:
        await session.driver.execute("UPDATE outbox SET done = true, aside = 'unreadable' WHERE position = 1")
    found = await measured(database)
    assert (found["causeway_outbox_aside_rows"], found["causeway_unreceipted_age_seconds"]) == (1, 0)


async def test_who_looks_again_finds_what_is_open_after_what_was_and_what_a_restored_database_has(
    database: Database,
) -> None:
    oldest = metrics.Oldest()
    made = [replace(draft("t", subject=str(uuid7())), created_at=NOW - timedelta(seconds=age)) for age in (30, 20, 10)]

    async def after(change: str) -> float:
        async with database.transaction() as session:
            await session.driver.execute(change)
        return (await measured(database, oldest))["causeway_unreceipted_age_seconds"]

    async with database.transaction() as session:
        await enqueue(session.driver, made)
    assert await after("UPDATE lane SET appended = 2") == 90
    assert await after("UPDATE outbox SET done = true WHERE position = 1") == 80
    assert await after("UPDATE outbox SET done = true WHERE position = 2") == 0
    assert await after("UPDATE lane SET appended = 3") == 70
    assert await after("UPDATE outbox SET done = true") == 0
    restored = "UPDATE outbox SET done = position > 1; DELETE FROM outbox WHERE position = 3"
    assert await after(f"{restored}; UPDATE lane_end SET last = 2; UPDATE lane SET appended = 2") == 90


async def test_parked_records_are_counted_until_they_are_replayed(database: Database) -> None:
    park = """
        INSERT INTO quarantine
            (same, count, topic, partition, "offset", broker_time, length_bytes, digest, reason, replayed_at)
        VALUES ($1::int::text, 1, 't', 0, $1::int, now(), 1, 'd', 'body_invalid', $2)
    """
    async with database.transaction() as session:
        for offset, replayed_at in ((1, None), (2, None), (3, NOW)):
            await session.driver.execute(park, offset, replayed_at)
    assert (await measured(database))["causeway_quarantine_records"] == 2


def test_every_metric_and_label_is_documented_and_nothing_else_is() -> None:
    rows = re.findall(r"^\| `(causeway_[a-z_]+)` \| (\w+) \| ([^|]*) \|", DOCUMENT.read_text(), re.MULTILINE)
    documented = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert documented == {
        family.name + ("_total" if family.type == "counter" else ""): (family.type, labels)
        for collector in list(metrics.REGISTRY._collector_to_names)
        for family, labels in ((next(iter(collector.collect())), tuple(collector._labelnames)),)
    }


def test_no_label_can_hold_a_party_or_an_id() -> None:
    labels = {label for collector in metrics.REGISTRY._collector_to_names for label in collector._labelnames}
    assert labels <= {"fate", "code", "kind", "method", "reason", "route", "state", "status"}
