"""Forged records: what whoever holds an instance's signing key, or a login to Kafka, can put on the road.

A forger is honest in form: real drafts, sealed, proven and placed as a relay would append them. Only who signs, for
whom, in which stream and through whose login is the test's to choose. Other bytes under an honest proof, and proofs
that do not hold, are made by `World.resigned` and `tests/shared/exchange/wrong_records.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from aiokafka import AIOKafkaProducer

from shared.contracts.directory import Directory
from shared.contracts.policy import Policy
from shared.envelope.keys import OpeningKey, SigningKey
from shared.exchange.message import Draft, Record
from shared.kernel.clock import SystemClock
from shared.kernel.ids import uuid4
from shared.messaging.segments import RecordBytes
from shared.messaging.streams import Lane, LaneEnd, Pair
from shared.runtime.kafka.access import KafkaAccess
from tests.support.exchange_world import INSTANCES, Keys, World
from tests.support.wire_records import Streams, Written, begin, verify


def installed_world(state: Path) -> World:
    """The world of a running installation: its instances' own keys, and the documents that it began with.

    `state` is the folder of the installation. What is prepared in this world is decided as the instances decide it.
    """
    keys = {}
    for name in INSTANCES:
        folder = state / "keys" / name
        signing = SigningKey.load((folder / "signing.key").read_text())
        keys[name] = Keys(signing, OpeningKey.load((folder / "opening.key").read_text()))
    directory = Directory.model_validate_json((state / "directory.json").read_bytes())
    policy = Policy.model_validate_json((state / "policy.json").read_bytes())
    return World(keys, directory, policy, at=SystemClock().now())


def forge(world: World, drafts: Iterable[Draft], *, instance: str, key: SigningKey | None = None) -> list[Written]:
    """The drafts as the records that `instance` appends, in streams of an incarnation that it never had.

    They are proven with the instance's own key unless another is given: then the records name that key.
    """
    return world.anew().written(drafts, instance, key=key)


def forged(world: World, drafts: Iterable[Draft], *, instance: str, key: SigningKey | None = None) -> list[Record]:
    """The forged drafts as `accept` gets them: those whose place proves something."""
    return verify(forge(world, drafts, instance=instance, key=key), Streams(), at=world.at, keys=world.place_key)


def take_up(world: World, pair: Pair, incarnation: UUID, *, ends: tuple[LaneEnd, LaneEnd]) -> None:
    """Let the next records of this pair continue its streams behind these ends: their reader takes them as its own."""
    streams = begin(pair, world.at, incarnation)
    for lane, end in zip(streams.lanes, ends, strict=True):
        lane.last, lane.chain = end
    world.streams.outgoing[pair] = streams


def junk(pair: Pair, lane: Lane) -> Written:
    """Bytes that are no message, for one partition."""
    return Written(pair, lane, RecordBytes(b"", (), uuid4().bytes))


async def write(
    access: KafkaAccess, records: Sequence[Written], *, topic: str | None = None, lane: Lane | None = None
) -> list[int]:
    """Append the records through somebody's login, one after the other; the offset of each.

    They go to the topics and lanes that they name unless others are given. Raises the broker's own error where the
    login may not write.
    """
    async with _producer(access) as producer:
        offsets = []
        for each in records:
            sent = await producer.send_and_wait(
                topic or each.topic,
                each.record.value,
                each.record.key,
                partition=int(each.lane if lane is None else lane),
                headers=list(each.record.headers),
            )
            offsets.append(sent.offset)
        return offsets


@asynccontextmanager
async def _producer(access: KafkaAccess) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**access.client_options("forging"))
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()
