"""The messages that an instance has sent in a test, as its transactions gathered them, before sealing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

import asyncpg

from shared.core.clock import Clock, SystemClock
from shared.core.envelope.keys import OpeningKey, SigningKey
from shared.core.protocol.message import Draft
from shared.core.protocol.prepare import Documents
from shared.delivery.control import ControlLetterWriter
from shared.delivery.sending import StreamSending
from shared.delivery.subjects import FeatureTracks, ListedTracks, PartySubjects
from shared.features.filing.service.redecide import CurrentDocuments
from shared.features.filing.store.locations import OriginTracks
from shared.messaging.composition import RecipientKey, SegmentComposer
from shared.messaging.store import PostgresMessagingTx
from shared.messaging.streams import LANES
from shared.platform.database.journal import ErasureNote
from shared.platform.database.transactions import Database, LastStep, Session
from tests.services.deliveries import without_act

#: All messages of a test are sealed to this key.
SEALING: Final = OpeningKey.generate()
_SENT: WeakKeyDictionary[Database, list[Draft]] = WeakKeyDictionary()


def _none(*_: object) -> Documents:
    raise AssertionError("nothing is decided here")


#: The documents of an instance that decides nothing.
NO_LAW = CurrentDocuments(now=_none, at=_none)


def features_of(instance: str) -> Callable[[asyncpg.Connection], FeatureTracks]:
    """Return the feature tracks of an instance of the sample exchange. Its name is its kind."""
    return ListedTracks if instance == "law_enforcement" else OriginTracks


def subjects_of(instance: str, clock: Clock) -> Callable[[Session], PartySubjects]:
    """Return the subjects of an instance. Every party stays at its instance."""

    def subjects(session: Session) -> PartySubjects:
        tracks = features_of(instance)(session.driver)
        return PartySubjects(session, instance, tracks, is_placed=lambda *_: True, now=clock.now())

    return subjects


def keep_sent(
    database: Database, instance: str, *, signing: SigningKey | None = None, clock: Clock | None = None
) -> None:
    """Let the database's transactions send in streams, and keep the sent messages."""
    signing, clock = signing or SigningKey(bytes(range(32))), clock or SystemClock()
    key, letters = RecipientKey(SEALING.sealing_key), ControlLetterWriter(instance, clock)
    composer = SegmentComposer(signing, sealing_keys=lambda *_: key, control_letters=letters)
    sending = StreamSending(instance, composer, subjects_of(instance, clock), clock=clock)
    database.last_step = _kept(sending, _SENT.setdefault(database, []))


def _kept(then: LastStep, sent: list[Draft]) -> LastStep:
    async def last_step(driver: asyncpg.Connection, gathered: Sequence[Any]) -> None:
        # Journal lines are for `Erasures`, in tests with a journal.
        known = [each for each in gathered if isinstance(each, Draft | ErasureNote)]
        await then(driver, known)
        sent.extend(each for each in known if isinstance(each, Draft))

    return last_step


async def sent_by(database: Database) -> list[Draft]:
    """Return all sent messages in order, without the forgotten ones."""
    return list(_SENT[database])


async def about(database: Database, subject: UUID) -> list[Draft]:
    """Return the messages about one subject."""
    return [each for each in _SENT[database] if each.subject == str(subject)]


async def clear_parts(database: Database, subject: UUID) -> list[tuple[str, str, str, bool, dict[str, Any]]]:
    """Return (type, sender, recipient, exercise, clear part) of the messages about one subject."""
    return [
        (each.message.type, each.sender, each.recipient, each.exercise, without_act(dict(each.clear)))
        for each in await about(database, subject)
    ]


def forget_sent(database: Database, message_ids: Collection[UUID] | None = None) -> None:
    """Forget these messages, or all."""
    _SENT[database][:] = [
        one for one in _SENT[database] if message_ids is not None and one.message_id not in message_ids
    ]


async def placed(database: Database, instance: str, subject: UUID) -> list[tuple[str, str]]:
    """Return (type, recipient) of the messages about a subject in an instance's streams, from any process."""
    async with database.transaction() as session:
        tx = PostgresMessagingTx(session, instance)
        segments = [
            segment
            for peer, streams in (await tx.load_outgoing(None, lock=False)).items()
            for lane in LANES
            for segment in await tx.list_segments(peer, streams.incarnation, lane, above=0, messages_max=10**9)
        ]
    headers = [dict(each.record.headers) for segment in segments for each in segment.messages]
    own = [each for each in headers if each["ce_subject"] == str(subject).encode()]
    return [(each["ce_type"].decode(), each["ce_recipient"].decode()) for each in own]
