"""The content proof of a message as audit keeps it, and what holds of it when somebody looks. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.audit.domain.shown import Count, KeptEntry
from shared.contracts.base import Contract, Digest, Instant, Uuid
from shared.envelope.base64url import to_base64url
from shared.envelope.content_proof import TREE_SIZES, signed_bytes
from shared.envelope.keys import VerifyKey
from shared.kernel.errors import EvidenceRejected, Refused
from shared.ledger.tree import root_from_inclusion

_HASH_BYTES: Final = 32


class SignatureIs(StrEnum):
    """What a check of the signature over the tree's root, and of the way to it, comes to now."""

    VALID = "valid"
    INVALID = "invalid"
    #: Its writer had no such valid key at its time, or the key was revoked since.
    OF_NO_KEY = "of_no_key"


@dataclass(frozen=True, slots=True)
class KeptProof:
    """The proof as it came from its writer: a path of hashes of 32 bytes, and one signature for all in the tree."""

    writer: str
    key_id: str
    signature: bytes
    size: int
    position: int
    path: bytes
    salt: bytes


class Proof(Contract):
    """The proof of one message, and where its record lies.

    `path` leads from its `digest`, the leaf at `position` of `size`, to the root that `signature` is over, together
    with the size. `signed_by` is the writer if `key_id` was its valid key at that time and is not revoked since. Audit
    keeps no record, so it cannot make the digest again: that is SHA-256 over a zero byte, the `salt` and the bytes that
    are signed.
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
    signature_is: SignatureIs


def proof_of(entry: KeptEntry, kept: KeptProof, key: VerifyKey | None) -> Proof:
    """Return the proof, with its path and its signature checked anew by this key of the writer."""
    path = tuple(kept.path[step : step + _HASH_BYTES] for step in range(0, len(kept.path), _HASH_BYTES))
    return Proof(
        topic=entry.topic,
        topic_id=entry.topic_id,
        partition=entry.partition,
        offset=entry.offset,
        at=entry.at,
        digest=entry.digest,
        key_id=kept.key_id,
        signed_by=kept.writer if key is not None else None,
        size=kept.size,
        position=kept.position,
        path=tuple(step.hex() for step in path),
        salt=to_base64url(kept.salt),
        signature=to_base64url(kept.signature),
        signature_is=_signature(entry, kept, path=path, key=key),
    )


def _signature(entry: KeptEntry, kept: KeptProof, *, path: tuple[bytes, ...], key: VerifyKey | None) -> SignatureIs:
    if key is None:
        return SignatureIs.OF_NO_KEY
    if kept.size not in TREE_SIZES:
        return SignatureIs.INVALID
    try:
        head = root_from_inclusion(bytes.fromhex(entry.digest), kept.position, kept.size, path=path)
        key.verify(kept.signature, signed_bytes(head, kept.size))
    except (Refused, EvidenceRejected):
        return SignatureIs.INVALID
    return SignatureIs.VALID
