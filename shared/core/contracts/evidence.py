"""Evidence: a received message, its proof, and statements of instances on arrival and acceptance."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from shared.core.contracts.base import (
    Contract,
    Digest,
    FormVersion,
    GuardEdition,
    InstanceId,
    Instant,
    KeyId,
    PartyId,
    SignatureText,
    Uuid,
)
from shared.core.contracts.facts import TopicName
from shared.core.vocabulary.proofs import NotProven, Proven

#: The salt of a leaf, 16 bytes in hexadecimal.
SaltText = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$", max_length=32)]


class LeafProof(Contract):
    """The signature over a tree, and the path from one of its leaves to the root.

    `position` is the position of the leaf in a tree of `size` leaves. `path` has the sibling hashes, lowest first.
    """

    key_id: KeyId
    signature: SignatureText
    size: Annotated[int, Field(strict=True, ge=1, le=256)]
    position: Annotated[int, Field(strict=True, ge=0, le=255)]
    path: Annotated[tuple[Digest, ...], Field(max_length=8)]


class SignedAcceptance(Contract):
    """`instance` has accepted a referral of `party`.

    The leaf of `proof` covers all members but `salt` and `proof`. The acceptances of one transaction share a tree and
    its signature. The signature also covers `instance` and `accepted_at`. `body_sha256` is the hash of the posted
    bytes; of an item of a list, of the item's own bytes. `guard` is the edition that passed the referral. Audit has the
    decided fact of the referral at most `merge_delay_s` after `accepted_at`, or the instance has broken its statement.
    An instance sets this delay itself, up to a week. `version`: the form of this document.
    """

    version: FormVersion
    instance: InstanceId
    party: PartyId
    referral_id: Uuid
    body_sha256: Digest
    guard: GuardEdition
    accepted_at: Instant
    merge_delay_s: Annotated[int, Field(strict=True, ge=1, le=604_800)]
    salt: SaltText
    proof: LeafProof


HeaderName = Annotated[str, StringConstraints(pattern=r"^(ce_[a-z0-9]{1,30}|content-type)$", max_length=33)]
#: The longest text is that of an extension (`shared.core.envelope.attributes`).
HeaderText = Annotated[str, StringConstraints(pattern=r"^[ -~]*$", max_length=8_192)]
#: The exact bytes of a value, at most 64 KiB, in base64 (RFC 4648, section 4).
ValueText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+={0,2}$", max_length=87_384)]


class EvidenceStatement(Contract):
    """A statement of `instance` for `party` on a message: topic, arrival time and proven claims.

    The signature covers all members except itself and the key id. `broker_time` is the broker's own. The place in the
    stream is not stated, because it also counts messages to others. Audit finds the place by the message's id.
    """

    instance: InstanceId
    party: PartyId
    message_digest: Digest
    topic: TopicName
    broker_time: Instant
    stated_at: Instant
    proven: Annotated[tuple[Proven, ...], Field(max_length=16)]
    not_proven: Annotated[tuple[NotProven, ...], Field(max_length=16)]
    key_id: KeyId
    signature: SignatureText


class Evidence(Contract):
    """One message as received: the headers that its sender signed, the value, its salt and its proof."""

    headers: Annotated[tuple[tuple[HeaderName, HeaderText], ...], Field(min_length=1, max_length=64)]
    value: ValueText
    salt: SaltText
    proof: LeafProof
    statement: EvidenceStatement


class KeptEvidence(Contract):
    """The evidence of received messages: one for a notice, one per purpose for a case.

    `version`: its form.
    """

    version: FormVersion
    evidence: Annotated[tuple[Evidence, ...], Field(min_length=1, max_length=64)]
