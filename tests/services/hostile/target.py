"""An instance under attack: the agencies' service in this process, on its own servers, and its counterparts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.devstack.stack import DevStack
from deploy.directory.approval import approve_document, document_body
from deploy.serve import build_instance
from deploy.site.access import access_to
from deploy.site.endpoints import Endpoints
from deploy.site.installation import APPROVERS, Installation, environment, install
from shared.core.contracts.directory import Directory
from shared.core.contracts.policy import Policy
from shared.core.envelope.headers import PLACE, SALT
from shared.core.envelope.keys import SigningKey
from shared.core.envelope.record_value import split_value
from shared.core.errors import Refused, Unavailable
from shared.core.ids import uuid7
from shared.core.protocol.authority import inbox_topic
from shared.core.protocol.message import Draft, Received, Record
from shared.delivery.control import CONTROL_TYPES
from shared.delivery.reading import InboxReader
from shared.delivery.sending import Handler, Settlement, Unit
from shared.instance.app import App
from shared.instance.settings import prefix_of
from shared.messaging.arrival import PartitionVerifier, PlacedMessage, RawRecord
from shared.messaging.contract import decode_control
from shared.messaging.exceptions import OutcomeList
from shared.messaging.segments import RecordBytes
from shared.messaging.streams import LANES, Lane, Pair, WireRole
from shared.platform.kafka.documents import publish_documents
from tests.services.databases import connected
from tests.support.exchange_world import FROM_HOTLINE, World, with_suspended
from tests.support.forging import installed_world, write
from tests.support.stack import FOUR, embedded_settings, lay_down
from tests.support.wire_records import Streams, Written, compose_altered, write_segment

INSTANCE = "law_enforcement"
TOPIC = FROM_HOTLINE[INSTANCE]
PAIR = Pair("hotline", INSTANCE)
WAIT_S_MAX = 120.0
_PRODUCED_BYTES_MAX = 100_000


class Told(NamedTuple):
    """An outcome that the instance reported to the hotlines."""

    message_id: UUID
    outcome: str
    code: str | None


@dataclass
class Target:
    """The instance, and the world of its counterparts. Their keys are in the directory that it reads."""

    endpoints: Endpoints
    installation: Installation
    world: World
    app: App
    batches: list[list[Record]] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    #: The service's handler fails on these messages.
    cursed: set[UUID] = field(default_factory=set)

    @property
    def door(self) -> Handler:
        """Return the service's own handler."""
        return self.app.handler

    async def write(self, written: Sequence[Written]) -> list[int]:
        """Append records as the administrator, in order; return their offsets."""
        return await write(access_to(self.endpoints.kafka), written)

    async def write_raw(self, batch: bytes, *, lane: Lane = Lane.ORDINARY) -> None:
        """Append one record batch made by hand, which no client would make."""
        async with self._producer() as producer:
            builder = producer.create_batch()
            builder.append(timestamp=None, key=None, value=b"")
            builder.close()
            builder._buffer = bytearray(batch)
            await (await producer.send_batch(builder, TOPIC, partition=int(lane)))

    def good(self, drafts: Iterable[Draft]) -> list[Written]:
        """Return the records that the hotlines' instance appends for these drafts, next in its streams."""
        return self.world.written(drafts)

    def signed_as_is(self, record: Record, *, key: SigningKey | None = None) -> list[Written]:
        """Return the bytes of a record, next in the stream of an instance that signs any input.

        `key` proves the content; the instance itself proves the place.
        """
        own = self.world.keys[PAIR.writer].signing
        headers = [(name, value) for name, value in record.headers if value is not None and name not in (SALT, PLACE)]
        altered = replace(record, partition=int(Lane.ORDINARY))
        unplaced = compose_altered(altered, headers, record.value or b"", pair=PAIR, key=key or own)
        return write_segment(self.world.streams.place(unplaced, self.world.at), own)

    def aside(self) -> World:
        """Return the world with streams of its own, so that its records take no number of the hotlines' streams."""
        return replace(self.world, streams=Streams())

    async def publish(self, document: Directory | Policy, active_from: datetime) -> None:
        """Let the approvers put a document in force."""
        body = document_body(document)
        kind = "directory" if isinstance(document, Directory) else "policy"
        folder = self.installation.state / "approvers"
        approvers = {party: SigningKey.load((folder / f"{party}.key").read_text()) for party in APPROVERS}
        activated = approve_document(kind, body, active_from=active_from, approvers=approvers)
        await publish_documents(access_to(self.endpoints.kafka), [(activated, body)])
        self.published.append(activated.digest)

    async def rows(self, statement: str, *values: object, role: str = "owner") -> list[asyncpg.Record]:
        async with connected(getattr(self.endpoints.databases[INSTANCE], f"{role}_url")) as connection:
            return await connection.fetch(statement, *values)

    async def exceptions(self) -> dict[int, asyncpg.Record]:
        """Return the messages of the ordinary lane that are stored as exceptions, by offset."""
        rows = await self.rows("SELECT * FROM exception WHERE writer = 'hotline' AND lane = 1")
        return {row["offset"]: row for row in rows}

    async def exception(self, message_id: UUID) -> tuple[str, str | None] | None:
        """Return the outcome and code of a stored message."""
        rows = await self.rows("SELECT outcome, code FROM exception WHERE message_id = $1", message_id)
        return (rows[0]["outcome"], rows[0]["code"]) if rows else None

    async def position(self) -> int:
        """Return the offset after the last ordinary record that was read and committed."""
        rows = await self.rows("SELECT ordinary_next_offset AS n FROM receive_state WHERE writer = 'hotline'")
        return int(rows[0]["n"]) if rows else 0

    async def taken(self) -> int:
        """Return the last ordinary number that was accepted."""
        rows = await self.rows("SELECT ordinary_through AS n FROM receive_state WHERE writer = 'hotline'")
        return int(rows[0]["n"]) if rows else 0

    async def referrals(self) -> set[str]:
        """Return the referrals that the agencies hold."""
        rows = await self.rows("SELECT subject::text FROM received", role="accountant")
        return {row["subject"] for row in rows}

    async def held(self, topic: str) -> list[tuple[Lane, RawRecord]]:
        """Return all records of a topic, by lane."""
        consumer = AIOKafkaConsumer(**access_to(self.endpoints.kafka).client_options("hostile-look"))
        await consumer.start()
        try:
            places = [TopicPartition(topic, int(lane)) for lane in LANES]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            ends = await consumer.end_offsets(places)
            found: list[tuple[Lane, RawRecord]] = []
            while any([await consumer.position(place) < ends[place] for place in places]):
                for place, records in (await consumer.getmany(timeout_ms=200)).items():
                    lane = Lane(place.partition)
                    found += [
                        (lane, RawRecord(uuid7(), each.offset, self.world.at, tuple(each.headers), each.value))
                        for each in records
                    ]
            return found
        finally:
            await consumer.stop()

    async def told(self) -> list[Told]:
        """Return every outcome that was reported to the hotlines, in order."""
        pair = Pair(INSTANCE, "hotline")
        verifier = PartitionVerifier(pair, Lane.URGENT, self.world.place_key)
        records = [raw for lane, raw in await self.held(inbox_topic("hotline", INSTANCE)) if lane is Lane.URGENT]
        seen: set[UUID] = set()
        found: list[Told] = []
        for each in verifier.verify(records):
            if not isinstance(each, PlacedMessage):
                continue
            headers = dict(each.raw.headers)
            message_id = UUID((headers["ce_id"] or b"").decode())
            if headers["ce_type"] != CONTROL_TYPES[WireRole.OUTCOMES].encode() or message_id in seen:
                continue
            seen.add(message_id)
            body = decode_control(WireRole.OUTCOMES, split_value(each.raw.value or b"")[0])
            assert isinstance(body, OutcomeList)
            found += [Told(said.named.message_id, said.kind.value, said.code) for said in body.outcomes]
        return found

    async def told_last(self) -> dict[UUID, tuple[str, str | None]]:
        """Return the last reported outcome of each message. A message that was simply applied has no report."""
        return {each.message_id: (each.outcome, each.code) for each in await self.told()}

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[AIOKafkaProducer]:
        access = access_to(self.endpoints.kafka)
        producer = AIOKafkaProducer(
            **access.client_options("hostile"), linger_ms=50, max_batch_size=_PRODUCED_BYTES_MAX
        )
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()


def as_they_are(record: Record, *, lane: Lane = Lane.ORDINARY) -> Written:
    """Return the bytes of a record without a proof before it. The record or a header may have no value."""
    raw: Any = record
    return Written(PAIR, lane, RecordBytes(record.key or b"", raw.headers, raw.value))


class CursedDoor:
    """The service's own handler, which fails on the messages that the test chose."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> Mapping[UUID, str]:
        if self._target.cursed.intersection(message.message_id for message in messages):
            raise ZeroDivisionError
        return await self._target.door.apply(unit, messages)

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        await self._target.door.settled(unit, settlements)


#: Above the versions that earlier tests put in force.
POLICY_VERSION = 100


@asynccontextmanager
async def prepared_target(state: Path) -> AsyncIterator[Target]:
    """Start servers with an installation whose directory also names the parties' own keys.

    The instance is built, not run.
    """
    await asyncio.to_thread(lay_down, state)
    stack = DevStack(state, embedded_settings(), instances=FOUR)
    await asyncio.to_thread(stack.start)
    try:
        installation = await asyncio.to_thread(install, state, stack.endpoints)
        world = _world(installation)
        prefix = prefix_of(INSTANCE)
        variables = environment(installation, stack.endpoints, INSTANCE)
        fields: dict[str, Any] = {name.removeprefix(prefix).lower(): value for name, value in variables.items()}
        app = await build_instance("law_enforcement", INSTANCE, **fields)
        target = Target(stack.endpoints, installation, world, app)
        await target.publish(world.document, world.at - timedelta(seconds=1))
        await target.publish(world.policy, world.at - timedelta(seconds=1))
        yield target
        await app.machinery.close()
    finally:
        await asyncio.to_thread(stack.stop)


@asynccontextmanager
async def running(target: Target, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Run the instance's documents, relay and reader. Note the hotlines' records of each batch."""
    handle = InboxReader._handle

    async def noted(self: InboxReader, records: Sequence[Record]) -> None:
        if others := [each for each in records if (each.topic, each.partition) == (TOPIC, int(Lane.ORDINARY))]:
            target.batches.append(others)
        await handle(self, records)

    monkeypatch.setattr(InboxReader, "_handle", noted)
    machinery = target.app.machinery
    door = CursedDoor(target)
    parts: list[Awaitable[None]] = [target.app.parts["documents"](), machinery.run_relay(door)]
    tasks = [asyncio.ensure_future(part) for part in parts]
    await until(lambda: all(_knows(target, digest) for digest in target.published))
    tasks.append(asyncio.ensure_future(machinery.run_bus(door)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        monkeypatch.setattr(InboxReader, "_handle", handle)


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S_MAX):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.05)


def _knows(target: Target, document_digest: str) -> bool:
    """Return whether the instance has seen the document, in force or not."""
    machinery = target.app.machinery
    for shelf in (machinery.shelf.directories, machinery.shelf.policies):
        try:
            shelf.get(document_digest, machinery.clock.now())
        except Unavailable:
            continue
        except Refused:
            return True
        else:
            return True
    return False


def _world(installation: Installation) -> World:
    """Return the installation's own world with a suspended hotline.

    Both documents are newer than the installed ones.
    """
    installed = installed_world(installation.state)
    document = with_suspended(installed.document)
    document = document.model_copy(update={"version": document.version + 1})
    policy = installed.policy.model_copy(update={"version": POLICY_VERSION})
    return World(installed.keys, document, policy, at=installed.at)


def under(world: World, policy: Policy) -> World:
    """Return the same world with another policy."""
    return replace(world, policy=policy, shelf=type(world.shelf)())
