"""Checking signed acceptances, offline: with the directory alone, and then against what audit has.

`shared.exchange.compose` signs them.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import ValidationError

from shared.contracts.acceptance import SignedAcceptance
from shared.contracts.base import of_later_release
from shared.envelope.base64url import from_base64url
from shared.envelope.keys import VerifyKey
from shared.exchange.compose import ACCEPTANCE
from shared.kernel.canonical import digest, signed_statement
from shared.kernel.errors import Refused
from shared.routing.derive import TOLERANCE
from shared.routing.directory_index import DirectoryIndex

_UNCOVERED: Final = frozenset({"key_id", "signature"})


class AtAudit(StrEnum):
    """What audit's entries say of an acceptance."""

    FOUND = "found"  # the decided fact of the referral, with the same hash of the body
    DUE = "due"  # nothing yet, and the merge delay is not over
    MISSING = "missing_at_audit"
    DIFFERENT = "different_at_audit"  # the instance told audit of another body


def read_acceptance(text: bytes) -> SignedAcceptance:
    """The acceptance in one JSON text. Raises `Refused`: `acceptance_malformed` or `proof_of_later_release`."""
    try:
        return SignedAcceptance.model_validate_json(text, strict=True)
    except ValidationError as error:
        if of_later_release(error):
            raise Refused("proof_of_later_release", "its version is not known here", field="/version") from None
        raise Refused("acceptance_malformed", "not a signed acceptance") from None


def check_acceptance(acceptance: SignedAcceptance, directory: DirectoryIndex, *, at: datetime) -> None:
    """Check that the instance signed exactly this, with a key that the directory gives it for that time.

    The instance serves the party, or did until it moved: what it accepted before is still its word.

    One that is dated after `at`, when it is checked, binds its instance to nothing yet: of that nobody has to be
    content. Success does not say that anything was sent, or told to audit. Raises `Refused`: `key_unknown`,
    `instance_not_of_party`, `signature_invalid` or `acceptance_ahead`.
    """
    key = directory.signing_key(acceptance.key_id)
    if key is None or key.owner != acceptance.instance or not key.valid_at(acceptance.accepted_at):
        raise Refused("key_unknown", "no key of that instance for that time in this directory", field="/key_id")
    stated = acceptance.model_dump(mode="json", exclude=set(_UNCOVERED))
    VerifyKey(key.public).verify(from_base64url(acceptance.signature), signed_statement(ACCEPTANCE, stated))
    if acceptance.instance not in directory.places_of(acceptance.party):
        raise Refused("instance_not_of_party", "by this directory it never served the party", field="/instance")
    if acceptance.accepted_at > at + TOLERANCE:
        raise Refused("acceptance_ahead", "dated later than it is checked", field="/accepted_at")


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
    waited = at - acceptance.accepted_at
    return AtAudit.DUE if waited <= timedelta(seconds=acceptance.merge_delay_s) else AtAudit.MISSING
