"""Ids and partitions of topics, and the first and last offsets of partitions.

Metadata API (key 3) version 12 has topic ids (KIP-516); aiokafka's own requests do not. Offsets are requested over a
separate connection: a broker answers in order, and on a consumer's connection a fetch waits for records first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.offset import OffsetRequest, OffsetResetStrategy
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

#: TOPIC_AUTHORIZATION_FAILED: the login may not know whether the topic exists.
_FORBIDDEN: Final = 29
#: Also UNKNOWN_TOPIC_OR_PARTITION: the topic does not exist, or the login may not know it.
_ABSENT: Final = frozenset({3, _FORBIDDEN})


class Leader(NamedTuple):
    """The broker that leads a partition, -1 for none. `epoch` rises with each change that can change the log."""

    broker: int
    epoch: int


class TopicDescription(NamedTuple):
    """A topic's id, partitions and the leader of each. A topic that is created again has another `topic_id`."""

    topic_id: UUID
    partitions: tuple[int, ...]
    leaders: tuple[Leader, ...] = ()


class Topics(NamedTuple):
    """Topics that the login may describe, and requested topics that it may not."""

    described: Mapping[str, TopicDescription]
    forbidden: frozenset[str]


@asynccontextmanager
async def metadata_client(client_options: Mapping[str, Any]) -> AsyncIterator[AIOKafkaClient]:
    """Connect a client for `describe_topics`. Raises aiokafka's errors."""
    client = AIOKafkaClient(**client_options)
    try:
        await client.bootstrap()
        yield client
    finally:
        await client.close()


async def describe_topics(client: AIOKafkaClient, topics: Iterable[str]) -> dict[str, TopicDescription]:
    """Describe those of `topics` that exist and may be described. Raises aiokafka's errors."""
    return dict((await look_up_topics(client, topics)).described)


async def look_up_topics(client: AIOKafkaClient, topics: Iterable[str]) -> Topics:
    """Find those of `topics` that exist, and those that may not be described. Raises aiokafka's errors."""
    return await _looked_up(client, _Metadata(tuple(topics)))


async def describe_topics_under(client: AIOKafkaClient, prefix: str) -> dict[str, TopicDescription]:
    """Describe all topics that have this prefix and may be described. Raises aiokafka's errors."""
    found = (await _looked_up(client, _Metadata(None))).described
    return {name: each for name, each in found.items() if name.startswith(prefix)}


async def _looked_up(client: AIOKafkaClient, request: _Metadata) -> Topics:
    answer = await client.send(client.get_random_node(), request)
    found: dict[str, TopicDescription] = {}
    forbidden: set[str] = set()
    for error_code, name, high, low, _internal, partitions, *_ in answer.topics:
        if error_code == 0:
            topic_id = UUID(int=((high % 2**64) << 64) | (low % 2**64))
            of = sorted((number, Leader(broker, epoch)) for _, number, broker, epoch, *_ in partitions)
            found[name] = TopicDescription(topic_id, tuple(each for each, _ in of), tuple(each for _, each in of))
        elif error_code == _FORBIDDEN:
            forbidden.add(name)
        elif error_code not in _ABSENT:
            raise for_code(error_code)()
    return Topics(found, frozenset(forbidden))


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id_high", Int64),
                ("topic_id_low", Int64),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_id_high", Int64),
                ("topic_id_low", Int64),
                ("name", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Metadata(Request[_MetadataRequest]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: tuple[str, ...] | None) -> None:
        """Build a request. `None` asks for every topic that may be described."""
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequest]) -> _MetadataRequest:
        requested: list[tuple[int, int, str, dict[str, object]]] | None
        requested = None if self._topics is None else [(0, 0, topic, {}) for topic in self._topics]
        return request_struct_class(requested, False, False, {})


#: The time for retries of a partition without a leader, or with another leader than described.
SETTLED_S_MAX: Final = 10.0
_AGAIN_S: Final = 0.1
_NO_REPLICA: Final = -1
_READ_UNCOMMITTED: Final = 0


class Coordinate(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Offsets(NamedTuple):
    """The offsets that a partition holds: from `first` to before `end`."""

    first: int
    end: int


async def bounds_of(client: AIOKafkaClient, described: Mapping[str, TopicDescription]) -> dict[Coordinate, Offsets]:
    """Return the present offsets of these topics' partitions. Raises aiokafka's errors."""
    firsts = await ends_of(client, described, OffsetResetStrategy.EARLIEST)
    ends = await ends_of(client, described)
    return {where: Offsets(first, ends[where]) for where, first in firsts.items()}


async def ends_of(
    client: AIOKafkaClient, described: Mapping[str, TopicDescription], which: int = OffsetResetStrategy.LATEST
) -> dict[Coordinate, int]:
    """Return the offset at which each partition ends, or begins (`EARLIEST`). Raises aiokafka's errors."""
    deadline_s = asyncio.get_running_loop().time() + SETTLED_S_MAX
    while True:
        try:
            return await _offsets(client, described, which)
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
    for broker, wanted in by_leader.items():
        answer = await client.send(broker, OffsetRequest(_NO_REPLICA, _READ_UNCOMMITTED, list(wanted.items())))
        for topic, partitions in answer.topics:
            for number, error_code, _, offset, *_ in partitions:
                if error_code:
                    raise for_code(error_code)()
                found[Coordinate(topic, number)] = offset
    return found
