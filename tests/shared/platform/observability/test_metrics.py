"""Metrics are a closed, documented list without parties, and the gauges show the content of the tables."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.core.ids import coarse_uuid7
from shared.messaging.exceptions import OutcomeKind
from shared.messaging.ports import OperatorKind, OperatorLine
from shared.messaging.segments import NewMessages, OutgoingMessage, RecordBytes, place_segment
from shared.messaging.store import PostgresMessagingTx
from shared.messaging.streams import Lane, Pair, WireRole, begin_outgoing
from shared.platform.database.transactions import Database
from shared.platform.observability import metrics
from tests.shared.platform.builders import NOW
from tests.support.messaging_stores import build_exception

DOCUMENT = Path(__file__).parents[4] / "docs/operations/metrics.md"
OWN, PEER = "industry", "hotline"


@pytest.fixture(autouse=True)
async def empty_tables(database: Database) -> AsyncIterator[None]:
    yield
    async with database.transaction() as session:
        for table in ("stream_pair", "stream", "segment", "exception", "operator_line"):
            await session.driver.execute(f"DELETE FROM {table}")


async def measured(database: Database) -> dict[str, float]:
    async with database.transaction() as session:
        await metrics.measure_stores(session.driver, NOW + timedelta(seconds=60))
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


async def store(database: Database, *times: datetime, sent: int = 0, acked: int = 0) -> None:
    """Store a stream with one segment, whose messages were made at these times."""
    outgoing = begin_outgoing(Pair(OWN, PEER), coarse_uuid7(NOW), NOW, is_audited=True, pause_s=60)
    lane = outgoing.lanes[Lane.ORDINARY]
    record = RecordBytes(b"", (), b"value")
    messages = [OutgoingMessage(coarse_uuid7(at), WireRole.FACT, "fact", None, bytes(32), record) for at in times]
    unplaced = NewMessages(outgoing.pair, Lane.ORDINARY, tuple(messages), b"proof")
    segment = place_segment(unplaced, outgoing.incarnation, lane, day=NOW.date())
    lane.sent, lane.acked = sent, acked
    async with database.transaction() as session:
        await PostgresMessagingTx(session, OWN).save_outgoing([outgoing], [segment])


async def test_messages_that_were_not_appended_and_not_acknowledged_age_apart(database: Database) -> None:
    await store(database, *(NOW - timedelta(seconds=age) for age in (40, 30, 20, 10, 0)), sent=3, acked=1)
    found = await measured(database)
    assert found["causeway_outbox_rows"] == 2
    assert found["causeway_outbox_age_seconds"] == 70
    assert found["causeway_unacked_age_seconds"] == 90
    assert found["causeway_kept_bytes"] > 5 * 32


@pytest.mark.parametrize(
    ("sent", "acked", "ages"), [(0, 0, (100, 0)), (2, 0, (0, 100)), (2, 1, (0, 90)), (2, 2, (0, 0))]
)
async def test_the_oldest_is_the_first_that_waits(
    database: Database, sent: int, acked: int, ages: tuple[float, float]
) -> None:
    await store(database, NOW - timedelta(seconds=40), NOW - timedelta(seconds=30), sent=sent, acked=acked)
    found = await measured(database)
    assert (found["causeway_outbox_age_seconds"], found["causeway_unacked_age_seconds"]) == ages


async def test_exceptions_dead_letters_and_lines_are_counted(database: Database) -> None:
    async with database.transaction() as session:
        tx = PostgresMessagingTx(session, OWN)
        kinds = [OutcomeKind.DEAD, OutcomeKind.WAITING, OutcomeKind.DEAD]
        await tx.add_exceptions([build_exception(kind=kind) for kind in kinds])
        await tx.add_exceptions([build_exception(writer="other")])
        await tx.add_operator_lines([OperatorLine(OperatorKind.AHEAD, PEER), OperatorLine(OperatorKind.AHEAD, "other")])
        await session.driver.execute("UPDATE operator_line SET closed_at = now() WHERE peer = 'other'")
    found = await measured(database)
    assert found["causeway_dead_letter_records"] == 2
    assert found["causeway_exception_records"] == 3
    assert found["causeway_exception_bytes"] == 3 * len(b"record")
    assert found["causeway_operator_lines"] == 1


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
