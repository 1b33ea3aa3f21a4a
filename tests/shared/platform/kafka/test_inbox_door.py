"""Records arrive unchanged, once and in order, with any content, from real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from faststream.kafka import KafkaBroker

from shared.core.ids import uuid7
from shared.core.protocol.authority import inbox_topic
from shared.core.protocol.message import Record
from shared.platform.kafka.access import KafkaAccess
from shared.platform.kafka.inbox_door import PartitionReader, wait_for_records
from shared.platform.kafka.reader import LogReader
from shared.platform.kafka.topic_metadata import Coordinate
from tests.support.running import until

HOSTILE: list[tuple[bytes | None, Any]] = [
    (b"not json at all \xff\xfe", [("ce_id", b"\xff\xfe\xfd")]),
    (None, [("ce_id", None)]),
    (b"", []),
    (b"{}", [("ce_type", b"\x00"), ("ce_type", b"twice"), ("é", b"x")]),
    (b"{}", [("content-type", b"\xff"), ("correlation_id", b"\xff")]),
]


class Collected:
    """The records that an `PartitionReader` has delivered."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def take(self, records: Sequence[Record]) -> None:
        self.records += records

    def door(self, access: KafkaAccess) -> PartitionReader:
        return PartitionReader(access, client_id="edges-door", handle=self.take)

    @asynccontextmanager
    async def reading(self, access: KafkaAccess, topic: str) -> AsyncIterator[PartitionReader]:
        door = self.door(access)
        async with door.open({Coordinate(topic, 0): 0, Coordinate(topic, 1): 0}):
            yield door

    async def has(self, count: int) -> bool:
        return len(self.records) >= count

    async def until(self, count: int) -> None:
        await until(lambda: self.has(count))


@pytest.fixture
def topic(inbox: str) -> str:
    return inbox


async def test_a_hostile_record_never_takes_down_the_ones_beside_it(
    access: KafkaAccess, topic: str, produce: Callable[..., None]
) -> None:
    produce(b"good 1")
    for value, headers in HOSTILE:
        produce(value, headers=headers)
    produce(b"good 2")
    collected = Collected()
    async with collected.reading(access, topic):
        await collected.until(7)
    assert [record.value for record in collected.records] == [b"good 1", *(value for value, _ in HOSTILE), b"good 2"]
    assert [list(record.headers) for record in collected.records[1:-1]] == [headers for _, headers in HOSTILE]
    assert [record.offset for record in collected.records] == list(range(7))


async def test_faststreams_own_parser_would_lose_the_whole_batch(
    access: KafkaAccess, topic: str, produce: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Negative control of the hostile records: the same subscriber, with the parser of FastStream.
    async def parse(raw: Any, original: Any) -> Any:
        return await original(raw)

    monkeypatch.setattr("shared.platform.kafka.inbox_door._parse", parse)
    produce(b"good 1")
    produce(b"{}", headers=[("ce_id", b"\xff")])
    collected = Collected()
    async with collected.reading(access, topic), asyncio.timeout(60):
        # Records that are read together with the first two are lost with them, so single ones follow.
        while not collected.records:
            produce(b"good 2")
            await asyncio.sleep(0.1)
    assert {record.value for record in collected.records} == {b"good 2"}


async def test_with_faststreams_defaults_a_reply_to_header_publishes(
    access: KafkaAccess, topic: str, new_topic: Callable[..., str], produce: Callable[..., None]
) -> None:
    # Negative control of the reply: a subscriber without our options.
    elsewhere = new_topic(1)
    broker = KafkaBroker(access.bootstrap_servers, security=access.security(), logger=None)

    @broker.subscriber(topic, batch=True, auto_offset_reset="earliest", group_id=f"edges_{uuid7().hex}")
    async def reply(_: list[Any]) -> str:
        return "published"

    produce(b"{}", headers=[("reply_to", elsewhere.encode()), ("correlation_id", b"1")])
    reader = LogReader(access, [elsewhere], client_id="edges-test")
    await broker.start()
    async with asyncio.timeout(60):
        while (await reader.bounds())[Coordinate(elsewhere, 0)].end == 0:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.1)
    await broker.stop()


async def test_lag_counts_records_that_were_not_read_yet(
    access: KafkaAccess, topic: str, produce: Callable[..., None]
) -> None:
    collected = Collected()
    assert await collected.door(access).lag() == 0
    async with collected.reading(access, topic) as door:
        produce(b"1")
        await collected.until(1)
        assert await door.lag() == 0


class Quiet:
    """A Kafka client as FastStream uses it. A record comes after 0.3 s of waiting, and all waits are simulated."""

    def __init__(self) -> None:
        self.asked = 0
        self.quiet_ms = 300

    async def getmany(self, *, timeout_ms: int, max_records: int | None) -> dict[str, list[str]]:
        self.asked += 1
        await asyncio.sleep(0)
        waited_ms = min(timeout_ms, self.quiet_ms)
        self.quiet_ms -= waited_ms
        return {} if self.quiet_ms or not waited_ms else {"partition": ["record"]}


async def fetched(access: KafkaAccess, client: Any) -> Any:
    """Return the records that an `PartitionReader` receives after a quiet time."""
    _, subscriber = Collected().door(access).declare([Coordinate(inbox_topic("hotline", "any"), 0)])
    while not (records := await subscriber.get_msg(client)):
        pass
    return records


async def test_a_quiet_door_is_woken_by_a_record_and_hardly_asks(access: KafkaAccess) -> None:
    asking, waiting = Quiet(), Quiet()
    wait_for_records(waiting)
    assert await fetched(access, waiting) == await fetched(access, asking) == ("record",)
    assert waiting.asked == 2
    # Negative control: FastStream alone.
    assert asking.asked > 3
