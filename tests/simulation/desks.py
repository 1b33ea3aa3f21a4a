"""The two services of the simulation: a hotline that files and withdraws, agencies that take up. As small as can be.

They keep to what the real ones keep to: effects and outgoing messages in the transaction they are given, refusals by
code, lapsed decisions made again. What they do with a referral is in `State.effects`, under these keys:

    ("referral", id)        open or withdrawn, at the hotline
    ("edge", message id)    emitted, superseded or dropped, at the hotline; with what it says, to say it again
    ("case", id, agency)    offered, withdrawn, or withdrawn before it ever came, at the agencies' instance
    ("seen", n)             the n-th message that was handed over, at either
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from shared.contracts.base import Contract
from shared.contracts.facts import MessagesReceiptedClear, ReceiptEntry
from shared.contracts.registry import (
    BY_TYPE,
    CASE_ACCEPTED,
    MESSAGE_PARKED,
    MESSAGES_RECEIPTED,
    REFERRAL_DECIDED,
    REFERRAL_OFFERED,
    REFERRAL_WITHDRAWN,
    MessageType,
)
from shared.envelope.batch import message_digest
from shared.envelope.headers import Envelope, decode_headers
from shared.exchange.accept import TurnedAway
from shared.exchange.compose import Verdict
from shared.exchange.message import Draft, Received, Record
from shared.exchange.needs import Need, NeedKind, Unread
from shared.exchange.record_table import DECIDE_AGAIN
from shared.exchange.topics import inbox_topic
from shared.kernel.clock import Clock, parse_rfc3339, rfc3339
from shared.kernel.errors import CausewayError, Refused
from shared.runtime.post.arrivals import Parked
from shared.runtime.post.ports import Settlement, Unit
from shared.vocabulary.answers import ReceiptOutcome
from tests.support.memory_stores import MemoryDatabase, State

HOTLINE, AGENCIES = "hotline", "law_enforcement"
ORIGIN = "hotline-a.example"
AGENCY_NAMES = ("police-a.example", "police-b.example")
SERVED_BY = {ORIGIN: HOTLINE} | dict.fromkeys(AGENCY_NAMES, AGENCIES)
TOLERANCE = timedelta(minutes=5)


class Said(Contract):
    """The clear part of every message but receipts."""

    referral_id: UUID
    decided_at: datetime | None
    document: int
    cursed: bool


@dataclass(slots=True)
class Writer:
    """Writes drafts, with ids from the simulation's one source of chance."""

    clock: Clock
    new_id: Callable[[], UUID]

    def draft(
        self,
        message: MessageType,
        clear: dict[str, Any],
        *,
        subject: UUID,
        sender: str,
        recipient: str,
        decided_at: datetime | None = None,
    ) -> Draft:
        instance = SERVED_BY.get(recipient, recipient)
        return Draft(
            message_id=self.new_id(),
            message=message,
            subject=str(subject),
            sender=sender,
            recipient=recipient,
            recipient_instance=instance,
            topic=inbox_topic(instance, SERVED_BY.get(sender, sender)),
            exercise=True,
            body=json.dumps({"clear": clear}).encode(),
            created_at=self.clock.now(),
            decided_at=decided_at,
        )

    def offer(self, referral_id: UUID, agency: str, *, document: int, cursed: bool) -> Draft:
        now = self.clock.now()
        clear = said(referral_id, decided_at=now, document=document, cursed=cursed)
        return self.draft(REFERRAL_OFFERED, clear, subject=referral_id, sender=ORIGIN, recipient=agency, decided_at=now)

    def plain(self, message: MessageType, referral_id: UUID, *, sender: str, recipient: str) -> Draft:
        return self.draft(message, said(referral_id), subject=referral_id, sender=sender, recipient=recipient)

    def receipts(self, instance: str, to: str, verdicts: Sequence[Verdict]) -> list[Draft]:
        stated = [[str(each.message_id), each.digest, each.outcome.value, each.code] for each in verdicts]
        return [
            self.draft(MESSAGES_RECEIPTED, {"entries": stated}, subject=self.new_id(), sender=instance, recipient=to)
        ]

    def parked(self, instance: str, parked: Sequence[Parked]) -> list[Draft]:
        return [
            self.draft(
                MESSAGE_PARKED, {"offset": each.offset}, subject=self.new_id(), sender=instance, recipient="audit"
            )
            for each in parked
        ]

    def decided(self, referral_id: UUID, links: Sequence[UUID]) -> Draft:
        clear = {"referral_id": str(referral_id), "links": [str(link) for link in links]}
        return self.draft(REFERRAL_DECIDED, clear, subject=referral_id, sender=HOTLINE, recipient="audit")


def said(
    referral_id: UUID, *, decided_at: datetime | None = None, document: int = 0, cursed: bool = False
) -> dict[str, Any]:
    stated = None if decided_at is None else rfc3339(decided_at)
    return {"referral_id": str(referral_id), "decided_at": stated, "document": document, "cursed": cursed}


def holds(clear: Said, record: Record, law_changes_at: datetime) -> bool:
    """Whether a decision holds by the law at the broker's time, five minutes either way. Its age does not matter."""
    if clear.decided_at is None:
        return True
    near = abs(record.broker_time - law_changes_at) <= TOLERANCE
    return near or (clear.decided_at < law_changes_at) == (record.broker_time < law_changes_at)


class Acceptor:
    """A cheap `accept_batch`: real headers and digests, no signatures. `knows` tells whether a document has come."""

    def __init__(self, knows: Callable[[int], bool], law_changes_at: datetime) -> None:
        self._knows = knows
        self._law_changes_at = law_changes_at
        self._read: dict[tuple[object, object], tuple[Envelope, Received]] = {}

    def __call__(self, records: Sequence[Record]) -> list[Received | Exception]:
        return [self._outcome(record) for record in records]

    def _outcome(self, record: Record) -> Received | Exception:
        try:
            return self._accepted(record)
        except CausewayError as error:
            return error

    def _accepted(self, record: Record) -> Received:
        envelope, received = self._understood(record)
        clear = received.clear
        if isinstance(clear, Said):
            if not self._knows(clear.document):
                awaited = Unread("document_unknown", Need(NeedKind.DOCUMENT, str(clear.document)))
                raise TurnedAway(awaited, envelope, received.sender_instance, digest=received.digest)
            if not self.in_time(clear, record):
                raise TurnedAway(Refused("document_lapsed"), envelope, received.sender_instance, digest=received.digest)
        return replace(received, record=record)

    def in_time(self, clear: Said, record: Record) -> bool:
        """Whether the law that it was decided by was in force when the broker took it, or had been just before."""
        return holds(clear, record, self._law_changes_at)

    def _understood(self, record: Record) -> tuple[Envelope, Received]:
        """What the record says; the same bytes are read once."""
        same = (record.headers, record.value)
        if same not in self._read:
            envelope = decode_headers(record.headers, record.value or b"")
            self._read[same] = (envelope, _received(record, envelope))
        return self._read[same]


def _received(record: Record, envelope: Envelope) -> Received:
    attributes = envelope.attributes
    message = BY_TYPE[attributes.type]
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
        clear=_clear(message, envelope.body),
        sealed=None,
        sent_at=attributes.time,
        traceparent=None,
    )


def _clear(message: MessageType, body: bytes) -> Contract:
    clear = json.loads(body)["clear"]
    if message is MESSAGES_RECEIPTED:
        entries = tuple(
            ReceiptEntry.model_construct(
                message_id=UUID(id_), digest=digest, outcome=ReceiptOutcome(outcome), code=code
            )
            for id_, digest, outcome, code in clear["entries"]
        )
        return MessagesReceiptedClear.model_construct(entries=entries)
    decided_at = clear["decided_at"]
    return Said.model_construct(
        referral_id=UUID(clear["referral_id"]),
        decided_at=None if decided_at is None else parse_rfc3339(decided_at),
        document=clear["document"],
        cursed=clear["cursed"],
    )


class Desk:
    """The handler of one instance. A message that is `cursed` makes it fail, every time."""

    def __init__(self, database: MemoryDatabase, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        state: State = unit.connection
        refusals: dict[UUID, str] = {}
        for message in messages:
            clear = message.clear
            assert isinstance(clear, Said)
            if clear.cursed:
                raise ValueError("cursed")
            state.effects["seen", len(state.effects)] = message
            try:
                self._apply(state, message, clear)
            except Refused as error:
                refusals[message.message_id] = error.code
        return refusals

    def _apply(self, state: State, message: Received, clear: Said) -> None:
        if message.message is CASE_ACCEPTED:
            edge = ("answer", clear.referral_id, message.sender)
            if edge in state.effects:
                raise Refused("answer_out_of_order")
            state.effects[edge] = "accepted"
            return
        case = ("case", clear.referral_id, message.recipient)
        if message.message is REFERRAL_WITHDRAWN:
            # Also of what is not here yet: it is refused when it comes.
            state.effects[case] = "withdrawn" if case in state.effects else "never came"
            return
        if case in state.effects:
            raise Refused("case_exists" if state.effects[case] == "offered" else "subject_withdrawn")
        state.effects[case] = "offered"
        answer = self._writer.plain(
            CASE_ACCEPTED, clear.referral_id, sender=message.recipient, recipient=message.sender
        )
        self._database.enqueue(state, [answer])

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        self.decide_again(unit.connection, [each.message_id for each in settlements if each.code in DECIDE_AGAIN])

    def decide_again(self, state: State, message_ids: Sequence[UUID]) -> None:
        for message_id in message_ids:
            edge = state.effects.get(("edge", message_id))
            if edge is None or edge.state != "emitted":
                continue
            if state.effects["referral", edge.referral_id] == "withdrawn":
                state.effects["edge", message_id] = edge.now("dropped")
            else:
                state.effects["edge", message_id] = edge.now("superseded")
                self.emit(state, edge.referral_id, [edge])

    def file(self, state: State, referral_id: UUID, edges: Sequence[Edge]) -> None:
        """Take a referral in, once; filing it again is the client's repetition."""
        if ("referral", referral_id) not in state.effects:
            state.effects["referral", referral_id] = "open"
            self.emit(state, referral_id, edges)

    def withdraw(self, state: State, referral_id: UUID) -> None:
        """Take a referral back and tell everyone who was sent it."""
        if state.effects.get(("referral", referral_id)) != "open":
            return
        state.effects["referral", referral_id] = "withdrawn"
        edges = [each for key, each in state.effects.items() if key[0] == "edge" and each.state == "emitted"]
        told = [
            self._writer.plain(REFERRAL_WITHDRAWN, referral_id, sender=ORIGIN, recipient=edge.agency)
            for edge in edges
            if edge.referral_id == referral_id
        ]
        self._database.enqueue(state, told)

    def emit(self, state: State, referral_id: UUID, edges: Sequence[Edge]) -> None:
        offers = []
        for edge in edges:
            offer = self._writer.offer(referral_id, edge.agency, document=edge.document, cursed=edge.cursed)
            state.effects["edge", offer.message_id] = edge.now("emitted")
            offers.append(offer)
        fact = self._writer.decided(referral_id, [offer.message_id for offer in offers])
        self._database.enqueue(state, [*offers, fact])


@dataclass(frozen=True, slots=True)
class Edge:
    """One edge of a referral: to whom, by which document, and whether it breaks its recipient's code."""

    referral_id: UUID
    agency: str
    document: int
    cursed: bool
    state: str = "planned"

    def now(self, state: str) -> Edge:
        return Edge(self.referral_id, self.agency, self.document, self.cursed, state)
