"""Problems of one topic are reported for it and never stop another: permissions, retention, lost tails, new topics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from services.audit.bus import AuditConsumer
from services.audit.domain.partitions import PartitionStatus
from shared.core.protocol.message import Record
from shared.messaging.streams import Pair
from tests.services.audit.broker import Broker, Topic, with_life
from tests.services.audit.log import Log
from tests.services.audit.test_acknowledgements import stated
from tests.services.audit.test_intake import TO_AUDIT, TO_POLICE, facts, kept, offers, opening
from tests.services.audit.test_junk_folded import reconciled
from tests.services.audit.test_one_reader import door
from tests.support.exchange_world import FROM_HOTLINE, TOPICS
from tests.support.running import until
from tests.support.wire_records import Written

pytestmark = pytest.mark.timing

MINE, OTHER = FROM_HOTLINE["audit"], FROM_HOTLINE["law_enforcement"]


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.audit.bus.TOPICS_S", 0.02)
    monkeypatch.setattr("services.audit.bus.AGAIN_S", 0.0)


@asynccontextmanager
async def audited(log: Log, broker: Broker) -> AsyncIterator[AuditConsumer]:
    reader = door(log, broker)
    reading = asyncio.create_task(reader.run())
    try:
        yield reader
    finally:
        reading.cancel()
        await asyncio.wait([reading])


def segments(log: Log, count: int) -> list[list[Written]]:
    """Return segments of one hotline fact each: a proof and a message."""
    return [facts(log, 1) for _ in range(count)]


def flat(parts: list[list[Written]]) -> list[Written]:
    return [each for part in parts for each in part]


async def has(log: Log, last: int, *, pair: Pair = TO_AUDIT) -> None:
    """Wait until audit has all numbers of the pair's ordinary lane up to this one."""

    async def holds() -> bool:
        return [row["number"] for row in await kept(log, pair) if row["lane"]] == list(range(1, last + 1))

    await until(holds, seconds_max=60)


async def stands(log: Log, topic: str, state: PartitionStatus, *, lane: int = 1) -> None:
    async def holds() -> bool:
        return (await log.partitions.noted()).get((topic, lane)) is state

    await until(holds, seconds_max=60)


async def tells(reader: AuditConsumer, reason: str) -> None:
    """Wait until the reader's check reports this reason and ready. It learns the reason a moment after the table."""

    async def holds() -> bool:
        return await reader.check() == ("reader", True, reason, None)

    await until(holds, seconds_max=60)


async def lines(log: Log, topic: Topic) -> list[dict[str, object]]:
    """Return the lines of a topic's ordinary partition in this incarnation of the topic."""
    place = Record(topic.name, 1, 0, log.world.at, None, (), None)
    return list((await log.page(with_life(place, topic)))["items"])


async def losses(log: Log, topic: Topic) -> list[dict[str, object]]:
    return [each["detail"] for each in await lines(log, topic) if each["kind"] == "loss"]  # type: ignore[misc]


async def test_a_topic_that_is_made_while_audit_reads_is_kept_from_its_first_record(log: Log) -> None:
    broker = Broker({OTHER: Topic(OTHER)})
    async with audited(log, broker):
        await stands(log, MINE, PartitionStatus.NEW)
        broker.append(*opening(log, TO_AUDIT), *facts(log, 1))
        await has(log, 1)
        await stands(log, MINE, PartitionStatus.READING)


@pytest.mark.parametrize("how", ["forbidden", "unreadable"])
async def test_a_topic_that_is_not_audits_to_read_is_named_and_keeps_no_other_waiting(log: Log, how: str) -> None:
    broker = Broker({name: Topic(name) for name in TOPICS})
    getattr(broker, how).add(OTHER)
    broker.append(*opening(log, TO_AUDIT, TO_POLICE), *facts(log, 1), *offers(log, 1))
    async with audited(log, broker) as reader:
        await has(log, 1)
        for lane in (0, 1):
            await stands(log, OTHER, PartitionStatus.FORBIDDEN, lane=lane)
        await tells(reader, "topics_forbidden")
        getattr(broker, how).clear()
        await has(log, 1, pair=TO_POLICE)
        await stands(log, OTHER, PartitionStatus.READING)
        await tells(reader, "")


async def test_what_retention_took_before_audit_came_is_a_loss_until_its_messages_have_come_again(log: Log) -> None:
    broker, parts = Broker({name: Topic(name) for name in TOPICS}), segments(log, 5)
    topic = broker.topics[MINE]
    broker.append(*opening(log, TO_AUDIT), *flat(parts[:2]))
    async with audited(log, broker):
        await has(log, 2)
    broker.append(*flat(parts[2:]))
    topic.forget_before(8)
    own = log.world.streams.outgoing[TO_AUDIT].incarnation
    broker.append(stated(log, "hotline", "audit", heads=(own, 1, 5)))
    async with audited(log, broker):
        await stands(log, MINE, PartitionStatus.GAP)
        broker.append(*flat(parts[2:]))
        await has(log, 5)
        await stands(log, MINE, PartitionStatus.READING)
    assert await losses(log, topic) == [{"first": 4, "last": 7, "reason": "retention"}]


async def test_a_lost_tail_is_a_loss_and_what_takes_its_place_is_kept_beside_what_was_there(log: Log) -> None:
    broker, parts = Broker({name: Topic(name) for name in TOPICS}), segments(log, 5)
    topic = broker.topics[MINE]
    broker.append(*opening(log, TO_AUDIT), *flat(parts[:3]))
    async with audited(log, broker):
        await has(log, 3)
        topic.lose_from(2)
        await stands(log, MINE, PartitionStatus.TRUNCATED)
        broker.append(*flat(parts[3:]))
        await has(log, 5)
        await stands(log, MINE, PartitionStatus.READING)
    assert await losses(log, topic) == [{"first": 2, "last": 5, "reason": "tail_lost"}]
    found = await lines(log, topic)
    by_number = {each["number"]: each["digest"] for each in found if each["number"]}
    named = {each["offset"]: each["detail"] for each in found if each["kind"] == "conflict"}
    assert named == {3: {"kept": by_number[2], "found": by_number[4]}, 5: {"kept": by_number[3], "found": by_number[5]}}


@pytest.mark.parametrize("reading", [True, False], ids=["while audit reads", "while audit is away"])
async def test_a_tail_lost_and_grown_again_is_a_loss(log: Log, audit_endpoint: DatabaseEndpoint, reading: bool) -> None:
    """Audit reads again from the first record that differs. It misses no message, and nothing differs."""
    broker, parts = Broker({name: Topic(name) for name in TOPICS}), segments(log, 7)
    topic = broker.topics[MINE]
    broker.append(*opening(log, TO_AUDIT), *flat(parts[:3]))

    def lose_and_grow() -> None:
        topic.lose_from(2)
        broker.append(*flat([parts[3], *parts[1:]]))

    async with audited(log, broker):
        await has(log, 3)
        if reading:
            lose_and_grow()
    if not reading:
        lose_and_grow()
    async with audited(log, broker):
        await has(log, 7)
        await stands(log, MINE, PartitionStatus.READING)
    assert await losses(log, topic) == [{"first": 3, "last": 5, "reason": "tail_lost"}]
    assert await reconciled(audit_endpoint, log, broker) == ([], [])
    async with audited(log, broker):
        broker.append(*facts(log, 1))
        await has(log, 8)
    assert len(await losses(log, topic)) == 1, "what was named once is not named again"


async def test_a_topic_made_again_is_read_anew_and_what_the_old_one_took_with_it_is_a_loss(log: Log) -> None:
    broker, parts = Broker({name: Topic(name) for name in TOPICS}), segments(log, 4)
    broker.append(*opening(log, TO_AUDIT), *flat(parts[:2]))
    before = broker.topics[MINE]
    async with audited(log, broker):
        await has(log, 2)
        broker.topics[MINE] = Topic(MINE)
        broker.append(*flat(parts[2:]))
        await has(log, 4)
    assert await losses(log, before) == [{"first": 4, "reason": "topic_made_again"}]
    assert [each["number"] for each in await lines(log, broker.topics[MINE])] == [3, 4]
