"""What partitions hold, asked over a connection of its own: a broker answers on one connection in order, and on that of
a consumer a fetch waits for records first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.offset import OffsetRequest, OffsetResetStrategy

from shared.runtime.kafka.topic_metadata import TopicDescription, describe_topics

#: A partition without a leader, or with another than was described, is asked for again, for so long.
SETTLED_S_MAX: Final = 10.0
_AGAIN_S: Final = 0.1
_NO_REPLICA: Final = -1
_READ_UNCOMMITTED: Final = 0


class Coordinate(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Bounds(NamedTuple):
    """The offsets a partition holds: from `first` up to, not including, `end`."""

    first: int
    end: int


async def bounds_of(
    client: AIOKafkaClient, described: Mapping[str, TopicDescription], *, patience_s: float = SETTLED_S_MAX
) -> dict[Coordinate, Bounds]:
    """What the partitions of these topics hold now. Raises aiokafka's errors."""
    deadline_s = asyncio.get_running_loop().time() + patience_s
    while True:
        try:
            firsts = await _offsets(client, described, OffsetResetStrategy.EARLIEST)
            ends = await _offsets(client, described, OffsetResetStrategy.LATEST)
            return {where: Bounds(first, ends[where]) for where, first in firsts.items()}
        except KafkaError as error:
            if not error.retriable or asyncio.get_running_loop().time() > deadline_s:
                raise
        await asyncio.sleep(_AGAIN_S)
        described = {**described, **await describe_topics(client, described)}


async def _offsets(
    client: AIOKafkaClient, described: Mapping[str, TopicDescription], which: int
) -> dict[Coordinate, int]:
    by_leader: dict[int, dict[str, list[tuple[int, int]]]] = {}
    for topic, each in described.items():
        for number, leader in zip(each.partitions, each.leaders, strict=True):
            by_leader.setdefault(leader.broker, {}).setdefault(topic, []).append((number, which))
    found: dict[Coordinate, int] = {}
    for broker, asked in by_leader.items():
        answer = await client.send(broker, OffsetRequest(_NO_REPLICA, _READ_UNCOMMITTED, list(asked.items())))
        for topic, partitions in answer.topics:
            for number, error_code, _, offset, *_ in partitions:
                if error_code:
                    raise for_code(error_code)()
                found[Coordinate(topic, number)] = offset
    return found
