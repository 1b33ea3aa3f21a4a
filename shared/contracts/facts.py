"""Receipts between services, and the audit facts: what happened that has no recipient."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.contracts.base import ActorId, Contract, Digest, ErrorCode, Flag, Instant, PartyId, SenderId, Uuid
from shared.contracts.decision import DecisionRef, Edge, Facts, NotSent
from shared.contracts.directory import TopicName
from shared.contracts.referral import Revision
from shared.kernel.authority import Role
from shared.vocabulary.answers import ReceiptOutcome
from shared.vocabulary.routing import Disposition, PartyKind, WorkReason

#: Receipt entries per message: 140 of ≤ 460 bytes stay below Kafka's 64 KiB record bound.
RECEIPT_ENTRIES_MAX = 140


class JudgedCopy(Contract):
    """The copy of a message that was judged: where it lies in its topic, and when the broker took it.

    `topic_id` names one life of the topic; it is left out where the reader does not know it.
    """

    topic_id: Uuid | None = None
    offset: Annotated[int, Field(strict=True, ge=0, le=2**53 - 1)]
    broker_time: Instant


class ReceiptEntry(Contract):
    """One consumed message: the digest of its covered bytes, the copy judged, and what was done with it.

    `edge` and `revision` are those that the message names.
    """

    message_id: Uuid
    digest: Digest
    outcome: ReceiptOutcome
    code: ErrorCode | None = None
    edge: Uuid | None = None
    revision: Revision | None = None
    judged: JudgedCopy


class MessagesReceiptedClear(Contract):
    """One service's statement to another about messages of one consumed batch. Not receipted itself."""

    entries: Annotated[tuple[ReceiptEntry, ...], Field(min_length=1, max_length=RECEIPT_ENTRIES_MAX)]


class EmittedEdge(Contract):
    """An edge and the message that carries it: the only link between a referral and its notices."""

    edge: Edge
    message_id: Uuid
    notice_id: Uuid | None = None


class ReferralDecidedClear(Contract):
    """A referral was accepted and decided: the whole decision, for audit alone. `salt` opens its digest.

    `superseded` names the messages whose decision had gone stale before they were applied. With the work reason
    `undeliverable`, an edge of the decision has no message: its recipient could not be sealed for, or, when it was to
    be decided again, its origin had left the directory or its content was erased.
    """

    referral_id: Uuid
    revision: Revision
    origin: PartyId
    exercise: Flag
    disposition: Disposition
    work_reason: WorkReason | None = None
    decision: DecisionRef
    salt: Digest
    facts: Facts
    emitted: Annotated[tuple[EmittedEdge, ...], Field(max_length=200)]
    not_sent: Annotated[tuple[NotSent, ...], Field(max_length=200)]
    superseded: Annotated[tuple[Uuid, ...], Field(max_length=200)] = ()


class ReferralRefusedClear(Contract):
    """A submission was refused. Nothing of its body is kept; `code` and `field` say which rule it broke."""

    origin: PartyId
    origin_kind: PartyKind
    code: ErrorCode
    field: Annotated[str, Field(pattern=r"^[A-Za-z0-9_/]{0,120}$", max_length=120)] | None = None


class MessageParkedClear(Contract):
    """A record was put into quarantine: coordinates and reason, no body."""

    topic: TopicName
    partition: Annotated[int, Field(strict=True, ge=0, le=10_000)]
    offset: Annotated[int, Field(strict=True, ge=0, le=2**53 - 1)]
    digest: Digest
    reason: ErrorCode
    sender: SenderId | None = None
    message_id: Uuid | None = None


class RecordRevealedClear(Contract):
    """The record of the message's subject, a referral or a notice, was opened for a person or machine of `party`.

    `actor` tells its persons and machines apart, and nobody but its instance knows whom it names.
    """

    party: PartyId
    role: Role
    actor: ActorId
