"""The two services of the simulation: a hotline that files and withdraws, agencies that take up. As small as can be.

They keep to what the real ones keep to: effects and outgoing messages in the transaction they are given, refusals by
code, lapsed decisions made again. What they do with a referral is in `State.effects`, under these keys:

    ("referral", id)        open or withdrawn, at the hotline
    ("edge", message id)    emitted, superseded or dropped, at the hotline; with what it says, to say it again
    ("told", id, agency)    how many answers of the agency were taken, at the hotline
    ("case", id, agency)    offered, withdrawn, or withdrawn before it ever came, at the agencies' instance
    ("held", id, agency)    the newest revision that was taken, at the agencies' instance
    ("track", id, agency)   how many answers were given, at the agencies' instance
    ("seen", n)             the n-th message that was handed over, at either
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from shared.contracts.answers import Answer
from shared.contracts.base import Contract
from shared.contracts.decision import Edge as CarriedEdge
from shared.contracts.facts import MessagesReceiptedClear, ReceiptEntry
from shared.contracts.referral import EdgeClear
from shared.contracts.registry import (
    BY_TYPE,
    CASE_ACCEPTED,
    MESSAGE_PARKED,
    MESSAGES_RECEIPTED,
    REFERRAL_DECIDED,
    REFERRAL_OFFERED,
    REFERRAL_WITHDRAWN,
    Family,
    MessageType,
)
from shared.envelope.batch import message_digest
from shared.envelope.headers import Envelope, decode_headers
from shared.exchange.accept import TurnedAway
from shared.exchange.compose import Verdict
from shared.exchange.message import Draft, Received, Record
from shared.exchange.needs import Need, NeedKind, Unread
from shared.exchange.record_table import DECIDE_AGAIN
from shared.exchange.spelt import Spelt
from shared.exchange.topics import inbox_topic
from shared.kernel.clock import Clock, parse_rfc3339, rfc3339
from shared.kernel.errors import CausewayError, Refused
from shared.runtime.post.arrivals import Parked
from shared.runtime.post.ports import Settlement, Unit
from shared.runtime.post.standing import NothingHeld
from shared.vocabulary.answers import ReceiptOutcome
from tests.support.memory_stores import MemoryDatabase, State

HOTLINE, AGENCIES = "hotline", "law_enforcement"
ORIGIN = "hotline-a.example"
AGENCY_NAMES = ("police-a.example", "police-b.example")
SERVED_BY = {ORIGIN: HOTLINE} | dict.fromkeys(AGENCY_NAMES, AGENCIES)
TOLERANCE = timedelta(minutes=5)


class Said(Contract):
    """The clear part of a withdrawal."""

    referral_id: UUID


class Offered(EdgeClear):
    """The clear part of an offer."""

    referral_id: UUID
    revision: int
    decided_at: datetime
    document: int
    cursed: bool


class Answered(Answer):
    """The clear part of an answer."""

    referral_id: UUID


class Content(Contract):
    """What an offer says, whenever it is said."""

    revision: int
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

    def offer(self, edge: Edge) -> Draft:
        now = self.clock.now()
        clear = {
            "referral_id": str(edge.referral_id),
            "edge_id": str(edge.edge_id),
            "revision": edge.revision,
            "decided_at": rfc3339(now),
            "document": edge.document,
            "cursed": edge.cursed,
        }
        return self.draft(
            REFERRAL_OFFERED, clear, subject=edge.referral_id, sender=ORIGIN, recipient=edge.agency, decided_at=now
        )

    def withdrawal(self, referral_id: UUID, agency: str) -> Draft:
        clear = {"referral_id": str(referral_id)}
        return self.draft(REFERRAL_WITHDRAWN, clear, subject=referral_id, sender=ORIGIN, recipient=agency)

    def answer(self, referral_id: UUID, number: int, *, agency: str) -> Draft:
        clear = {"referral_id": str(referral_id), "act": str(self.new_id()), "number": number}
        return self.draft(CASE_ACCEPTED, clear, subject=referral_id, sender=agency, recipient=ORIGIN)

    def statement(self, message: MessageType, clear: Contract, *, sender: str, recipient: str) -> Draft:
        body = clear.model_dump(mode="json", exclude_none=True)
        return self.draft(message, body, subject=self.new_id(), sender=sender, recipient=recipient)

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


def holds(clear: Offered, record: Record, law_changes_at: datetime) -> bool:
    """Whether a decision holds by the law at the broker's time, five minutes either way. Its age does not matter."""
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
        if isinstance(clear, Offered):
            if not self._knows(clear.document):
                awaited = Unread("document_unknown", Need(NeedKind.DOCUMENT, str(clear.document)))
                raise TurnedAway(awaited, envelope, received.sender_instance, digest=received.digest)
            if not self.in_time(clear, record):
                raise TurnedAway(Refused("document_lapsed"), envelope, received.sender_instance, digest=received.digest)
        return replace(received, record=record)

    def in_time(self, clear: Offered, record: Record) -> bool:
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
    clear = _clear(message, envelope.body)
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
        edge=cast(CarriedEdge, _content(clear)) if isinstance(clear, Offered) else None,
        spelt=Spelt(b"", b"") if isinstance(clear, Offered) else None,
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
    if message.family is Family.DELIVERY:
        return message.clear.model_validate_json(json.dumps(clear))
    referral_id = UUID(clear["referral_id"])
    if message is REFERRAL_OFFERED:
        return Offered.model_construct(
            edge_id=UUID(clear["edge_id"]),
            referral_id=referral_id,
            revision=clear["revision"],
            decided_at=parse_rfc3339(clear["decided_at"]),
            document=clear["document"],
            cursed=clear["cursed"],
        )
    if message is CASE_ACCEPTED:
        return Answered.model_construct(referral_id=referral_id, act=UUID(clear["act"]), number=clear["number"])
    return Said.model_construct(referral_id=referral_id)


def _content(clear: Offered) -> Content:
    return Content.model_construct(revision=clear.revision, document=clear.document, cursed=clear.cursed)


class Desk(NothingHeld):
    """The handler of one instance. A message that is `cursed` makes it fail, until its code is mended."""

    mended = False

    def __init__(self, database: MemoryDatabase, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        state: State = unit.connection
        refusals: dict[UUID, str] = {}
        for message in messages:
            if isinstance(message.clear, Offered) and message.clear.cursed and not self.mended:
                raise ValueError("cursed")
            try:
                self._apply(state, message)
            except Refused as error:
                refusals[message.message_id] = error.code
        return refusals

    def _apply(self, state: State, message: Received) -> None:
        match message.clear:
            case Answered() as clear:
                self.answered(state, message, clear)
            case Offered() as clear:
                self._see(state, message)
                self._offered(state, message, clear)
            case Said() as clear:
                self._see(state, message)
                # Also of what is not here yet: it is refused when it comes.
                case = ("case", clear.referral_id, message.recipient)
                state.effects[case] = "withdrawn" if case in state.effects else "never came"

    def _see(self, state: State, message: Received) -> None:
        state.effects["seen", len(state.effects)] = message

    def answered(self, state: State, message: Received, clear: Answered) -> None:
        """An act that adds: in the order of its track, each once."""
        told = ("told", clear.referral_id, message.sender)
        number = state.effects.get(told, 0) + 1
        if clear.number > number:
            raise Refused("act_awaited")
        self._see(state, message)
        if clear.number < number:
            raise Refused("answer_out_of_order")
        state.effects[told] = number

    def _offered(self, state: State, message: Received, clear: Offered) -> None:
        of = (clear.referral_id, message.recipient)
        if state.effects.get(("case", *of), "offered") != "offered":
            raise Refused("subject_withdrawn")
        number = state.effects.get(("track", *of), 0) + 1
        state.effects |= {("case", *of): "offered", ("held", *of): clear.revision, ("track", *of): number}
        self._database.enqueue(state, [self._writer.answer(clear.referral_id, number, agency=message.recipient)])

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        self.decide_again(unit.connection, [each.message_id for each in settlements if each.code in DECIDE_AGAIN])

    def decide_again(self, state: State, message_ids: Sequence[UUID]) -> None:
        for message_id in message_ids:
            edge = state.effects.get(("edge", message_id))
            if edge is None or edge.state != "emitted":
                continue
            if state.effects["referral", edge.referral_id] == "withdrawn":
                state.effects["edge", message_id] = replace(edge, state="dropped")
            else:
                state.effects["edge", message_id] = replace(edge, state="superseded")
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
        edges = self._emitted(state, referral_id).values()
        self._database.enqueue(state, [self._writer.withdrawal(referral_id, edge.agency) for edge in edges])

    def amend(self, state: State, referral_id: UUID, document: int) -> None:
        """Send everyone who was sent it the next revision, which replaces what came before."""
        if state.effects.get(("referral", referral_id)) != "open":
            return
        before = self._emitted(state, referral_id)
        state.effects |= {("edge", id_): replace(edge, state="superseded") for id_, edge in before.items()}
        after = [replace(edge, revision=edge.revision + 1, document=document) for edge in before.values()]
        if after:
            self.emit(state, referral_id, after)

    def emit(self, state: State, referral_id: UUID, edges: Sequence[Edge]) -> None:
        offers = []
        for edge in edges:
            offer = self._writer.offer(edge)
            state.effects["edge", offer.message_id] = replace(edge, state="emitted")
            offers.append(offer)
        fact = self._writer.decided(referral_id, [offer.message_id for offer in offers])
        self._database.enqueue(state, [*offers, fact])

    def _emitted(self, state: State, referral_id: UUID) -> dict[UUID, Edge]:
        """The newest of each edge of a referral, by the message that carries it."""
        edges = {key[1]: each for key, each in state.effects.items() if key[0] == "edge"}
        return {id_: each for id_, each in edges.items() if each.referral_id == referral_id and each.state == "emitted"}


@dataclass(frozen=True, slots=True)
class Edge:
    """One edge of a referral: to whom, by which document, and whether it breaks its recipient's code."""

    edge_id: UUID
    referral_id: UUID
    agency: str
    document: int
    cursed: bool
    revision: int = 1
    state: str = "planned"
