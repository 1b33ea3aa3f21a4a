"""The audit facts: what happened that has no recipient."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from pydantic import Field, StringConstraints

from shared.contracts.base import ActorId, Contract, Digest, ErrorCode, PartyId, Uuid
from shared.contracts.decision import EDGES_MAX, DecisionRef, Facts, NotSent
from shared.contracts.referral import Revision
from shared.kernel.authority import Role
from shared.vocabulary.referral import ReviewOutcome
from shared.vocabulary.reveal import RevealReason
from shared.vocabulary.routing import Disposition, PartyKind, Purpose, WorkReason

#: The longest is that of a pair of instances (`shared.exchange.topics`).
TopicName = Annotated[str, StringConstraints(pattern=r"^causeway\.[a-z0-9_.]{1,71}\.v[0-9]{1,2}$", max_length=84)]

#: So many decisions one message tells at most. Their bytes are bounded as those of every sealed part.
DECISIONS_MAX: Final = 64


class DecidedEdge(NamedTuple):
    """An edge as audit is told of it, in at most 110 bytes of JSON, a list: 200 of them fit one record.

    `id` and `digest` are written in base64url; `to` is the recipient's place in the list beside them.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{22}$", max_length=22)]
    to: Annotated[int, Field(strict=True, ge=0, le=EDGES_MAX - 1)]
    purpose: Purpose
    digest: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$", max_length=43)]


class DecidedReferral(Contract):
    """That a referral was accepted and decided, and where it stands. What this says of whom is sealed for audit."""

    referral_id: Uuid
    revision: Revision
    disposition: Disposition


class ReferralDecidedClear(Contract):
    """What one transaction decided: each referral once for each decision. The message's subject is the first."""

    decisions: Annotated[tuple[DecidedReferral, ...], Field(min_length=1, max_length=DECISIONS_MAX)]


class SealedDecision(Contract):
    """A whole decision: the facts and documents it was made of, and its edges, so that audit can make it again.

    `body_sha256` is that of the bytes that were posted, in a batch of the item's own: the signed acceptance of the
    referral states the same. `salt` is that of the decision: an edge's own is HMAC-SHA-256 under it of the edge's id.
    `superseded` are edges whose decision had gone stale before they were applied. With the work reason
    `undeliverable`, an edge of the decision is not there: its recipient could not be sealed for, or, when it was to
    be decided again, its origin had left the directory or its content was erased.
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
    """The decisions on the referrals that the clear part names, in its order."""

    decisions: Annotated[tuple[SealedDecision, ...], Field(min_length=1, max_length=DECISIONS_MAX)]


class ReferralRefusedClear(Contract):
    """A submission was refused. Nothing of its body is kept; `code` and `field` say which rule it broke."""

    origin: PartyId
    origin_kind: PartyKind
    code: ErrorCode
    field: Annotated[str, Field(pattern=r"^[A-Za-z0-9_/]{0,120}$", max_length=120)] | None = None


class ReferralReviewedClear(Contract):
    """What became of a referral, the message's subject, that waited for a second person at its origin.

    `filed_by` filed it; `by` released or dropped it, and is left out where nobody did in time. Both as in
    `RecordRevealedClear`. What was dropped or has expired is erased.
    """

    origin: PartyId
    outcome: ReviewOutcome
    filed_by: ActorId
    by: ActorId | None = None


class RecordRevealedClear(Contract):
    """The record of the message's subject, a referral or a notice, was opened for a person or machine of `party`.

    `actor` tells its persons and machines apart, and nobody but its instance knows whom it names. `reason` is what a
    person said it was opened for.
    """

    party: PartyId
    role: Role
    actor: ActorId
    reason: RevealReason | None = None
