"""What the instances of the simulation write to each other: real drafts with small bodies, and how they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from shared.contracts.answers import Answer
from shared.contracts.base import Contract
from shared.contracts.facts import JudgedCopy, MessagesReceiptedClear, ReceiptEntry
from shared.contracts.items import AnsweredSoFar
from shared.contracts.referral import EdgeClear
from shared.contracts.registry import (
    CASE_ACCEPTED,
    MESSAGE_PARKED,
    MESSAGES_RECEIPTED,
    REFERRAL_DECIDED,
    REFERRAL_OFFERED,
    REFERRAL_WITHDRAWN,
    Family,
    MessageType,
)
from shared.exchange.compose import Verdict
from shared.exchange.message import Draft
from shared.exchange.topics import inbox_topic
from shared.kernel.clock import Clock, parse_rfc3339, rfc3339
from shared.runtime.post.arrivals import Parked
from shared.runtime.post.talk import Stating
from shared.vocabulary.answers import AnswerState, ReceiptOutcome
from tests.simulation.places import HOTLINE, ORIGIN


class Said(Contract):
    """The clear part of a withdrawal."""

    referral_id: UUID


class Offered(EdgeClear):
    """The clear part of an offer; `again` stands in it as the number of answers so far, None where it is the first."""

    referral_id: UUID
    revision: int
    decided_at: datetime
    document: int
    cursed: bool
    again: int | None
    moved: bool
    restored: bool


class Answered(Answer):
    """The clear part of an answer; `release`: the oldest that reads it."""

    referral_id: UUID
    release: int


class Content(Contract):
    """What an offer says, whenever it is said."""

    revision: int
    document: int
    cursed: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """One edge of a referral: to whom, where it lies, by which document, and whether it breaks its recipient's code.

    `places` are the instances that ever got it, `told` the numbers of the answers that its present place knows of;
    `taken` is that of the newest answer.
    """

    edge_id: UUID
    referral_id: UUID
    agency: str
    document: int
    cursed: bool
    revision: int = 1
    state: str = "planned"
    place: str = ""
    places: tuple[str, ...] = ()
    told: tuple[int, ...] = ()
    taken: int = 0


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
        sides: tuple[str, str] | None = None,
        decided_at: datetime | None = None,
    ) -> Draft:
        """`sides` are the instances that it goes between, where sender and recipient are parties."""
        by, to = sides or (sender, recipient)
        return Draft(
            message_id=self.new_id(),
            message=message,
            subject=str(subject),
            sender=sender,
            recipient=recipient,
            recipient_instance=to,
            topic=inbox_topic(to, by),
            exercise=True,
            body=json.dumps({"clear": clear}).encode(),
            created_at=self.clock.now(),
            decided_at=decided_at,
        )

    def offer(self, edge: Edge, *, moved: bool = False, restored: bool = False) -> Draft:
        """The edge as it is, to where it lies."""
        now = self.clock.now()
        clear = {
            "referral_id": str(edge.referral_id),
            "edge_id": str(edge.edge_id),
            "revision": edge.revision,
            "decided_at": rfc3339(now),
            "document": edge.document,
            "cursed": edge.cursed,
            "again": edge.taken if edge.told or restored else None,
            "moved": moved,
            "restored": restored,
        }
        return self.draft(
            REFERRAL_OFFERED,
            clear,
            subject=edge.referral_id,
            sender=ORIGIN,
            recipient=edge.agency,
            sides=(HOTLINE, edge.place),
            decided_at=now,
        )

    def withdrawal(self, edge: Edge, place: str) -> Draft:
        clear = {"referral_id": str(edge.referral_id)}
        sides = (HOTLINE, place)
        return self.draft(
            REFERRAL_WITHDRAWN, clear, subject=edge.referral_id, sender=ORIGIN, recipient=edge.agency, sides=sides
        )

    def answer(self, referral_id: UUID, number: int, *, agency: str, by: str, release: int) -> Draft:
        clear = {"referral_id": str(referral_id), "act": str(self.new_id()), "number": number, "release": release}
        return self.draft(
            CASE_ACCEPTED, clear, subject=referral_id, sender=agency, recipient=ORIGIN, sides=(by, HOTLINE)
        )

    def statement(self, message: MessageType, clear: Contract, *, sender: str, recipient: str) -> Draft:
        body = clear.model_dump(mode="json", exclude_none=True)
        return self.draft(message, body, subject=self.new_id(), sender=sender, recipient=recipient)

    def receipts(self, instance: str, to: str, verdicts: Sequence[Verdict]) -> list[Draft]:
        stated = [
            [str(each.message_id), each.digest, each.outcome.value, each.code, rfc3339(each.judged.broker_time)]
            for each in verdicts
        ]
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


@dataclass(frozen=True, slots=True)
class Statements(Stating):
    """Writes what an instance states of delivery."""

    writer: Writer

    def drafts(self, message: MessageType, to: str, stated: Sequence[Contract]) -> list[Draft]:
        return [self.writer.statement(message, each, sender=self.instance, recipient=to) for each in stated]


@lru_cache(4096)
def read_clear(message: MessageType, body: bytes) -> Contract:
    """What a body of this simulation says. The same bytes are read once."""
    clear = json.loads(body)["clear"]
    if message is MESSAGES_RECEIPTED:
        return MessagesReceiptedClear.model_construct(entries=tuple(_entry(*each) for each in clear["entries"]))
    if message.family in (Family.DELIVERY, Family.FACT):
        return message.clear.model_validate_json(json.dumps(clear))
    referral_id = UUID(clear["referral_id"])
    if message is REFERRAL_OFFERED:
        stated = clear | {
            "edge_id": UUID(clear["edge_id"]),
            "referral_id": referral_id,
            "decided_at": parse_rfc3339(clear["decided_at"]),
        }
        return Offered.model_construct(**stated)
    if message is CASE_ACCEPTED:
        return Answered.model_construct(**clear | {"referral_id": referral_id, "act": UUID(clear["act"])})
    return Said.model_construct(referral_id=referral_id)


def so_far(clear: Offered) -> AnsweredSoFar | None:
    """The answers so far, as an edge that is issued anew carries them."""
    if clear.again is None:
        return None
    return AnsweredSoFar.model_construct(
        moved=clear.moved, restored=clear.restored, answer=AnswerState.NONE, number=clear.again
    )


def content_of(clear: Offered) -> Content:
    return Content.model_construct(revision=clear.revision, document=clear.document, cursed=clear.cursed)


def _entry(id_: str, digest: str, outcome: str, code: str | None, broker_time: str) -> ReceiptEntry:
    judged = JudgedCopy.model_construct(offset=0, broker_time=parse_rfc3339(broker_time))
    return ReceiptEntry.model_construct(
        message_id=UUID(id_), digest=digest, outcome=ReceiptOutcome(outcome), code=code, judged=judged
    )
