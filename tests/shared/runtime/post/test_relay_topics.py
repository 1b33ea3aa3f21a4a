"""A topic that the broker refuses holds up its own rows and no others, and they keep their order."""

from __future__ import annotations

from typing import Any, cast

import pytest

from shared.kernel.clock import ManualClock
from shared.kernel.ids import uuid7
from shared.runtime.post.relay import Relay, RelaySettings
from tests.shared.runtime.builders import KEY
from tests.support.builders import AT, TOPIC, draft
from tests.support.memory_stores import MemoryDatabase, MemoryLog, MemoryLogWriter, MemoryOutbox

MISSING = "causeway.inbox.missing.hotline.v1"


class Sender:
    """One instance's outbox and relay, with one topic that is there and one that is not."""

    def __init__(self) -> None:
        self.clock = ManualClock(AT)
        self.database = MemoryDatabase()
        self.log = MemoryLog(self.clock, partitions=1)
        self.writer: MemoryLogWriter[MemoryLog] = MemoryLogWriter(self.log, instance="hotline")
        self.writer.missing = frozenset({MISSING})
        outbox = MemoryOutbox(self.database, instance="hotline", key=KEY)
        settings = RelaySettings(batch_rows_max=2, aside_s=10, aside_s_max=40)
        self.relay = Relay(outbox, self.writer, clock=self.clock, decide_again=cast(Any, None), settings=settings)

    async def enqueue(self, topic: str, count: int) -> list[str]:
        drafts = [draft(uuid7(), topic=topic) for _ in range(count)]
        async with self.database.transaction("enqueue") as state:
            self.database.enqueue(state, drafts)
        return [str(each.message_id) for each in drafts]

    async def send(self) -> None:
        """What a relay does until it would sleep."""
        for _ in range(50):
            if not await self.relay.publish_once() and not await self.relay.resend_overdue():
                return
        raise AssertionError("the relay spins")

    def held(self, topic: str) -> list[str]:
        return [(dict(each.headers)["ce_id"] or b"").decode() for each in self.log.partitions.get((topic, 0), [])]


@pytest.fixture
def sender() -> Sender:
    return Sender()


async def test_rows_for_other_topics_are_sent_past_those_that_the_broker_refuses(sender: Sender) -> None:
    await sender.enqueue(MISSING, 3)
    there = await sender.enqueue(TOPIC, 3)
    await sender.send()
    assert (sender.held(TOPIC), sender.held(MISSING)) == (there, [])
    assert sender.relay.check().reason == "broker_refuses"
    there += await sender.enqueue(TOPIC, 1)
    await sender.send()
    assert sender.held(TOPIC) == there


async def test_what_was_refused_is_sent_in_its_order_once_the_topic_is_there(sender: Sender) -> None:
    refused = await sender.enqueue(MISSING, 3)
    await sender.enqueue(TOPIC, 1)
    await sender.send()
    sender.writer.missing = frozenset()
    refused += await sender.enqueue(MISSING, 2)
    sender.clock.advance(9)
    await sender.send()
    assert sender.held(MISSING) == []
    sender.clock.advance(1)
    await sender.send()
    assert sender.held(MISSING) == refused
    assert sender.relay.check().reason == ""


async def test_a_topic_that_stays_away_is_tried_ever_more_rarely(sender: Sender) -> None:
    await sender.enqueue(MISSING, 1)
    tried, append = [], sender.writer.append

    async def noted(rows: Any) -> frozenset[str]:
        tried.append((sender.clock.now() - AT).total_seconds())
        return await append(rows)

    sender.writer.append = noted  # type: ignore[method-assign]
    for _ in range(20):
        await sender.send()
        sender.clock.advance(10)
    assert tried == [0, 10, 30, 70, 110, 150, 190]
