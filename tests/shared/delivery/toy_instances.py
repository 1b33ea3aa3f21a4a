"""Instances of a toy service over real PostgreSQL and Kafka. They store accepted messages and do nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg

from deploy.site.endpoints import DatabaseEndpoint
from shared.catalog import CATALOG
from shared.core.clock import SystemClock
from shared.core.contracts.registry import READS_ANNOUNCED, REFERRAL_OFFERED
from shared.core.envelope.keys import SigningKey, VerifyKey
from shared.core.errors import Unavailable
from shared.core.ids import coarse_uuid7, uuid4, uuid7
from shared.core.protocol.message import Draft
from shared.core.protocol.read_capabilities import own_reads
from shared.delivery.arriving import pack, unpack
from shared.delivery.control import ControlLetterWriter
from shared.delivery.loops import RelayOptions, StreamRelay
from shared.delivery.reading import InboxReader
from shared.delivery.sending import ScopeFactory, draft_of
from shared.delivery.session_check import SessionCheck
from shared.delivery.upkeep_loop import UpkeepLoop
from shared.messaging import store
from shared.messaging.composition import SegmentComposer
from shared.messaging.exceptions import EXCEPTIONS_MAX, Outcome, OutcomeKind, TakenMessage
from shared.messaging.kafka.log import KafkaLog, read_own_heads
from shared.messaging.scope import Scope
from shared.messaging.segments import Segment
from shared.messaging.sending import finish
from shared.messaging.store import PostgresMessagingTx
from shared.messaging.streams import Lane, Outgoing
from shared.platform.database.transactions import Database, Session
from shared.platform.kafka.access import KafkaAccess
from tests.shared.messaging.rooms import Room

SCHEMA: Final = Path(store.__file__).parent.parent / "schema.sql"
MESSAGING: Final = (
    *("stream_pair", "stream", "segment", "receive_state", "incarnation", "exception"),
    *("content_proof", "outcome_open", "resync_state", "operator_line"),
)
TOY: Final = """
CREATE TABLE toy (position bigint GENERATED ALWAYS AS IDENTITY, message_id uuid NOT NULL UNIQUE, outcome text NOT NULL);
"""
CLOCK: Final = SystemClock()


async def prepare(endpoint: DatabaseEndpoint) -> None:
    """Create the tables of messaging and of the toy, or empty existing ones of another module."""
    owner = await asyncpg.connect(endpoint.owner_url)
    try:
        if await owner.fetchval("SELECT to_regclass('stream_pair')") is not None:
            await owner.execute(f"TRUNCATE {', '.join((*MESSAGING, 'toy'))}")
            return
        await owner.execute(SCHEMA.read_text(encoding="utf-8") + TOY)
        await owner.execute("DO $$ BEGIN EXECUTE format('GRANT ALL ON toy TO %I', current_database()); END $$")
    finally:
        await owner.close()


@dataclass
class Toy:
    """One instance. `refused`: kinds of outcome by the number of the message, counted from 1."""

    name: str
    peer: str
    endpoint: DatabaseEndpoint
    access: KafkaAccess
    keys: Mapping[str, SigningKey]
    refused: dict[int, OutcomeKind] = field(default_factory=dict)
    numbers: dict[UUID, int] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)
    exceptions_max: int = EXCEPTIONS_MAX

    def __post_init__(self) -> None:
        self.database = Database(self.endpoint.service_url, pool_size=4)
        self.pause = asyncio.Event()
        self.pause.set()
        key = self.keys[self.name]
        self.check = SessionCheck(
            session_number=lambda: self.database.session_number,
            read_heads=lambda peers: read_own_heads(self.access, self.name, peers, keys=self.find_key),
            peers=lambda: [self.peer],
        )
        composer = SegmentComposer(key, sealing_keys=_no_key, control_letters=ControlLetterWriter(self.name, CLOCK))
        self.scopes = ScopeFactory(
            instance=self.name,
            database=self.database,
            composer=composer,
            subjects=lambda session: Room(),  # no subjects
            inbound=lambda session: ToyInbound(session, self),
            row_scope=lambda: None,
            clock=CLOCK,
            check_session=self.check.check,
        )
        self.relays: list[StreamRelay] = []
        self.database.hand_over = self.hand_over
        self.database.changes.wake = self.wake

    def find_key(self, instance: str, key_id: str, at: datetime) -> VerifyKey | None:
        key = self.keys.get(instance)
        return key.verify_key if key is not None and key.key_id == key_id else None

    def hand_over(self, segments: Sequence[Segment]) -> None:
        for relay in self.relays:
            relay.hand_over(segments)

    def wake(self) -> None:
        for relay in self.relays:
            relay.wake()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[InboxReader]:
        """Run the loops, and end them like a dying process. While the client connects, wait, because it would leak."""
        self.check.require()
        log = KafkaLog(self.access, instance=self.name, key=self.keys[self.name])
        relay = StreamRelay(
            self.scopes,
            log,
            key=self.keys[self.name],
            peers=lambda: [self.peer],
            clock=CLOCK,
            options=RelayOptions(refused_s=0.5, refused_s_max=2),
        )
        self.relays.append(relay)
        upkeep = UpkeepLoop(
            self.scopes,
            self.database,
            peers=lambda: [self.peer],
            announcement=lambda peer: fact(self.name, peer),
            law_state=lambda: 1,
            clock=CLOCK,
        )
        reader = InboxReader(
            self.access,
            self.name,
            self.scopes,
            keys=self.find_key,
            clock=CLOCK,
            catalog=CATALOG,
            exceptions_max=self.exceptions_max,
        )
        tasks = [asyncio.create_task(self.check.run(self.scopes))]
        try:
            await self.check.wait()
            await upkeep.make_days()  # a message that is sent meanwhile would meet a partition that is new
            tasks += [asyncio.create_task(work) for work in (relay.run(), upkeep.run(), reader.run())]
            yield reader
        finally:
            self.pause.set()
            async with asyncio.timeout(60):
                while not reader.assignment():  # noqa: ASYNC110 - the reader tells no one
                    await asyncio.sleep(0.02)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.relays.remove(relay)
            await log.close()

    async def send(self, count: int = 1, *, is_p0: bool = False) -> list[UUID]:
        """Send referrals in one transaction."""
        drafts = [offer(self.name, self.peer, is_p0=is_p0) for _ in range(count)]
        while True:
            try:
                async with self.scopes.open() as scope:
                    for draft in drafts:
                        scope.send(draft_of(draft, self.name))
                    await finish(scope)
            except Unavailable:  # the upkeep began the same streams, or the session is not yet compared
                await asyncio.sleep(0.05)
                continue
            self.wake()
            return [draft.message_id for draft in drafts]

    async def taken(self) -> list[UUID]:
        """Return the ids of messages in the order in which they were applied."""
        return [row["message_id"] for row in await self.database.fetch("SELECT message_id FROM toy ORDER BY position")]

    async def outgoing(self) -> Outgoing:
        async with self.scopes.database.transaction() as session:
            return (await PostgresMessagingTx(session, self.name).load_outgoing([self.peer], lock=False))[self.peer]

    async def save_tables(self) -> None:
        """Save a copy of all tables, as a backup does."""
        for table in (*MESSAGING, "toy"):
            await self.as_owner(f"DROP TABLE IF EXISTS saved_{table}; CREATE TABLE saved_{table} AS TABLE {table}")

    async def restore_tables(self) -> None:
        """Restore the saved tables. Sessions of the instance that saw the later tables are ended."""
        tables = (*MESSAGING, "toy")
        owner = await asyncpg.connect(self.endpoint.owner_url)
        try:
            async with owner.transaction():
                await owner.execute(f"TRUNCATE {', '.join(tables)}")
                for table in tables:
                    names = await owner.fetchval(_GIVEN_COLUMNS, table)
                    await owner.execute(
                        f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM saved_{table}"
                    )
                await self.end_sessions()
        finally:
            await owner.close()

    async def end_sessions(self) -> None:
        """End all sessions of the instance in its database."""
        own = await asyncpg.connect(self.endpoint.service_url)
        try:
            await own.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = current_user"
            )
        finally:
            await own.close()

    async def as_owner(self, statements: str) -> None:
        owner = await asyncpg.connect(self.endpoint.owner_url)
        try:
            await owner.execute(statements)
        finally:
            await owner.close()


#: The columns of a table that are not computed from others.
_GIVEN_COLUMNS = """
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
#: The codes of messages that a toy does not apply, with which an instance can retry them.
_CODES = {OutcomeKind.WAITING: "document_unknown", OutcomeKind.DEAD: "handler_defect"}


class ToyInbound:
    """Stores messages in order, each id once, as features do."""

    def __init__(self, session: Session, toy: Toy) -> None:
        self._session = session
        self._toy = toy

    async def apply(self, scope: Scope, taken: Sequence[TakenMessage]) -> list[Outcome]:
        if self._toy.failures:
            raise self._toy.failures.pop(0)
        await self._toy.pause.wait()
        outcomes = []
        for each in taken:
            kind = OutcomeKind.APPLIED
            if each.named.kind == REFERRAL_OFFERED.name:
                numbers = self._toy.numbers  # a batch that is taken again has the same ones
                kind = self._toy.refused.get(numbers.setdefault(each.named.message_id, len(numbers) + 1), kind)
                if kind is OutcomeKind.APPLIED:
                    await self._session.driver.execute(
                        "INSERT INTO toy (message_id, outcome) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                        each.named.message_id,
                        kind,
                    )
            outcomes.append(Outcome(each.named, kind, _CODES.get(kind)))
        return outcomes

    def bytes_to_keep(self, taken: TakenMessage, outcome: Outcome) -> bytes:
        return pack(unpack(taken.record))

    async def heard(self, scope: Scope, peer: str, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        return outcomes


def offer(sender: str, recipient: str, *, is_p0: bool = False) -> Draft:
    subject = uuid7()
    return Draft(
        message_id=coarse_uuid7(CLOCK.now()),
        message=REFERRAL_OFFERED,
        subject=str(subject),
        sender="origin.example",
        recipient="agency.example",
        recipient_instance=recipient,
        exercise=True,
        clear={"edge_id": str(uuid4()), "revision": 1},
        created_at=CLOCK.now(),
        is_p0=is_p0,
    )


def fact(sender: str, recipient: str) -> Draft:
    return Draft(
        message_id=coarse_uuid7(CLOCK.now()),
        message=READS_ANNOUNCED,
        subject=str(uuid7()),
        sender=sender,
        recipient=recipient,
        recipient_instance=recipient,
        exercise=True,
        clear=own_reads(CATALOG).model_dump(mode="json"),
        created_at=CLOCK.now(),
    )


def _no_key(instance: str, recipient: str) -> Any:
    raise AssertionError("a toy seals nothing")


async def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait until an awaitable condition holds."""
    async with asyncio.timeout(seconds):
        while not await _holds(condition):  # noqa: ASYNC110 - the database tells no one
            await asyncio.sleep(0.05)


async def _holds(condition: Callable[[], Any]) -> bool:
    try:
        return bool(await condition())
    except Unavailable:  # a session of the instance was ended
        return False


async def until_taken(toy: Toy, ids: Sequence[UUID], seconds: float = 60) -> None:
    """Wait until a toy has taken exactly these messages, in this order."""
    await _until_all_taken(toy, ids, seconds)
    assert await toy.taken() == list(ids)


async def until_taken_in_any_order(toy: Toy, ids: Sequence[UUID], seconds: float = 60) -> None:
    """Wait until a toy has taken exactly these messages, each once."""
    await _until_all_taken(toy, ids, seconds)
    assert sorted(await toy.taken()) == sorted(ids)


async def _until_all_taken(toy: Toy, ids: Sequence[UUID], seconds: float) -> None:
    async def has_all() -> bool:
        return set(await toy.taken()) >= set(ids)

    with suppress(TimeoutError):
        await until(has_all, seconds)


async def until_acked(toy: Toy, lane: Lane = Lane.ORDINARY, seconds: float = 60) -> None:
    """Wait until the peer has acknowledged all that a toy sent."""

    async def is_acked() -> bool:
        own = (await toy.outgoing()).lanes[lane]
        return own.acked == own.last

    await until(is_acked, seconds)
