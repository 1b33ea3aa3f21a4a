"""Evidence: a message as it came, its proof, and the statement of the recipient's instance on its arrival."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from shared.contracts.base import Contract, Digest, FormVersion, InstanceId, Instant, KeyId, PartyId, SignatureText
from shared.contracts.facts import TopicName
from shared.contracts.leaf_proof import LeafProof, SaltText
from shared.vocabulary.proofs import NotProven, Proven

HeaderName = Annotated[str, StringConstraints(pattern=r"^(ce_[a-z0-9]{1,30}|content-type)$", max_length=33)]
#: The longest is that of an extension (`shared.envelope.spelling`).
HeaderText = Annotated[str, StringConstraints(pattern=r"^[ -~]*$", max_length=8_192)]
#: The exact bytes of a value, at most 64 KiB, in base64 (RFC 4648, section 4).
ValueText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+={0,2}$", max_length=87_384)]


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


class Evidence(Contract):
    """One message: the headers that its sender signed and the value, exactly as they came, its salt and its proof."""

    headers: Annotated[tuple[tuple[HeaderName, HeaderText], ...], Field(min_length=1, max_length=64)]
    value: ValueText
    salt: SaltText
    proof: LeafProof
    statement: EvidenceStatement


class KeptEvidence(Contract):
    """The evidence of what was sent: of a notice one message, of a case one for each purpose. `version`: its form."""

    version: FormVersion
    evidence: Annotated[tuple[Evidence, ...], Field(min_length=1, max_length=64)]
