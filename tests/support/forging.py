"""Forged records: what whoever holds an instance's signing key, or a login to Kafka, can put on the road.

A forger is honest in form: real drafts, a proof that holds under the key it was made with, bytes as a relay would send
them. Only who signs, for whom, and through whose login is the test's to choose. Other bytes under an honest proof, and
proofs that do not hold, are made by `World.resigned` and `tests/shared/exchange/wrong_records.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

from aiokafka import AIOKafkaProducer

from shared.contracts.directory import Directory
from shared.contracts.policy import Policy
from shared.envelope.keys import OpeningKey, SigningKey
from shared.exchange.message import Draft, Record
from shared.kernel.clock import SystemClock
from shared.kernel.ids import coarse_uuid7
from shared.runtime.kafka.access import KafkaAccess
from shared.runtime.kafka.reader import LogReader
from shared.runtime.post.ports import Coordinate
from shared.runtime.post.stamping import Counter, counts_by_pair, sign
from tests.support.exchange_world import INSTANCES, Keys, World

#: Sequence numbers far behind those of any honest relay, each handed out once: a forgery takes nobody's place.
FAR, _APART = 10**12, 10**6
_batches = count()


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


def forged(world: World, drafts: Iterable[Draft], *, instance: str, key: SigningKey | None = None) -> list[Record]:
    """The drafts as records of `instance`, numbered far away and signed as one batch.

    They are signed with the instance's own key unless another is given: then the records name that key.
    """
    together = list(drafts)
    first = FAR + next(_batches) * _APART
    counters = {
        pair: Counter(coarse_uuid7(world.at), first + count_of_pair - 1)
        for pair, count_of_pair in counts_by_pair(together).items()
    }
    signed = sign(together, counters, instance=instance, key=key or world.keys[instance].signing)
    return [world.record(row) for row in signed]


async def write(
    access: KafkaAccess, records: Sequence[Record], *, topic: str | None = None, partition: int | None = None
) -> list[tuple[Coordinate, int]]:
    """Append the records through somebody's login, one after the other; the partition and offset of each.

    They go to the topics that they name unless one is given, and to their keys' partitions unless one is given.
    Raises the broker's own error where the login may not write.
    """
    async with _producer(access) as producer:
        places = []
        for record in records:
            sent = await producer.send_and_wait(
                topic or record.topic, record.value, record.key, partition=partition, headers=list(record.headers)
            )
            places.append((Coordinate(sent.topic, sent.partition), sent.offset))
        return places


async def held(access: KafkaAccess, topic: str) -> list[Record]:
    """Everything that a topic holds, read through somebody's login. Raises `Unavailable` where it may not read."""
    reader = LogReader(access, [topic], client_id="forging")
    found: list[Record] = []
    for where, bounds in (await reader.bounds()).items():
        if bounds.first < bounds.end:
            async for batch in reader.read_range(where, bounds.first, bounds.end):
                found += batch
    return found


@asynccontextmanager
async def _producer(access: KafkaAccess) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**access.client_options("forging"))
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()
