"""Signing and checking acceptances, offline: with the directory alone, and then against what audit has."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import ValidationError

from shared.contracts.acceptance import SignedAcceptance
from shared.envelope.base64url import from_base64url, to_base64url
from shared.envelope.keys import SigningKey, VerifyKey
from shared.kernel.canonical import canonical_json, digest
from shared.kernel.clock import rfc3339
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex

#: Stands before what is signed. The instance's signing key signs batches too, under a context of their own.
CONTEXT: Final = "causeway-acceptance/v1"
_UNCOVERED: Final = frozenset({"key_id", "signature"})


class AtAudit(StrEnum):
    """What audit's entries say of an acceptance."""

    FOUND = "found"  # the decided fact of the referral, with the same hash of the body
    DUE = "due"  # nothing yet, and the merge delay is not over
    MISSING = "missing_at_audit"
    DIFFERENT = "different_at_audit"  # the instance told audit of another body


@dataclass(frozen=True, slots=True)
class Acceptor:
    """Signs for one instance. `guard` is the edition of its guard, `merge_delay_s` how soon it tells audit, at most."""

    instance: str
    key: SigningKey
    guard: str
    merge_delay_s: int

    def accept(self, referral_id: UUID, party: str, *, body_sha256: str, at: datetime) -> SignedAcceptance:
        """The acceptance of one referral. The same words give the same bytes: Ed25519 draws nothing."""
        stated = {
            "instance": self.instance,
            "party": party,
            "referral_id": str(referral_id),
            "body_sha256": body_sha256,
            "guard": self.guard,
            "accepted_at": rfc3339(at),
            "merge_delay_s": self.merge_delay_s,
        }
        signature = to_base64url(self.key.sign(_signed(stated)))
        return SignedAcceptance.model_validate(stated | {"key_id": self.key.key_id, "signature": signature})


def read_acceptance(text: bytes) -> SignedAcceptance:
    """The acceptance in one JSON text. Raises `Refused("acceptance_malformed")`."""
    try:
        return SignedAcceptance.model_validate_json(text, strict=True)
    except ValidationError:
        raise Refused("acceptance_malformed", "not a signed acceptance") from None


def check_acceptance(acceptance: SignedAcceptance, directory: DirectoryIndex) -> None:
    """Check that the instance signed exactly this, with a key that the directory gives it for that time.

    Success does not say that anything was sent, or told to audit. Raises `Refused`: `key_unknown`, or
    `signature_invalid`.
    """
    key = directory.signing_key(acceptance.key_id)
    if key is None or key.owner != acceptance.instance or not key.valid_at(acceptance.accepted_at):
        raise Refused("key_unknown", "no key of that instance for that time in this directory", field="/key_id")
    stated = acceptance.model_dump(mode="json", exclude=set(_UNCOVERED))
    VerifyKey(key.public).verify(from_base64url(acceptance.signature), _signed(stated))


def check_body(acceptance: SignedAcceptance, bodies: Collection[bytes]) -> None:
    """Check that one of these bodies, byte for byte, is the one accepted. Raises `Refused("body_mismatch")`."""
    if acceptance.body_sha256 not in {digest(body) for body in bodies}:
        raise Refused("body_mismatch", "not the bytes that were accepted", field="/body_sha256")


def at_audit(acceptance: SignedAcceptance, stated: Collection[str], *, at: datetime) -> AtAudit:
    """What to make of the body hashes that audit has in verified decided facts of the referral, by this instance."""
    if acceptance.body_sha256 in stated:
        return AtAudit.FOUND
    if stated:
        return AtAudit.DIFFERENT
    due = acceptance.accepted_at + timedelta(seconds=acceptance.merge_delay_s)
    return AtAudit.DUE if at <= due else AtAudit.MISSING


def _signed(stated: dict[str, object]) -> bytes:
    """What the signature is over: the context, a line feed, the canonical JSON of what is stated."""
    return f"{CONTEXT}\n".encode() + canonical_json(stated)
