"""Sending: features gather drafts in their transaction; its last step writes the tracks and places all messages.

Peers state which message versions they read; the directory has the keys that messages to them are sealed for.

For the features of a service, this module defines the handler of their messages: its input, and the outcomes of own
messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Final, Protocol
from uuid import UUID

import asyncpg
from pydantic import ValidationError

from shared.core.acts.catalog import Catalog
from shared.core.clock import Clock
from shared.core.contracts.directory import ReadsAnnouncedClear
from shared.core.contracts.registry import BETWEEN_PARTIES, READS_ANNOUNCED, Family
from shared.core.envelope.keys import SealingKey
from shared.core.errors import Defect, Refused
from shared.core.ids import coarse_uuid7, spelt_uuid, uuid7
from shared.core.protocol import message
from shared.core.protocol.authority import AUDIT
from shared.core.protocol.decision_fact import join_decided
from shared.core.protocol.message import Addressing, Received, compose, headers_of
from shared.core.protocol.read_capabilities import PeerReads, Reads, own_reads
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.delivery.tracks import erase_tracks, list_sent, note_tracks
from shared.messaging.composition import DraftBody, RecipientKey, SealingKeys, SegmentComposer
from shared.messaging.exceptions import Outcome, OutcomeKind, TakenMessage
from shared.messaging.ports import MessageDraft, Subjects
from shared.messaging.scope import Inbound, Scope
from shared.messaging.sending import finish
from shared.messaging.store import PostgresMessagingTx
from shared.messaging.tracks import role_of, track_of
from shared.messaging.upkeep import erase_exceptions
from shared.platform.database.journal import ErasureNote
from shared.platform.database.transactions import Database, LateRow, RowScope, Session, gather, write_late
from shared.platform.observability.metrics import MESSAGES
from shared.platform.observability.telemetry import current_traceparent, message_traceparent

#: Each outcome of messaging in the words of the exchange.
OUTCOMES: Final = MappingProxyType(
    {kind: ReceiptOutcome.PARKED if kind is OutcomeKind.DEAD else ReceiptOutcome(kind.value) for kind in OutcomeKind}
)


@dataclass(frozen=True, slots=True)
class Unit:
    """One transaction of messages. Effects are written through its connection.

    `are_new`: no track of its messages is known here. If a row of one of them exists nevertheless, an error of the
    database causes the transaction to be repeated with `is_careful`.
    """

    connection: Session
    are_new: bool = False


@dataclass(frozen=True, slots=True)
class Settlement:
    """The outcome of an own message, as instance `by` states it. `code` is that of the record table or of a feature.

    `parties`: those that the instance serves or served. Its statements on messages to other parties do not count.
    """

    message_id: UUID
    outcome: ReceiptOutcome
    code: str | None
    by: str
    parties: Collection[str]


class Handler(Protocol):
    """The features of a service."""

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> Mapping[UUID, str]:
        """Apply fresh messages in order; return by message id the codes of those that are refused."""
        ...

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        """Note outcomes that one instance states. A message that was simply applied has none."""
        ...


#: Notices without a known referral may all belong to one referral, so they are grouped as one.
_NOTICES: Final = UUID(int=0)

#: Seals the messages of large transactions, in a thread that does no other work.
SEALING: Final = ThreadPoolExecutor(1, thread_name_prefix="sealing")

#: The entries that a transaction gathers for its last step: drafts and erasures.
Gathered = message.Draft | ErasureNote


def send(driver: asyncpg.Connection, drafts: Sequence[message.Draft]) -> None:
    """Gather drafts in the caller's transaction, in order. Its last step seals, proves, numbers and stores them."""
    gather(driver, _with_traces(drafts))


def letter_of(draft: message.Draft, instance: str) -> DraftBody:
    """Return a draft as the composer of `instance` gets it. Raises `Refused("header_malformed")`."""
    return DraftBody(
        message_id=draft.message_id,
        recipient=draft.recipient,
        origin=draft.origin or (_NOTICES if draft.message.family is Family.NOTICE else spelt_uuid(draft.subject)),
        headers=headers_of(draft, instance=instance),
        clear=draft.clear,
        plaintext=draft.plaintext,
        context=draft.context,
        traceparent=draft.traceparent,
    )


def draft_of(draft: message.Draft, instance: str) -> MessageDraft:
    """Return a draft as messaging places it."""
    subject = track_of(draft.message, draft.sender, draft.recipient, subject=spelt_uuid(draft.subject))
    role, letter = role_of(draft.message), letter_of(draft, instance)
    return MessageDraft(draft.recipient_instance, role, draft.message.name, subject, letter, is_p0=draft.is_p0)


async def move_gathered(scope: Scope, driver: asyncpg.Connection) -> None:
    """Move the transaction's gathered entries into its scope, so that one `finish` places all messages.

    Erasures end the exceptions of their tracks. Entries of the journal stay for the last step.
    """
    gathered: list[object] = driver.gathered
    drafts = join_decided([each for each in gathered if isinstance(each, message.Draft)])
    forgotten = [each for each in gathered if isinstance(each, ErasureNote)]
    gathered[:] = [each for each in gathered if not isinstance(each, Gathered)]
    if drafts:
        # Edges that are added with their places are the rows of their tracks.
        placed = {message_id for edges in driver.late.get(LateRow.PLACED, ()) for message_id in edges.message_ids}
        await note_tracks(driver, list_sent([each for each in drafts if each.message_id not in placed]))
        for draft in drafts:
            scope.send(draft_of(draft, scope.instance))
        MESSAGES.labels("emitted").inc(sum(each.message.family in BETWEEN_PARTIES for each in drafts))
    if forgotten:
        for subject in await erase_tracks(driver, [(each.subject, each.party) for each in forgotten]):
            await erase_exceptions(scope, subject)


class StreamSending:
    """The last step of an instance's transactions (`Database.last_step`)."""

    def __init__(
        self, instance: str, composer: SegmentComposer, subjects: Callable[[Session], Subjects], *, clock: Clock
    ) -> None:
        self._instance = instance
        self._composer = composer
        self._subjects = subjects
        self._clock = clock

    async def __call__(self, driver: asyncpg.Connection, gathered: Sequence[object]) -> None:
        """Place the messages in `gathered`. It may be a part of the driver's entries; the rest is not touched."""
        session = Session(driver)
        scope = _scope(
            self._instance,
            session,
            self._subjects(session),
            inbound=NoInbound(),
            composer=self._composer,
            now=self._clock.now(),
        )
        driver.gathered[:] = list(gathered)
        await move_gathered(scope, driver)
        if driver.gathered:
            raise Defect("gathered_unknown")
        driver.placed.extend(await finish(scope))


class NoInbound:
    """A transaction that only sends: it applies no messages and gets no outcomes."""

    async def apply(self, scope: Scope, taken: Sequence[TakenMessage]) -> list[Outcome]:
        raise Defect("no_inbound")

    def bytes_to_keep(self, taken: TakenMessage, outcome: Outcome) -> bytes:
        raise Defect("no_inbound")

    async def heard(self, scope: Scope, peer: str, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        raise Defect("no_inbound")


def _with_traces(drafts: Sequence[message.Draft]) -> list[message.Draft]:
    """Set the traces of messages. Facts keep the trace of their cause, for audit; other messages get a new trace."""
    running = current_traceparent()
    traced = []
    for draft in drafts:
        cause = draft.traceparent or running
        own = cause if draft.message.family is Family.FACT else message_traceparent(cause)
        traced.append(draft if own == draft.traceparent else replace(draft, traceparent=own))
    return traced


_NOTE: Final = """
INSERT INTO peer AS p (instance, supported_versions, versions_stated_at) VALUES ($1, $2::jsonb, $3)
ON CONFLICT (instance) DO UPDATE SET supported_versions = excluded.supported_versions,
    versions_stated_at = excluded.versions_stated_at WHERE p.versions_stated_at <= excluded.versions_stated_at
"""

_ALL: Final = "SELECT instance, supported_versions FROM peer"


async def note_reads(session: Session, instance: str, reads: ReadsAnnouncedClear, *, at: datetime) -> None:
    """Store the message versions that an instance reads, as it stated at this broker's time. The newest counts."""
    await session.driver.execute(_NOTE, instance, reads.model_dump(mode="json"), at)


async def load_peer_reads(database: Database) -> PeerReads:
    """Return the announcements of the peers, by instance. Raises `Unavailable`."""
    return parse_peer_reads([(row["instance"], row["supported_versions"]) for row in await database.fetch(_ALL)])


def parse_peer_reads(stated: Sequence[tuple[str, object]]) -> PeerReads:
    """Return the announcements by instance; one that this release cannot read counts as not announced."""
    announced: dict[str, Reads] = {}
    for name, reads in stated:
        with suppress(ValidationError):
            announced[name] = Reads.of(ReadsAnnouncedClear.model_validate(reads))
    return PeerReads(announced)


def compose_reads(
    instance: str, peer: str, directory: DirectoryIndex, *, at: datetime, catalog: Catalog
) -> message.Draft:
    """Return the message with the versions that this release reads. Raises `Refused` for an unknown instance."""
    addressing = Addressing(
        subject=uuid7(), sender=instance, recipient=peer, directory=directory, exercise=False, at=at
    )
    return compose(READS_ANNOUNCED, own_reads(catalog), addressing)


def find_sealing_keys(directory: Callable[[], DirectoryIndex], clock: Clock) -> SealingKeys:
    """Return a function that finds the sealing key for a recipient, in the directory in force.

    It raises `Refused("recipient_unknown")` if the recipient's instance has no key now.
    """

    def find(instance: str, recipient: str) -> RecipientKey:
        entry = directory().sealing_key(instance, clock.now())
        if entry is None:
            raise Refused("recipient_unknown", field="/recipient")
        return RecipientKey(_load(entry.public))

    return find


@lru_cache(1024)
def _load(public: bytes) -> SealingKey:
    return SealingKey(public)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeFactory:
    """The factory of one instance's scopes. `row_scope` returns the parties whose rows the features may change.

    `check_session` raises `Unavailable` until the own topics are compared with the database. `on_restore` ends the
    sign-ins and feed epoch that a restored database still has.
    """

    instance: str
    database: Database
    composer: SegmentComposer
    subjects: Callable[[Session], Subjects]
    inbound: Callable[[Session], Inbound]
    row_scope: Callable[[], RowScope | None]
    clock: Clock
    check_session: Callable[[], None] = lambda: None
    on_restore: Callable[[asyncpg.Connection], Awaitable[None]] | None = None

    @asynccontextmanager
    async def open(self, *, is_check: bool = False, is_careful: bool = True) -> AsyncIterator[Scope]:
        """Open a transaction that commits on normal exit. `is_check`: it is the comparison itself.

        `is_careful`: a message that breaks a feature does not end it, at the cost of a savepoint a batch.

        Raises `Unavailable`.
        """
        async with self.database.transaction(self.row_scope(), keeps_plans=True) as session:
            if not is_check:
                self.check_session()
            subjects, inbound, now = self.subjects(session), self.inbound(session), self.clock.now()
            scope = _scope(self.instance, session, subjects, inbound=inbound, composer=self.composer, now=now)
            scope.on_restore = self.on_restore and partial(self.on_restore, session.driver)
            scope.is_careful = is_careful
            yield scope
            session.driver.placed.extend(scope.finished)
        self.database.changes.note()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[PostgresMessagingTx]:
        """Open only the tables of messaging. Each statement is its own transaction."""
        async with self.database.session() as session:
            self.check_session()
            yield PostgresMessagingTx(session, self.instance)


def _scope(
    instance: str, session: Session, subjects: Subjects, *, inbound: Inbound, composer: SegmentComposer, now: datetime
) -> Scope:
    """Return a scope of messaging on a transaction. Many messages are sealed in a thread of their own."""
    return Scope(
        instance,
        AUDIT,
        PostgresMessagingTx(session, instance),
        subjects,
        inbound,
        composer,
        lambda: coarse_uuid7(now),
        now,
        compose_apart=partial(asyncio.get_running_loop().run_in_executor, SEALING),
        before_lock=partial(write_late, session.driver),
    )
