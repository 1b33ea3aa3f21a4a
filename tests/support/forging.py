"""Forged records, as an attacker with an instance's signing key or a Kafka login can append them.

The form is honest: real drafts, sealed, proven and placed as a relay would append them. The test only chooses the
signer, the party, the stream and the login. Other bytes under an honest proof, and invalid proofs, are made by
`World.resigned` and `tests/shared/core/protocol/wrong_records.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from aiokafka import AIOKafkaProducer

from shared.core.clock import SystemClock
from shared.core.contracts.directory import Directory
from shared.core.contracts.policy import Policy
from shared.core.envelope.keys import OpeningKey, SigningKey
from shared.core.ids import uuid4
from shared.core.protocol.message import Draft, Record
from shared.messaging.segments import RecordBytes
from shared.messaging.streams import Lane, LaneEnd, Pair
from shared.platform.kafka.access import KafkaAccess
from tests.support.exchange_world import INSTANCES, Keys, World
from tests.support.wire_records import Streams, Written, begin, verify


def installed_world(state: Path) -> World:
    """Return the world of a running installation: its instances' own keys, and its first documents.

    `state` is the folder of the installation. In this world, referrals are decided as the instances decide them.
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
    """Return the drafts as records that `instance` appends, in streams of an incarnation that it never had.

    They are proven with the instance's own key unless another is given. Then the records name that key.
    """
    return world.anew().written(drafts, instance, key=key)


def forged(world: World, drafts: Iterable[Draft], *, instance: str, key: SigningKey | None = None) -> list[Record]:
    """Return the forged drafts as `accept` gets them: only those whose place is proven."""
    return verify(forge(world, drafts, instance=instance, key=key), Streams(), at=world.at, keys=world.place_key)


def take_up(world: World, pair: Pair, incarnation: UUID, *, ends: tuple[LaneEnd, LaneEnd]) -> None:
    """Let the next records of this pair continue its streams after these ends, so that their reader accepts them."""
    streams = begin(pair, world.at, incarnation)
    for lane, end in zip(streams.lanes, ends, strict=True):
        lane.last, lane.chain = end
    world.streams.outgoing[pair] = streams


def junk(pair: Pair, lane: Lane) -> Written:
    """Return bytes that are no message, for one partition."""
    return Written(pair, lane, RecordBytes(b"", (), uuid4().bytes))


async def write(access: KafkaAccess, records: Sequence[Written]) -> list[int]:
    """Append the records through this login, in order, to the topics and lanes that they name.

    Return the offset of each. Raises the broker's own error if the login may not write.
    """
    async with _producer(access) as producer:
        offsets = []
        for each in records:
            record, headers = each.record, list(each.record.headers)
            sent = await producer.send_and_wait(
                each.topic, record.value, record.key, partition=int(each.lane), headers=headers
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
