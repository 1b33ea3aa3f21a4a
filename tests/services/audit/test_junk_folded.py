"""What is nobody's costs audit a few rows a day, however much of it comes; what is somebody's has its entry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import cycle, islice
from typing import Any, cast

import pytest

from deploy.accounting import views
from deploy.accounting.books import counted
from deploy.accounting.log import LogCheck
from deploy.accounting.book import Book
from services.audit.domain.entries import EntryKind
from services.audit.domain.reading import Reading
from shared.envelope.headers import PROOF
from shared.envelope.keys import SigningKey
from shared.envelope.sealing import Opener
from shared.exchange.message import Record
from shared.kernel.clock import ManualClock, rfc3339
from shared.kernel.errors import Unavailable
from shared.kernel.ids import uuid7
from shared.runtime.database.transactions import Database, Session
from shared.runtime.kafka.bounds import Bounds
from shared.runtime.kafka.reader import LogReader
from shared.runtime.post.ports import Coordinate
from tests.services.audit.log import Log
from tests.services.audit.test_marks import facts
from tests.support.exchange_world import LONG_AFTER, later, public_key

_COUNTED = """
SELECT partition, reason, first_offset, last_offset, first_at, last_at, first_digest, count FROM folded_record
WHERE topic_id = $1 ORDER BY partition, reason
"""
_ENTRIES = """
SELECT partition, "offset", previous_offset, kind, problem, message_id, verified FROM entry
WHERE topic_id = $1 ORDER BY partition, "offset"
"""
#: In each of two partitions.
JUNK, HONEST = 1_000, 5
#: In the order in which they come.
REASONS = ("header_missing", "proof_missing", "key_unknown")


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)


def junk(log: Log) -> Iterator[Record]:
    """Without end: bytes, what nobody has signed, and what nobody's key has."""
    [honest] = facts(log, 1)
    unsigned = replace(honest, headers=tuple(each for each in honest.headers if each[0] not in PROOF))
    foreign = log.world.resigned(honest, key=SigningKey.generate())
    for each in cycle((None, unsigned, foreign)):
        yield each or replace(honest, headers=(), value=uuid7().bytes)


def numbered(records: Sequence[Record], *, partition: int = 0, first: int = 0) -> list[Record]:
    """As the topic has them, one a millisecond."""
    return [
        replace(
            each,
            partition=partition,
            offset=first + number,
            broker_time=each.broker_time + timedelta(milliseconds=first + number),
        )
        for number, each in enumerate(records)
    ]


def flooded(log: Log, partition: int) -> list[Record]:
    """Honest records with junk before, between and behind them."""
    records = list(islice(junk(log), JUNK))
    for number, honest in enumerate(facts(log, HONEST)):
        records.insert((number + 1) * 150, honest)
    return numbered(records, partition=partition)


@dataclass
class Held:
    """The topic as Kafka has it now."""

    records: Sequence[Record]

    async def bounds(self) -> dict[Coordinate, Bounds]:
        found = {Coordinate(each.topic, each.partition): each.offset + 1 for each in self.records}
        return {place: Bounds(0, end) for place, end in found.items()}

    async def read_range(self, where: Coordinate, first: int, end: int) -> AsyncIterator[list[Record]]:
        yield [each for each in self.records if each.partition == where.partition and first <= each.offset < end]


async def reconciled(log: Log, records: Sequence[Record]) -> tuple[list[str], list[str]]:
    """What differs from what Kafka has, and what is noted of what is nobody's."""
    opener = Opener([log.world.keys["audit"].opening])
    reading = Reading(log.world.shelf, opener, ManualClock(log.world.at + LONG_AFTER))
    async with log.database.transaction() as session:
        book = Book(session.driver, kind="audit")
        check = LogCheck(cast(LogReader, Held(records)), book, reading, True, log.world.at + LONG_AFTER)
        found = [each.what async for each in check.differences({records[0].topic: log.topic_id}, {})]
        rows = await book.fetch(views.NOBODYS.replace("WHERE", f"WHERE topic_id = '{log.topic_id}' AND"))
    return found, [counted(row) for row in rows]


async def counts(log: Log) -> list[tuple[int, str, int, int, int]]:
    rows = await log.database.fetch(_COUNTED, log.topic_id)
    return [(row["partition"], row["reason"], row["first_offset"], row["last_offset"], row["count"]) for row in rows]


async def test_two_thousand_records_of_nobody_are_few_rows_and_each_honest_one_is_an_entry(log: Log) -> None:
    both = [flooded(log, 0), flooded(log, 1)]
    together = [each for pair in zip(*both, strict=True) for each in pair]
    for first in range(0, len(together), 300):
        await log.keep(*together[first : first + 300])

    entries = await log.database.fetch(_ENTRIES, log.topic_id)
    honest = [row for row in entries if row["verified"]]
    assert len(honest) == 2 * HONEST
    assert all(row["previous_offset"] == row["offset"] - 1 for row in honest), "each after what was read before it"
    firsts = [(row["partition"], row["offset"], row["problem"]) for row in entries if not row["verified"]]
    assert firsts == [(part, at, what) for part in (0, 1) for at, what in enumerate(REASONS)]

    rows = await log.database.fetch(_COUNTED, log.topic_id)
    each_reason = [(part, what) for part in (0, 1) for what in sorted(REASONS)]
    assert [(row["partition"], row["reason"]) for row in rows] == each_reason
    for partition in (0, 1):
        mine = [row["count"] for row in rows if row["partition"] == partition]
        assert sum(mine) + HONEST == len(both[partition]), "every place is an entry's or counted"
    [unreadable] = [row for row in rows if (row["partition"], row["reason"]) == (1, "header_missing")]
    of_these = [each for each in both[1] if not each.headers]
    assert tuple(unreadable)[2:4] == (of_these[0].offset, of_these[-1].offset)
    assert tuple(unreadable)[4:6] == (of_these[0].broker_time, of_these[-1].broker_time)
    [entry] = [each for each in (await log.page(of_these[0]))["items"] if each["kind"] == "unreadable"]
    assert unreadable["first_digest"] == entry["digest"]
    last = of_these[-1]
    assert entry["detail"] == {"count": len(of_these), "last": last.offset, "until": rfc3339(last.broker_time)}


async def test_reconciling_finds_every_place_and_says_how_much_was_nobodys(log: Log) -> None:
    records = flooded(log, 0)
    await log.keep(*records)
    topic = records[0].topic
    found, notes = await reconciled(log, records)
    assert found == []
    assert notes == [
        f"{topic}/0/{first} to {last}: {count} that nobody has proven to have written ({reason})"
        for _, reason, first, last, count in await counts(log)
    ]

    without = [each for each in records if each.offset != 500]
    other = [replace(each, value=b"another") if each.offset == 501 else each for each in records]
    assert not records[501].headers
    for changed in (without, other):
        assert (await reconciled(log, changed))[0] == ["audit has counted other records than Kafka has"]
    lacking = replace(log, topic_id=uuid7())
    await lacking.keep(*records[:150], *records[151:])
    assert (await reconciled(lacking, records))[0] == ["in Kafka, not in audit's log"], "an honest one is not counted"


async def test_another_day_is_counted_by_itself_and_its_first_is_an_entry(log: Log) -> None:
    records = numbered(list(islice(junk(log), 9)))
    after = [later(each, timedelta(days=1)) for each in numbered(records, first=9)]
    await log.keep(*records, *after)
    assert [each[4] for each in await counts(log)] == [3] * 6
    assert len(await log.database.fetch(_ENTRIES, log.topic_id)) == 6
    assert (await reconciled(log, [*records, *after]))[0] == []


class Failing:
    """A database whose answer is lost: with the transaction, or after it was committed."""

    def __init__(self, database: Database, *, persisted: bool) -> None:
        self._database = database
        self._persisted = persisted

    @asynccontextmanager
    async def transaction(self, **kept: Any) -> AsyncIterator[Session]:
        async with self._database.transaction(**kept) as session:
            yield session
            if not self._persisted:
                raise Unavailable("database_unavailable")
        raise Unavailable("database_unavailable")


@pytest.mark.parametrize("persisted", [False, True], ids=["failed", "failed but persisted"])
async def test_a_batch_whose_answer_was_lost_is_counted_once(log: Log, *, persisted: bool) -> None:
    records = numbered(list(islice(junk(log), 12)))
    await log.keep(*records[:3])
    with pytest.raises(Unavailable):
        await replace(log, database=cast(Database, Failing(log.database, persisted=persisted))).keep(*records[3:9])
    assert sum(each[4] for each in await counts(log)) == (9 if persisted else 3)
    await log.keep(*records[3:9])
    await log.keep(*records[6:])
    assert [each[4] for each in await counts(log)] == [4, 4, 4]
    assert len(await log.database.fetch(_ENTRIES, log.topic_id)) == 3
    # Begun again from the first, as behind a lost tail.
    await log.database.fetch("UPDATE cursor SET next_offset = 0, digest = NULL WHERE topic_id = $1", log.topic_id)
    await log.keep(*records)
    assert [each[4] for each in await counts(log)] == [4, 4, 4]


async def test_what_was_somebodys_when_it_was_read_stays_an_entry_though_its_key_is_revoked(log: Log) -> None:
    records = numbered(facts(log, 3))
    await log.keep(*records)
    key = log.world.keys["hotline"].signing.verify_key
    revoked = public_key(key, "sign").model_copy(update={"revoked_at": log.world.at + timedelta(days=1)})
    instances = [
        each.model_copy(update={"keys": (revoked,)}) if each.id == "hotline" else each
        for each in log.world.document.instances
    ]
    changed = log.world.document.model_copy(update={"version": 2, "instances": tuple(instances)})
    log.world.place(changed, log.world.at + timedelta(days=1))
    await log.database.fetch("UPDATE cursor SET next_offset = 0, digest = NULL WHERE topic_id = $1", log.topic_id)
    [further] = numbered(facts(log, 1), first=3)
    await log.keep(*records, further)
    found = {each["offset"]: each for each in (await log.page(further))["items"]}
    assert [found[each.offset]["kind"] for each in records] == ["decision"] * 3
    assert (found[3]["kind"], found[3]["problem"]) == ("unproven", "key_revoked")
    assert await counts(log) == [(0, "key_revoked", 3, 3, 1)]
    assert (await reconciled(log, [*records, further]))[0] == []


async def test_what_somebody_has_signed_is_an_entry_each_time_whatever_else_is_wrong_with_it(log: Log) -> None:
    honest = facts(log, 3)
    wrong = [
        log.world.resigned(honest[0], sequence=0, previous=None),
        log.world.resigned(honest[1], recipient="nobody.example"),
        log.world.resigned(honest[2], type="causeway.unheard_of.v1"),
    ]
    records = numbered([each for pair in zip(wrong, wrong, strict=True) for each in pair])
    await log.keep(*records)
    assert await counts(log) == []
    assert len(await log.database.fetch(_ENTRIES, log.topic_id)) == len(records)


async def test_without_folding_each_record_of_nobody_is_an_entry(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The red case of the first: the protection switched off."""
    monkeypatch.setattr("services.audit.store.appending.folded_as", lambda _: None)
    await log.keep(*numbered(list(islice(junk(log), 300))))
    entries = await log.database.fetch(_ENTRIES, log.topic_id)
    assert len(entries) == 300
    assert {row["kind"] for row in entries} == {EntryKind.UNREADABLE, EntryKind.UNPROVEN}


async def test_records_that_cannot_be_read_and_have_one_value_are_told_apart(log: Log) -> None:
    """By their keys and headers too: an entry names the very record, also where another lay at its place."""
    [honest] = facts(log, 1)
    unknown = replace(honest, headers=(*honest.headers, ("ce_other", b"1")))
    unlike = [
        unknown,
        replace(unknown, key=b"another"),
        replace(unknown, headers=tuple((n, b"x" if n == "ce_sender" else v) for n, v in unknown.headers)),
    ]
    for each in unlike:
        await log.keep(each)
    rows = await log.database.fetch("SELECT kind, digest FROM entry WHERE topic_id = $1", log.topic_id)
    assert {row["kind"] for row in rows} == {EntryKind.UNREADABLE, EntryKind.CONFLICT}
    conflicts = [row for row in rows if row["kind"] == EntryKind.CONFLICT]
    assert len(conflicts) == len(unlike) - 1, "each of the others, with the first"
