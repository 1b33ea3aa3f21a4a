"""The audit facts: events without a recipient party."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from pydantic import Field, StringConstraints

from shared.core.authority import Role
from shared.core.contracts.base import ActorId, Contract, Digest, ErrorCode, PartyId, Uuid
from shared.core.contracts.decision import EDGES_MAX, DecisionRef, Facts, NotSent
from shared.core.contracts.referral import Revision
from shared.core.vocabulary.referral import ReviewOutcome
from shared.core.vocabulary.reveal import RevealReason
from shared.core.vocabulary.routing import Disposition, PartyKind, Purpose, WorkReason

#: The longest name is that of a pair of instances (`shared.core.protocol.authority`).
TopicName = Annotated[str, StringConstraints(pattern=r"^causeway\.[a-z0-9_.]{1,71}\.v[0-9]{1,2}$", max_length=84)]

#: Maximum decisions in one message. Their bytes are limited as in every sealed part.
DECISIONS_MAX: Final = 64


class DecidedEdge(NamedTuple):
    """An edge in a decision fact, a list of at most 110 bytes of JSON: 200 of them fit one record.

    `id` and `digest` are base64url. `to` is the recipient's position in the list `recipients`.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{22}$", max_length=22)]
    to: Annotated[int, Field(strict=True, ge=0, le=EDGES_MAX - 1)]
    purpose: Purpose
    digest: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$", max_length=43)]


class DecidedReferral(Contract):
    """A referral was accepted and decided, with this disposition.

    Its parties and edges are sealed for audit.
    """

    referral_id: Uuid
    revision: Revision
    disposition: Disposition


class ReferralDecidedClear(Contract):
    """The decisions of one transaction. Each is one entry.

    The subject of the message is the first referral.
    """

    decisions: Annotated[tuple[DecidedReferral, ...], Field(min_length=1, max_length=DECISIONS_MAX)]


class SealedDecision(Contract):
    """A complete decision: its facts, documents and edges, so that audit can decide again.

    `body_sha256` is the digest of the posted bytes, in a batch those of the single item. The signed acceptance of the
    referral states the same. `salt` is that of the decision. The salt of an edge is HMAC-SHA-256 of its id under it.
    `superseded` are edges whose decision became stale before they were applied. With the work reason `undeliverable`,
    an edge of the decision is missing: its recipient had no sealing key. Or, before a repeated decision, its origin had
    left the directory or its content was erased.
    """

    origin: PartyId
    body_sha256: Digest
    work_reason: WorkReason | None = None
    decision: DecisionRef
    salt: Digest
    facts: Facts
    recipients: Annotated[tuple[PartyId, ...], Field(max_length=EDGES_MAX)]
    edges: Annotated[tuple[DecidedEdge, ...], Field(max_length=EDGES_MAX)]
    not_sent: Annotated[tuple[NotSent, ...], Field(max_length=EDGES_MAX)]
    superseded: Annotated[tuple[Uuid, ...], Field(max_length=EDGES_MAX)] = ()


class ReferralDecidedSealed(Contract):
    """The decisions on the referrals in the clear part, in the same order."""

    decisions: Annotated[tuple[SealedDecision, ...], Field(min_length=1, max_length=DECISIONS_MAX)]


class ReferralRefusedClear(Contract):
    """A submission was rejected. No part of its body is stored. `code` and `field` name the violated rule."""

    origin: PartyId
    origin_kind: PartyKind
    code: ErrorCode
    field: Annotated[str, Field(pattern=r"^[A-Za-z0-9_/]{0,120}$", max_length=120)] | None = None


class ReferralReviewedClear(Contract):
    """The result of a second review at the origin. The referral is the message's subject.

    `filed_by` submitted it. `by` released or dropped it, and is omitted if the review expired. Both are as in
    `RecordRevealedClear`. A dropped or expired referral is erased.
    """

    origin: PartyId
    outcome: ReviewOutcome
    filed_by: ActorId
    by: ActorId | None = None


class RecordRevealedClear(Contract):
    """A person or machine of `party` opened the record of the message's subject, a referral or a notice.

    `actor` is an opaque id that differs for each person and machine. Only its instance can resolve it. `reason` is a
    person's reason for opening the record. It is stated once for each role, reason and hour (UTC). `further`: how often
    the same actor opened it again in the last such hour before, after the statement of that hour.
    """

    party: PartyId
    role: Role
    actor: ActorId
    reason: RevealReason | None = None
    further: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] | None = None
