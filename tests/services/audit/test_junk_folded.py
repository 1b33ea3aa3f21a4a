"""Junk without an author costs audit a few rows a day, however much arrives. A signed record always has its entry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import cycle, islice
from typing import Any, cast

import asyncpg
import pytest

from deploy.accounting import views
from deploy.accounting.book import DifferenceList, Snapshot
from deploy.accounting.log import LogCheck
from deploy.site.endpoints import DatabaseEndpoint
from services.audit.domain.entries import EntryKind
from shared.core.clock import rfc3339
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Unavailable
from shared.core.ids import uuid7
from shared.core.protocol.message import Record
from shared.messaging.placement import build_proof_record, place_record
from shared.messaging.segments import RecordBytes
from shared.messaging.streams import Lane, StreamPlace
from shared.platform.database.transactions import Database, Session
from shared.platform.kafka.reader import LogReader
from tests.services.audit.broker import Broker, Topic, with_life
from tests.services.audit.log import Log
from tests.services.audit.test_intake import MINE, ORDINARY, TO_AUDIT, facts, opening
from tests.services.databases import connected
from tests.support.exchange_world import LONG_AFTER
from tests.support.wire_records import Written

_COUNTED = """
SELECT partition, reason, first_offset, last_offset, first_at, last_at, first_digest, count FROM folded_record
WHERE topic_id = $1 ORDER BY partition, reason
"""
_ENTRIES = """
SELECT partition, "offset", kind, problem, message_id, verified FROM entry
WHERE topic_id = $1 AND partition = 1 ORDER BY "offset"
"""
JUNK, HONEST = 1_000, 5
#: In the order of the records of `junk`.
REASONS = ("place_malformed", "proof_missing", "key_unknown")


def junk(log: Log) -> Iterator[Written]:
    """Yield junk without end: bytes, a message without a proof, and a proof by an unknown key."""
    aside = replace(log, world=log.world.anew())
    [proof, message] = facts(aside, 1)
    unproven = replace_place(message.record, StreamPlace(uuid7(), Lane.ORDINARY, 1))
    [segment] = aside.world.segments([aside.world.prepared().drafts[-1]])
    foreign = build_proof_record(segment, SigningKey.generate())
    assert proof.topic == MINE
    for each in cycle((None, unproven, foreign)):
        record = each or RecordBytes(b"", (), uuid7().bytes)
        yield Written(TO_AUDIT, Lane.ORDINARY, record)


def replace_place(record: RecordBytes, place: StreamPlace) -> RecordBytes:
    bare = record._replace(headers=tuple(each for each in record.headers if each[0] != "place"))
    return place_record(bare, place)


def flooded(log: Log) -> list[Written]:
    """Return segments of the hotline with junk before, between and after them."""
    written = list(islice(junk(log), JUNK))
    parts = [facts(log, 1) for _ in range(HONEST)]
    for number, part in reversed(list(enumerate(parts))):
        at = (number + 1) * 150
        written[at:at] = part
    return written


@asynccontextmanager
async def accountant(endpoint: DatabaseEndpoint) -> AsyncIterator[asyncpg.Connection]:
    async with connected(endpoint.accountant_url) as connection:
        yield connection


async def reconciled(endpoint: DatabaseEndpoint, log: Log, broker: Broker) -> tuple[list[str], list[str]]:
    """Return the differences between audit and Kafka, and the notes about junk without an author."""
    async with accountant(endpoint) as connection:
        book = Snapshot(connection, kind="audit")
        found = DifferenceList()
        check = LogCheck(cast(LogReader, broker), book, log.reading, True, log.world.at + LONG_AFTER, found)
        lives = {name: topic.topic_id for name, topic in broker.topics.items()}
        await check.compare(lives, {})
        rows = []
        for topic_id in lives.values():
            rows += await book.fetch(views.NOTES_OF_UNPROVEN.replace("GROUP", f"WHERE topic_id = '{topic_id}' GROUP"))
    return [each.what for each in found.sorted()], [row["note"] for row in rows]


async def counts(log: Log, topic: Topic) -> list[tuple[str, int, int, int]]:
    rows = await log.database.fetch(_COUNTED, topic.topic_id)
    return [(row["reason"], row["first_offset"], row["last_offset"], row["count"]) for row in rows]


async def page(log: Log, record: Record, topic: Topic) -> list[dict[str, Any]]:
    return list((await log.page(with_life(record, topic)))["items"])


async def test_many_records_of_nobody_are_few_rows_and_each_honest_message_is_an_entry(log: Log) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_AUDIT))
    records = [each for each in broker.append(*flooded(log)) if each.partition == ORDINARY]
    await log.take(broker, records_max=100)
    topic = broker.topics[MINE]
    entries = await log.database.fetch(_ENTRIES, topic.topic_id)
    assert [row["kind"] for row in entries if row["verified"]] == ["decision"] * HONEST
    odd = [row for row in entries if not row["verified"]]
    assert len(odd) == len(REASONS)
    assert {(row["problem"], row["kind"]) for row in odd} == {
        ("place_malformed", "unreadable"),
        ("proof_missing", "unproven"),
        ("key_unknown", "unreadable"),
    }
    found = {reason: count for reason, _, _, count in await counts(log, topic)}
    assert sum(found.values()) == JUNK
    assert sum(found.values()) + 2 * HONEST == len(records), "each is an entry's, a proof or counted"
    [unreadable] = [row for row in await log.database.fetch(_COUNTED, topic.topic_id) if row["reason"] == REASONS[0]]
    of_these = [each for each in records if not each.headers]
    assert tuple(unreadable)[2:4] == (of_these[0].offset, of_these[-1].offset)
    assert tuple(unreadable)[4:6] == (of_these[0].broker_time, of_these[-1].broker_time)
    [entry] = [each for each in await page(log, of_these[0], topic) if each["problem"] == REASONS[0]]
    assert unreadable["first_digest"] == entry["digest"]
    last = of_these[-1]
    assert entry["detail"] == {"count": len(of_these), "last": last.offset, "until": rfc3339(last.broker_time)}


async def test_reconciling_finds_every_place_and_counts_nobodys(log: Log, audit_endpoint: DatabaseEndpoint) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_AUDIT), *flooded(log))
    await log.take(broker)
    topic = broker.topics[MINE]
    found, notes = await reconciled(audit_endpoint, log, broker)
    assert found == []
    assert notes == [
        f"{topic.name}/1/{first} to {last}: {count} without a proven writer ({reason})"
        for reason, first, last, count in await counts(log, topic)
    ]
    partition = topic.partitions[ORDINARY]
    at = next(number for number, each in enumerate(partition.records) if number > 500 and not each.headers)
    kept, partition.records[at] = partition.records[at], replace(partition.records[at], value=b"another")
    assert (await reconciled(audit_endpoint, log, broker))[0] == ["audit has counted other records than Kafka has"]
    partition.records[at] = kept
    assert (await reconciled(audit_endpoint, log, broker))[0] == []


async def test_another_day_is_counted_apart_with_a_first_entry(log: Log, audit_endpoint: DatabaseEndpoint) -> None:
    broker = Broker()
    for day in (0, 1):
        broker.append(*islice(junk(log), 9), at=log.world.at + timedelta(days=day))
    await log.take(broker)
    topic = broker.topics[MINE]
    assert [each[3] for each in await counts(log, topic)] == [3] * 6
    assert len(await log.database.fetch(_ENTRIES, topic.topic_id)) == 6
    assert (await reconciled(audit_endpoint, log, broker))[0] == []


class Failing:
    """A database whose reply is lost: together with the transaction, or after its commit."""

    def __init__(self, database: Database, *, persisted: bool) -> None:
        self._database = database
        self._persisted = persisted
        self._left = 1

    @asynccontextmanager
    async def transaction(self, **kept: Any) -> AsyncIterator[Session]:
        async with self._database.transaction(**kept) as session:
            yield session
            self._left -= 1
            if self._left < 0 and not self._persisted:
                raise Unavailable("database_unavailable")
        if self._left < 0:
            raise Unavailable("database_unavailable")


@pytest.mark.parametrize("persisted", [False, True], ids=["failed", "failed but persisted"])
async def test_a_batch_whose_answer_was_lost_is_counted_once(log: Log, *, persisted: bool) -> None:
    """The transaction that begins the reading succeeds; the one that stores the batch fails."""
    broker, more = Broker(), junk(log)
    broker.append(*islice(more, 3))
    await log.take(broker)
    topic = broker.topics[MINE]
    broker.append(*islice(more, 6))
    with pytest.raises(Unavailable):
        await replace(log, database=cast(Database, Failing(log.database, persisted=persisted))).take(broker)
    assert sum(each[3] for each in await counts(log, topic)) == (9 if persisted else 3)
    await log.take(broker)
    broker.append(*islice(more, 3))
    await log.take(broker)
    assert [each[3] for each in await counts(log, topic)] == [4, 4, 4]
    assert len(await log.database.fetch(_ENTRIES, topic.topic_id)) == 3
    # The reader begins again at offset 0, as after a lost tail.
    await log.database.fetch("UPDATE receive_state SET ordinary_next_offset = 0 RETURNING writer")
    await log.take(broker)
    assert [each[3] for each in await counts(log, topic)] == [4, 4, 4]


async def test_what_somebody_has_signed_is_an_entry_each_time_whatever_else_is_wrong_with_it(log: Log) -> None:
    """The record's writer has proven its place."""
    honest = log.world.records([log.world.prepared().drafts[-1] for _ in range(4)])
    wrong = [
        log.world.resigned(honest[0], recipient="nobody.example"),
        log.world.resigned(honest[1], type="causeway.unheard_of.v1"),
        log.world.resigned(honest[2], sender="police-nl.example"),
        log.world.resigned(honest[3], key=SigningKey.generate()),
    ]
    for offset, each in enumerate(wrong):
        await log.keep(replace(each, offset=offset))
    topic_id = wrong[0].topic_id
    assert await log.database.fetch("SELECT FROM folded_record WHERE topic_id = $1", topic_id) == []
    rows = await log.database.fetch('SELECT kind, problem FROM entry WHERE topic_id = $1 ORDER BY "offset"', topic_id)
    assert [(row["kind"], row["problem"]) for row in rows] == [
        ("decision", "sealed_unopenable"),
        ("record", "type_unknown"),
        ("unproven", "sender_unknown"),
        ("unproven", "signature_invalid"),
    ]


async def test_without_folding_each_record_of_nobody_is_an_entry(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the first test, without folding."""
    monkeypatch.setattr("services.audit.store.appending.folded_as", lambda _: None)
    broker = Broker()
    broker.append(*islice(junk(log), 90))
    await log.take(broker)
    entries = await log.database.fetch(_ENTRIES, broker.topics[MINE].topic_id)
    assert len(entries) == 90
    assert {row["kind"] for row in entries} == {EntryKind.UNREADABLE, EntryKind.UNPROVEN}


async def test_records_that_cannot_be_read_and_have_one_value_are_told_apart(log: Log) -> None:
    """Their keys and headers differ. An entry names the exact record, even if another one was at its place."""
    topic = Topic(MINE)
    unknown = Record(MINE, 1, 0, log.world.at, b"key", (("ce_other", b"1"),), b"value", topic_id=topic.topic_id)
    unlike = [unknown, replace(unknown, key=b"another"), replace(unknown, headers=(("ce_other", b"2"),))]
    for each in unlike:
        await log.keep(each)
    rows = await log.database.fetch("SELECT kind, digest FROM entry WHERE topic_id = $1", topic.topic_id)
    assert {row["kind"] for row in rows} == {EntryKind.UNREADABLE, EntryKind.CONFLICT}
    conflicts = [row for row in rows if row["kind"] == EntryKind.CONFLICT]
    assert len(conflicts) == len(unlike) - 1, "each of the others, with the first"
