"""Evidence: a message as it came, its proof, and the statement of the recipient's instance on its arrival."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from shared.contracts.base import Contract, Digest, FormVersion, InstanceId, Instant, KeyId, PartyId, SignatureText
from shared.contracts.facts import TopicName
from shared.vocabulary.proofs import NotProven, Proven

HeaderName = Annotated[str, StringConstraints(pattern=r"^(ce_[a-z0-9]{1,30}|content-type)$", max_length=33)]
#: The longest is that of an extension (`shared.envelope.spelling`).
HeaderText = Annotated[str, StringConstraints(pattern=r"^[ -~]*$", max_length=8_192)]
#: The exact bytes of a value, at most 64 KiB, in base64 (RFC 4648, section 4).
ValueText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+={0,2}$", max_length=87_384)]

#: The salt of the message's leaf, 16 bytes in hexadecimal.
SaltText = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$", max_length=32)]


class EvidenceStatement(Contract):
    """`instance` states for `party` in which topic and when the message with this digest arrived, and what that proves.

    The signature covers all but itself and the key id. `broker_time` is the broker's own. The place in the stream is
    not stated: it counts messages to others as well. Audit finds the place by the message's id.
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


class EvidenceProof(Contract):
    """The content proof of one message: the signature over its tree, and the way from its leaf to the root.

    `position` is that of the leaf in a tree of `size` leaves; `path` has the hashes beside the way, lowest first.
    """

    key_id: KeyId
    signature: SignatureText
    size: Annotated[int, Field(strict=True, ge=1, le=256)]
    position: Annotated[int, Field(strict=True, ge=0, le=255)]
    path: Annotated[tuple[Digest, ...], Field(max_length=8)]


class Evidence(Contract):
    """One message: the headers that its sender signed and the value, exactly as they came, its salt and its proof."""

    headers: Annotated[tuple[tuple[HeaderName, HeaderText], ...], Field(min_length=1, max_length=64)]
    value: ValueText
    salt: SaltText
    proof: EvidenceProof
    statement: EvidenceStatement


class KeptEvidence(Contract):
    """The evidence of what was sent: of a notice one message, of a case one for each purpose. `version`: its form."""

    version: FormVersion
    evidence: Annotated[tuple[Evidence, ...], Field(min_length=1, max_length=64)]
