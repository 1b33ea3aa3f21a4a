"""An instance under attack: the agencies' service in this process, on servers of its own, and who writes to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from deploy.devstack.stack import DevStack
from deploy.directory.approval import approve_document, document_body
from deploy.site.access import admin_access
from deploy.site.endpoints import Endpoints
from deploy.site.installation import APPROVERS, Installation, environment, install
from services.law_enforcement.app import App, build
from shared.contracts.directory import Directory
from shared.contracts.facts import MessagesReceiptedClear
from shared.contracts.policy import Policy
from shared.contracts.registry import BY_TYPE, Family
from shared.envelope.keys import SigningKey
from shared.exchange.accept import accept
from shared.exchange.message import Received, Record
from shared.exchange.topics import inbox_topic
from shared.kernel.errors import Refused, Unavailable
from shared.runtime.instance.settings import prefix_of
from shared.runtime.kafka.documents import publish_documents
from shared.runtime.post.arrivals import Step
from shared.runtime.post.consumer import Consumer
from shared.runtime.post.ports import Coordinate, Settlement, Unit
from shared.runtime.post.standing import NothingHeld
from tests.shared.exchange.wrong_records import PARTY_KEYS
from tests.support.exchange_world import FROM_HOTLINE, World, with_suspended
from tests.support.forging import held, installed_world
from tests.support.stack import FOUR, embedded_settings, lay_down

INSTANCE = "law_enforcement"
TOPIC = FROM_HOTLINE[INSTANCE]
WAIT_S_MAX = 120.0
_PRODUCED_BYTES_MAX = 100_000


@dataclass
class Target:
    """The instance, and the world of its counterparts, whose keys stand in the directory that it reads."""

    endpoints: Endpoints
    installation: Installation
    world: World
    app: App
    batches: list[list[Record]] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    #: The consumer's handler fails on these messages.
    cursed: set[UUID] = field(default_factory=set)

    async def write(self, records: Sequence[Record], *, partition: int = 0) -> list[int]:
        """Append records as the administrator, one after the other; their offsets."""
        async with self._producer() as producer:
            waiting = [
                await producer.send(
                    TOPIC,
                    record.value,
                    record.key,
                    partition=partition,
                    headers=list(record.headers),
                )
                for record in records
            ]
            return [(await each).offset for each in waiting]

    async def write_raw(self, batch: bytes, *, partition: int = 0) -> list[int]:
        """Append one record batch made by hand, which no client would make; the offset of its first record."""
        async with self._producer() as producer:
            builder = producer.create_batch()
            builder.append(timestamp=None, key=None, value=b"")
            builder.close()
            builder._buffer = bytearray(batch)
            metadata = await (await producer.send_batch(builder, TOPIC, partition=partition))
            return [metadata.offset]

    async def publish(self, document: Directory | Policy, active_from: datetime) -> None:
        """Have the approvers put a document in force."""
        body = document_body(document)
        kind = "directory" if isinstance(document, Directory) else "policy"
        folder = self.installation.state / "approvers"
        approvers = {party: SigningKey.load((folder / f"{party}.key").read_text()) for party in APPROVERS}
        activated = approve_document(kind, body, active_from=active_from, approvers=approvers)
        await publish_documents(admin_access(self.endpoints), [(activated, body)])
        self.published.append(activated.digest)

    async def rows(self, statement: str, *values: object, role: str = "owner") -> list[asyncpg.Record]:
        connection = await asyncpg.connect(getattr(self.endpoints.databases[INSTANCE], f"{role}_url"))
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *values)
            return rows
        finally:
            await connection.close()

    async def quarantine(self) -> dict[int, asyncpg.Record]:
        """What is in quarantine and was not replayed, by offset."""
        rows = await self.rows("SELECT * FROM quarantine WHERE replayed_at IS NULL AND partition = 0")
        return {row["offset"]: row for row in rows}

    async def inbox(self) -> dict[UUID, tuple[str, str | None]]:
        rows = await self.rows("SELECT message_id, outcome, code FROM inbox")
        return {row["message_id"]: (row["outcome"], row["code"]) for row in rows}

    async def held(self, topic: str) -> list[Record]:
        """Everything that a topic holds, but for what instances tell each other of delivery itself."""
        return [each for each in await held(admin_access(self.endpoints), topic) if not _of_delivery(each)]

    async def receipts(self) -> dict[UUID, tuple[str, str | None]]:
        """What the sender was told about each of its messages, last."""
        told: dict[UUID, tuple[str, str | None]] = {}
        reader = self.world.reader("hotline")
        for record in sorted(await self.held(inbox_topic("hotline", INSTANCE)), key=lambda record: record.broker_time):
            clear = accept(record, reader).clear
            assert isinstance(clear, MessagesReceiptedClear)
            told |= {entry.message_id: (entry.outcome.value, entry.code) for entry in clear.entries}
        return told

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[AIOKafkaProducer]:
        access = admin_access(self.endpoints)
        producer = AIOKafkaProducer(
            **access.client_options("hostile"), linger_ms=50, max_batch_size=_PRODUCED_BYTES_MAX
        )
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()


class CursedDoor(NothingHeld):
    """The service's own handler, which fails where the test says so."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        if self._target.cursed.intersection(message.message_id for message in messages):
            raise ZeroDivisionError
        return await self._target.app.handler.apply(unit, messages)

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        await self._target.app.handler.settled(unit, settlements)


#: Above those of the policies that tests put in force before it.
POLICY_VERSION = 100


@asynccontextmanager
async def prepared_target(state: Path) -> AsyncIterator[Target]:
    """Servers with an installation whose directory also names the parties' own keys. The instance is built, not run."""
    await asyncio.to_thread(lay_down, state)
    stack = DevStack(state, embedded_settings(), instances=FOUR)
    await asyncio.to_thread(stack.start)
    try:
        installation = await asyncio.to_thread(install, state, stack.endpoints)
        world = _world(installation)
        prefix = prefix_of(INSTANCE)
        variables = environment(installation, stack.endpoints, INSTANCE)
        fields: dict[str, Any] = {name.removeprefix(prefix).lower(): value for name, value in variables.items()}
        app = await build(INSTANCE, **fields)
        target = Target(stack.endpoints, installation, world, app)
        await target.publish(world.document, world.at - timedelta(seconds=1))
        await target.publish(world.policy, world.at - timedelta(seconds=1))
        yield target
        await app.machinery.close()
    finally:
        await asyncio.to_thread(stack.stop)


@asynccontextmanager
async def running(target: Target, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The instance's documents, relay and consumer, at work. Notes what each batch holds of others."""
    consume, own = Consumer.consume, inbox_topic(INSTANCE, INSTANCE)

    async def noted(self: Consumer, records: Sequence[Record], steps: Sequence[Step] = ()) -> None:
        if others := [record for record in records if record.topic != own]:
            target.batches.append(others)
        await consume(self, records, steps)

    monkeypatch.setattr(Consumer, "consume", noted)
    machinery = target.app.machinery
    parts: list[Awaitable[None]] = [target.app.parts["documents"](), target.app.parts["relay"]()]
    tasks = [asyncio.ensure_future(part) for part in parts]
    await until(lambda: all(_knows(target, digest) for digest in target.published))
    tasks.append(asyncio.ensure_future(machinery.run_bus(CursedDoor(target))))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S_MAX):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.05)


def where(partition: int = 0) -> Coordinate:
    return Coordinate(TOPIC, partition)


def _knows(target: Target, document_digest: str) -> bool:
    """Whether the instance has seen the document, in force or not."""
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
    """The installation's own world, in whose directory parties hold keys too; both documents above those installed."""
    installed = installed_world(installation.state)
    document = with_suspended(installed.document)
    parties = tuple(
        party.model_copy(update={"keys": PARTY_KEYS.get(party.id, ())}) if party.id in PARTY_KEYS else party
        for party in document.parties
    )
    document = document.model_copy(update={"version": document.version + 1, "parties": parties})
    policy = installed.policy.model_copy(update={"version": POLICY_VERSION})
    return World(installed.keys, document, policy, at=installed.at)


def under(world: World, policy: Policy) -> World:
    """The same world, deciding under another policy."""
    return replace(world, policy=policy, shelf=type(world.shelf)())


def _of_delivery(record: Record) -> bool:
    message = BY_TYPE.get((dict(record.headers).get("ce_type") or b"").decode(errors="replace"))
    return message is not None and message.family is Family.DELIVERY
