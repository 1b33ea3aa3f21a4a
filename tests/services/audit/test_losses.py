"""What happens to one topic is said of it, and never stops another: rights, retention, lost and refilled tails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from services.audit.bus import AuditDoor
from services.audit.domain.partitions import PartitionStatus
from shared.envelope.headers import PROOF
from shared.exchange.message import Record
from shared.runtime.database.transactions import Database
from tests.services.audit.broker import Broker, Topic
from tests.services.audit.log import Log, identity
from tests.services.audit.test_one_reader import door
from tests.support.exchange_world import FROM_HOTLINE, TOPICS
from tests.support.running import until

pytestmark = pytest.mark.timing

MINE, OTHER = FROM_HOTLINE["audit"], FROM_HOTLINE["law_enforcement"]


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.audit.bus.TOPICS_S", 0.02)
    monkeypatch.setattr("services.audit.bus.AGAIN_S", 0.0)


@pytest.fixture
async def log(database: Database) -> Log:
    """Nothing of the tests before is in the tables that topics are followed by."""
    async with database.transaction() as session:
        await session.driver.execute("DELETE FROM cursor; DELETE FROM partition_state; DELETE FROM pair_taken")
    return Log(database)


@asynccontextmanager
async def audited(log: Log, broker: Broker) -> AsyncIterator[AuditDoor]:
    reader = door(log, broker)
    reading = asyncio.create_task(reader.run())
    try:
        yield reader
    finally:
        reading.cancel()
        await asyncio.wait([reading])


def filed(log: Log, count: int) -> list[Record]:
    """So many records of the hotline's for audit alone."""
    return log.world.records([log.world.prepared().drafts[-1] for _ in range(count)])


async def kept(log: Log, broker: Broker, topic: str = MINE) -> list[dict[str, object]]:
    """The lines of a topic in its present life."""
    of = replace(log, topic_id=broker.topics[topic].topic_id)
    record = Record(topic, 0, 0, log.world.at, None, (), None)
    return list((await of.page(record))["items"])


async def has(log: Log, broker: Broker, *records: Record, topic: str = MINE) -> None:
    """Wait until audit has kept these."""

    async def holds() -> bool:
        found = {each["message_id"] for each in await kept(log, broker, topic)}
        return {str(identity(each)[0]) for each in records} <= found

    await until(holds, seconds_max=60)


async def stands(log: Log, topic: str, state: PartitionStatus) -> None:
    async def holds() -> bool:
        return (await log.partitions.noted()).get((topic, 0)) is state

    await until(holds, seconds_max=60)


async def tells(reader: AuditDoor, reason: str) -> None:
    """Wait until its check says so, and that it is ready: it knows a moment after the table does."""

    async def holds() -> bool:
        return await reader.check() == ("reader", True, reason, None)

    await until(holds, seconds_max=60)


def losses(lines: list[dict[str, object]]) -> list[dict[str, object]]:
    return [each["detail"] for each in lines if each["kind"] == "loss"]  # type: ignore[misc]


async def test_a_topic_that_is_made_while_audit_reads_is_kept_from_its_first_record(log: Log) -> None:
    broker = Broker({OTHER: Topic(OTHER)})
    async with audited(log, broker):
        await stands(log, MINE, PartitionStatus.NEW)
        (record,) = filed(log, 1)
        broker.topics[MINE] = Topic(MINE)
        broker.topics[MINE].append(record)
        await has(log, broker, record)
        await stands(log, MINE, PartitionStatus.READING)
    assert [(each["offset"], each["previous_offset"]) for each in await kept(log, broker)] == [(0, None)]


@pytest.mark.parametrize("how", ["forbidden", "unreadable"])
async def test_a_topic_that_is_not_audits_to_read_is_named_and_keeps_no_other_waiting(log: Log, how: str) -> None:
    broker = Broker({name: Topic(name) for name in TOPICS})
    getattr(broker, how).add(OTHER)
    records = filed(log, 2)
    broker.topics[MINE].append(records[0])
    broker.topics[OTHER].append(records[1])
    async with audited(log, broker) as reader:
        await has(log, broker, records[0])
        await stands(log, OTHER, PartitionStatus.FORBIDDEN)
        await tells(reader, "topics_forbidden")
        getattr(broker, how).clear()
        await has(log, broker, records[1], topic=OTHER)
        await stands(log, OTHER, PartitionStatus.READING)
        await tells(reader, "")


async def test_what_retention_took_before_audit_came_is_a_loss_and_audit_reads_on_behind_it(log: Log) -> None:
    broker, records = Broker({name: Topic(name) for name in TOPICS}), filed(log, 9)
    topic = broker.topics[MINE]
    topic.append(*records[:3])
    async with audited(log, broker):
        await has(log, broker, *records[:3])
    topic.append(*records[3:6])
    topic.forget_before(5)
    async with audited(log, broker):
        await has(log, broker, records[5])
        # Numbers 4 and 5 are missing until they come again.
        await stands(log, MINE, PartitionStatus.GAP)
        topic.append(*records[6:])
        await has(log, broker, *records[6:])
        topic.append(*records[3:5])
        await stands(log, MINE, PartitionStatus.READING)
    lines = await kept(log, broker)
    assert [(each["first"], each["last"], each["reason"]) for each in losses(lines)] == [(3, 4, "retention")]


async def test_a_lost_tail_is_a_loss_and_what_takes_its_place_is_kept_beside_what_was_there(log: Log) -> None:
    broker, records = Broker({name: Topic(name) for name in TOPICS}), filed(log, 8)
    topic = broker.topics[MINE]
    topic.append(*records[:5])
    async with audited(log, broker):
        await has(log, broker, *records[:5])
        topic.lose_from(3)
        await stands(log, MINE, PartitionStatus.TRUNCATED)
        topic.append(*records[5:])
        await has(log, broker, *records)
        await stands(log, MINE, PartitionStatus.READING)
    lines = await kept(log, broker)
    assert [(each["first"], each["last"], each["reason"]) for each in losses(lines)] == [(3, 4, "tail_lost")]
    conflicts = {each["offset"]: each["detail"] for each in lines if each["kind"] == "conflict"}
    assert conflicts == {
        3: {"kept": identity(records[3])[1], "found": identity(records[5])[1]},
        4: {"kept": identity(records[4])[1], "found": identity(records[6])[1]},
    }
    assert len([each for each in lines if each["kind"] == "decision"]) == len(records)


@pytest.mark.parametrize("reading", [True, False], ids=["while audit reads", "while audit is away"])
async def test_a_tail_that_is_lost_and_grown_again_before_audit_looks_is_read_all_the_same(
    log: Log, reading: bool
) -> None:
    broker, records = Broker({name: Topic(name) for name in TOPICS}), filed(log, 12)
    topic = broker.topics[MINE]
    topic.append(*records[:5])

    def lose_and_grow() -> None:
        topic.lose_from(2)
        topic.append(*records[5:])

    async with audited(log, broker):
        await has(log, broker, *records[:5])
        if reading:
            lose_and_grow()
            await has(log, broker, *records)
    if not reading:
        lose_and_grow()
        async with audited(log, broker):
            await has(log, broker, *records)
    lines = await kept(log, broker)
    assert [(each["first"], each["reason"]) for each in losses(lines)] == [(4, "tail_refilled")]
    assert {each["offset"] for each in lines if each["kind"] == "conflict"} == {2, 3, 4}


@pytest.mark.parametrize("unlike", ["another key", "no proof"])
async def test_a_last_record_in_whose_place_the_same_message_lies_otherwise_is_another(log: Log, unlike: str) -> None:
    """All of it counts for its place, not only what its sender signed."""
    broker, records = Broker({name: Topic(name) for name in TOPICS}), filed(log, 4)
    topic = broker.topics[MINE]
    topic.append(*records[:3])
    last = records[2]
    unproven = replace(last, headers=tuple(each for each in last.headers if each[0] not in PROOF))
    async with audited(log, broker):
        await has(log, broker, *records[:3])
        topic.lose_from(2)
        topic.append(unproven if unlike == "no proof" else replace(last, key=b"another"), records[3])
        await has(log, broker, records[3])
    lost = losses(await kept(log, broker))
    assert [(each["first"], each["reason"]) for each in lost] == [(2, "tail_refilled")]


async def test_without_the_last_records_digest_a_tail_that_has_grown_again_is_missed(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The red case of the one above: the protection switched off."""
    monkeypatch.setattr("services.audit.bus._Work._is_news", lambda *_: True)
    broker, records = Broker({name: Topic(name) for name in TOPICS}), filed(log, 12)
    topic = broker.topics[MINE]
    topic.append(*records[:5])
    async with audited(log, broker):
        await has(log, broker, *records[:5])
        topic.lose_from(2)
        topic.append(*records[5:])
        await has(log, broker, records[-1])
    found = {each["message_id"] for each in await kept(log, broker)}
    assert str(identity(records[5])[0]) not in found


async def test_a_topic_made_again_is_read_anew_and_what_the_old_one_took_with_it_is_a_loss(log: Log) -> None:
    broker, records = Broker({name: Topic(name) for name in TOPICS}), filed(log, 4)
    broker.topics[MINE].append(*records[:2])
    before = broker.topics[MINE].topic_id
    async with audited(log, broker):
        await has(log, broker, *records[:2])
        broker.topics[MINE] = Topic(MINE)
        broker.topics[MINE].append(*records[2:])
        await has(log, broker, *records[2:])
    old = replace(log, topic_id=before)
    lines = (await old.page(Record(MINE, 0, 0, log.world.at, None, (), None)))["items"]
    assert [(each["first"], each["reason"]) for each in losses(lines)] == [(2, "topic_made_again")]
    assert [each["kind"] for each in await kept(log, broker)] == ["decision", "decision"]
