"""The proof of one leaf, between its contract and its bytes."""

from __future__ import annotations

from shared.contracts.leaf_proof import LeafProof
from shared.envelope.base64url import from_base64url, to_base64url
from shared.envelope.content_proof import MessageProof


def format_proof(proof: MessageProof) -> dict[str, object]:
    """Return the members of the contract, without the salt."""
    return {
        "key_id": proof.key_id,
        "signature": to_base64url(proof.signature),
        "size": proof.size,
        "position": proof.position,
        "path": [each.hex() for each in proof.path],
    }


def parse_proof(stated: LeafProof, salt: str) -> MessageProof:
    """Return the proof with its salt, which is in hexadecimal."""
    path = tuple(map(bytes.fromhex, stated.path))
    signature = from_base64url(stated.signature)
    return MessageProof(stated.key_id, signature, stated.size, stated.position, path, bytes.fromhex(salt))
