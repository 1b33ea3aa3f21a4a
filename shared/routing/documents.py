"""Who approved a document: two different approvers sign its kind, its digest and the time it takes effect.

Others may sign beside them, by keys that are not known here or not yet: these prove nothing, and take nothing away.

A beat is signed by one key of the directory: it says which documents are newest and puts nothing in force.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.contracts.directory import Approval, Beat, DocumentActivated, SignedBeat
from shared.kernel.canonical import canonical_json, digest
from shared.kernel.clock import rfc3339
from shared.kernel.errors import Refused
from shared.routing.derive import TOLERANCE
from shared.routing.directory_index import DirectoryIndex

APPROVERS_MIN = 2


@dataclass(frozen=True, slots=True)
class ApproverKey:
    """An approver's Ed25519 public key, 32 bytes. Trusted by configuration, never because a document names it."""

    approver: str
    public: bytes


def approval_message(kind: str, document_digest: str, active_from: datetime) -> bytes:
    """The bytes an approver signs. The time is part of them: an approval cannot be moved to another day."""
    return f"causeway-document/v1\n{kind}\n{document_digest}\n{rfc3339(active_from)}\n".encode()


def verify_document(activated: DocumentActivated, body: bytes, approver_keys: Mapping[str, ApproverKey]) -> None:
    """Check that `body` is the document and that two different approvers signed it, by their keys' ids.

    Every approval by a key that is known here must hold, not just two; one by any other key counts for nothing. Raises
    `Refused`. Says nothing about what the document contains.
    """
    if digest(body) != activated.digest:
        raise Refused("document_digest_mismatched", field="/digest")
    message = approval_message(activated.kind, activated.digest, activated.active_from)
    signers = [
        _signer(key, approval, message, field=f"/approvals/{position}")
        for position, approval in enumerate(activated.approvals)
        if (key := approver_keys.get(approval.key_id)) is not None
    ]
    # Counted by name and by key: neither two keys of one approver nor one key under two names are two approvals.
    if min(len({signer.approver for signer in signers}), len({signer.public for signer in signers})) < APPROVERS_MIN:
        raise Refused("approvers_too_few", field="/approvals")


def beat_message(beat: Beat) -> bytes:
    """The bytes that the operator's beat key signs."""
    return b"causeway-beat/v1\n" + canonical_json(beat.model_dump(mode="json"))


def verify_beat(signed: SignedBeat, directory: DirectoryIndex, now: datetime) -> None:
    """Check that a beat key of this directory signed it, and that it is not from the future. Raises `Refused`."""
    key = directory.beat_key(signed.key_id)
    if key is None or not key.valid_at(signed.beat.at):
        raise Refused("beat_key_unknown", field="/key_id")
    if signed.beat.at > now + TOLERANCE:
        raise Refused("beat_time_off", field="/beat/at")
    try:
        signature = base64.urlsafe_b64decode(signed.signature + "==")
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, beat_message(signed.beat))
    except (InvalidSignature, ValueError):
        raise Refused("beat_signature_invalid", field="/signature") from None


def _signer(key: ApproverKey, approval: Approval, message: bytes, *, field: str) -> ApproverKey:
    if key.approver != approval.approver:
        raise Refused("approver_unknown", field=field)
    try:
        signature = base64.urlsafe_b64decode(approval.signature + "==")
        if base64.urlsafe_b64encode(signature).decode().rstrip("=") != approval.signature:
            raise ValueError("another spelling of the same bytes")
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise Refused("approval_invalid", field=f"{field}/signature") from None
    return key
