"""A cheap `accept_batch`: real headers, digests, directories and refusals; no signatures, nothing sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from shared.contracts.decision import Edge as CarriedEdge
from shared.contracts.registry import BY_TYPE, WITHDRAWALS
from shared.envelope.batch import message_digest
from shared.envelope.headers import Envelope
from shared.exchange.accept import TurnedAway
from shared.exchange.message import Received, Record
from shared.exchange.needs import Need, NeedKind, Unread
from shared.exchange.senders import serves
from shared.exchange.served import Served, check_served, served_here
from shared.exchange.spelt import Spelt
from shared.kernel.clock import Clock
from shared.kernel.errors import CausewayError, Refused
from tests.simulation.cheap import opened
from tests.simulation.places import Move
from tests.simulation.writing import Answered, Offered, content_of, read_clear, so_far

TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What one instance has by now: documents by the time at which each came, the release that runs, directories."""

    instance: str
    clock: Clock
    documents: dict[int, datetime]
    upgraded_at: datetime
    law_changes_at: datetime
    move: Move

    def meets(self, need: Need) -> bool:
        now = self.clock.now()
        match need.kind:
            case NeedKind.DOCUMENT:
                return now >= self.documents[int(need.what)]
            case NeedKind.ENGINE:
                return self.reads(int(need.what))
            case NeedKind.DIRECTORY:
                return self.move.version(self.instance, now) > int(need.what)
            case _:
                return False

    def reads(self, release: int) -> bool:
        return release == 1 or self.clock.now() >= self.upgraded_at

    def holds(self, clear: Offered, at: datetime) -> bool:
        """Whether a decision holds by the law at the broker's time, five minutes either way, whatever its age."""
        changes = self.law_changes_at
        return abs(at - changes) <= TOLERANCE or (clear.decided_at < changes) == (at < changes)


class Acceptor:
    """Judges records one by one. The same bytes are read once."""

    def __init__(self, knowledge: Knowledge, read: dict[object, tuple[Envelope, Received]]) -> None:
        self.knowledge = knowledge
        self._read = read

    def __call__(self, records: Sequence[Record]) -> list[Received | Exception]:
        return [self._outcome(record) for record in records]

    def _outcome(self, record: Record) -> Received | Exception:
        try:
            return self._accepted(record)
        except CausewayError as error:
            return error

    def _accepted(self, record: Record) -> Received:
        envelope, received = self._understood(record)
        served = self._served(received, record)
        try:
            self._check(received, record, served)
        except CausewayError as error:
            raise TurnedAway(error, envelope, received.sender_instance, digest=received.digest) from None
        return replace(received, record=record, moved=served is Served.BEFORE_IT_MOVED)

    def _served(self, received: Received, record: Record) -> Served:
        """As `accept` does: who sent it, and whether its recipient is served here."""
        known, now = self.knowledge, self.knowledge.clock.now()
        then = known.move.active(known.instance, record.broker_time, now=now)
        in_force = known.move.active(known.instance, now, now=now)
        if not any(serves(received.sender_instance, received.sender, each) for each in (then, in_force)):
            raise Refused("sender_unknown", field="ce_sender")
        return served_here(received.recipient, known.instance, then, in_force=in_force)

    def _check(self, received: Received, record: Record, served: Served) -> None:
        known, clear = self.knowledge, received.clear
        check_served(received.message, served, version=known.move.version(known.instance, known.clock.now()))
        if received.message in WITHDRAWALS:
            return
        if isinstance(clear, Answered) and not known.reads(clear.release):
            raise Unread("engine_unknown", Need(NeedKind.ENGINE, str(clear.release)))
        if isinstance(clear, Offered):
            if not known.meets(need := Need(NeedKind.DOCUMENT, str(clear.document))):
                raise Unread("document_unknown", need)
            if not self.in_time(clear, record):
                raise Refused("document_lapsed")

    def in_time(self, clear: Offered, record: Record) -> bool:
        """Whether the law that it was decided by was in force when the broker took it, or had been just before."""
        return self.knowledge.holds(clear, record.broker_time)

    def _understood(self, record: Record) -> tuple[Envelope, Received]:
        same = (record.headers, record.value)
        if same not in self._read:
            envelope = opened(tuple(record.headers), record.value or b"")
            self._read[same] = (envelope, _received(record, envelope))
        return self._read[same]


def _received(record: Record, envelope: Envelope) -> Received:
    attributes = envelope.attributes
    message = BY_TYPE[attributes.type]
    clear = read_clear(message, envelope.body)
    offer = clear if isinstance(clear, Offered) else None
    return Received(
        record=record,
        message_id=attributes.id,
        message=message,
        subject=attributes.subject,
        sender=attributes.sender,
        sender_instance=attributes.source.removeprefix("/instances/"),
        recipient=attributes.recipient,
        epoch=attributes.epoch,
        sequence=attributes.sequence,
        digest=message_digest(attributes, envelope.body),
        exercise=True,
        clear=clear,
        sealed=None,
        sent_at=attributes.time,
        traceparent=None,
        edge=cast(CarriedEdge, content_of(offer)) if offer else None,
        again=so_far(offer) if offer else None,
        spelt=Spelt(content_of(offer).model_dump_json().encode(), b"") if offer else None,
    )
