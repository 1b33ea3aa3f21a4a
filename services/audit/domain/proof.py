"""The content proof of a message as audit stores it, and its check at the time of a request. Pure."""

from __future__ import annotations

from enum import StrEnum

from services.audit.domain.shown import Count, EntryView
from shared.core.contracts.base import Contract, Digest, Instant, Uuid
from shared.core.envelope.base64url import to_base64url
from shared.core.envelope.content_proof import TREE_SIZES, MessageProof, signed_bytes
from shared.core.envelope.keys import VerifyKey
from shared.core.errors import EvidenceRejected, Refused
from shared.core.ledger.tree import root_from_inclusion


class SignatureStatus(StrEnum):
    """The present result of a check of the signature over the tree's root, and of the path to the root."""

    VALID = "valid"
    INVALID = "invalid"
    #: The writer had no such valid key at the record's time, or the key was revoked since.
    OF_NO_KEY = "of_no_key"


class ProofView(Contract):
    """The proof of one message, and the coordinates of its record.

    `path` leads from `digest`, the leaf at `position` of `size`, to the root. `signature` is over the root and the
    size. `signed_by` is the writer if `key_id` was its valid key at that time and was not revoked since. Audit stores
    no record, so it cannot compute the digest again. The digest is SHA-256 over a zero byte, the `salt` and the signed
    bytes.
    """

    topic: str
    topic_id: Uuid
    partition: Count
    offset: Count
    at: Instant
    digest: Digest
    key_id: str
    signed_by: str | None
    size: Count
    position: Count
    path: tuple[Digest, ...]
    salt: str
    signature: str
    signature_is: SignatureStatus


def proof_of(entry: EntryView, writer: str, proof: MessageProof, *, key: VerifyKey | None) -> ProofView:
    """Return the proof, after another check of its path and its signature with this key of the writer."""
    told = {name: getattr(entry, name) for name in ("topic", "topic_id", "partition", "offset", "at", "digest")}
    told |= {"salt": to_base64url(proof.salt), "signature_is": _signature(entry.digest, proof, key)}
    return ProofView.model_validate(told | proof.members() | {"signed_by": None if key is None else writer})


def _signature(digest: str, proof: MessageProof, key: VerifyKey | None) -> SignatureStatus:
    if key is None:
        return SignatureStatus.OF_NO_KEY
    if proof.size not in TREE_SIZES:
        return SignatureStatus.INVALID
    try:
        head = root_from_inclusion(bytes.fromhex(digest), proof.position, proof.size, path=proof.path)
        key.verify(proof.signature, signed_bytes(head, proof.size))
    except (Refused, EvidenceRejected):
        return SignatureStatus.INVALID
    return SignatureStatus.VALID
