"""Signed acceptances: one signature for all acceptances of a transaction, and their offline check.

    leaf       SHA-256(0x00 ‖ salt ‖ canonical JSON of the acceptance without `salt` and `proof`)
    tree       as in the content proof of messages: 16 or 256 leaves, random positions, fillers elsewhere
    signature  Ed25519 over the context and the canonical JSON of instance, key, time, tree size and root

So an acceptance reveals no other submission of its transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from shared.core.canonical import canonical_json, digest, signed_statement
from shared.core.clock import rfc3339
from shared.core.contracts.base import read_versioned
from shared.core.contracts.evidence import SignedAcceptance
from shared.core.envelope.content_proof import GROUP_MESSAGES_MAX, MessageProof, draw_salt, fill_tree, leaf_digest
from shared.core.envelope.keys import SigningKey, VerifyKey
from shared.core.errors import Refused
from shared.core.ledger.tree import inclusion_path, levels
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import TOLERANCE

#: Precedes the signed root. The instance's signing key also signs messages, under another context.
CONTEXT: Final = "causeway-acceptance/v1"


class AcceptedItem(NamedTuple):
    """One accepted submission: its referral, its submitting party and the SHA-256 of its posted bytes."""

    referral_id: UUID
    party: str
    body_sha256: str


class Acceptor:
    """Signs acceptances for one instance, with its signing key."""

    def __init__(self, instance: str, key: SigningKey, guard: str, *, merge_delay_s: int) -> None:
        """Set the guard's edition `guard`, and `merge_delay_s`, the maximum delay of the fact for audit."""
        self._instance, self._key = instance, key
        self._guard, self._merge_delay_s = guard, merge_delay_s

    def accept(self, items: Sequence[AcceptedItem], *, at: datetime) -> list[dict[str, object]]:
        """Return the `SignedAcceptance` of each item as JSON, in order.

        Sign once for `GROUP_MESSAGES_MAX` items.
        """
        groups = (items[first : first + GROUP_MESSAGES_MAX] for first in range(0, len(items), GROUP_MESSAGES_MAX))
        return [each for group in groups for each in self._sign_group(group, rfc3339(at))]

    def _sign_group(self, items: Sequence[AcceptedItem], at: str) -> Iterator[dict[str, object]]:
        stated = [
            {
                "version": 1,
                "instance": self._instance,
                "party": each.party,
                "referral_id": str(each.referral_id),
                "body_sha256": each.body_sha256,
                "guard": self._guard,
                "accepted_at": at,
                "merge_delay_s": self._merge_delay_s,
            }
            for each in items
        ]
        salts = [draw_salt() for _ in items]
        digests = [leaf_digest(*each) for each in zip(salts, map(canonical_json, stated), strict=True)]
        tree = fill_tree(digests)
        size, key_id = len(tree.leaves), self._key.key_id
        rows = levels(tree.leaves)
        signature = self._key.sign(_signed_root(rows[-1][0], size, instance=self._instance, key_id=key_id, at=at))
        for statement, salt, position in zip(stated, salts, tree.positions, strict=True):
            proof = MessageProof(key_id, signature, size, position, inclusion_path(rows, position), salt)
            yield statement | {"salt": salt.hex(), "proof": proof.members()}


class AuditState(StrEnum):
    """State of an accepted referral at audit."""

    FOUND = "found"  # audit has the decided fact, with the same hash of the body
    DUE = "due"  # audit has no fact yet, and the merge delay is not over
    MISSING = "missing_at_audit"
    DIFFERENT = "different_at_audit"  # audit has a fact with the hash of another body


def read_acceptance(text: bytes) -> SignedAcceptance:
    """Read one acceptance from JSON. Raises `Refused`: `acceptance_malformed` or `proof_of_later_release`."""
    return read_versioned(SignedAcceptance, text, Refused("acceptance_malformed", "not a signed acceptance"))


def check_acceptance(acceptance: SignedAcceptance, directory: DirectoryIndex, *, at: datetime) -> None:
    """Check that the instance signed exactly this, with a key that the directory lists for that time.

    The instance serves the party, or served it before the party moved. `at` is the time of the check. An acceptance
    with a later date does not bind its instance yet, so it is rejected. Success proves neither that a message was sent
    nor that audit has the decided fact. Raises `Refused`: `key_unknown`, `instance_not_of_party`, `signature_invalid`
    or `acceptance_ahead`.
    """
    key = directory.signing_key(acceptance.proof.key_id)
    if key is None or key.owner != acceptance.instance or not key.valid_at(acceptance.accepted_at):
        raise Refused("key_unknown", "no key of that instance for that time in this directory", field="/proof/key_id")
    stated = acceptance.model_dump(mode="json", exclude={"salt", "proof"})
    proof = MessageProof.read(acceptance.proof, acceptance.salt)
    signed = _signed_root(
        proof.derive_root(canonical_json(stated)),
        proof.size,
        instance=acceptance.instance,
        key_id=proof.key_id,
        at=rfc3339(acceptance.accepted_at),
    )
    VerifyKey(key.public).verify(proof.signature, signed)
    if acceptance.instance not in directory.places_of(acceptance.party):
        raise Refused("instance_not_of_party", "by this directory it never served the party", field="/instance")
    if acceptance.accepted_at > at + TOLERANCE:
        raise Refused("acceptance_ahead", "its date is later than the time of the check", field="/accepted_at")


def check_body(acceptance: SignedAcceptance, bodies: Collection[bytes]) -> None:
    """Check that one of these bodies was accepted, byte for byte. Raises `Refused("body_mismatch")`."""
    if acceptance.body_sha256 not in {digest(body) for body in bodies}:
        raise Refused("body_mismatch", "not the bytes that were accepted", field="/body_sha256")


def at_audit(acceptance: SignedAcceptance, stated: Collection[str], *, at: datetime) -> AuditState:
    """Compare an acceptance with audit.

    `stated`: body hashes from verified decided facts of this instance.
    """
    if acceptance.body_sha256 in stated:
        return AuditState.FOUND
    if stated:
        return AuditState.DIFFERENT
    waited = at - acceptance.accepted_at
    return AuditState.DUE if waited <= timedelta(seconds=acceptance.merge_delay_s) else AuditState.MISSING


def _signed_root(head: bytes, size: int, *, instance: str, key_id: str, at: str) -> bytes:
    stated = {"instance": instance, "key_id": key_id, "accepted_at": at, "size": size, "root": head.hex()}
    return signed_statement(CONTEXT, stated)
