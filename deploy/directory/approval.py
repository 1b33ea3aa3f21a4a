"""Approve a directory or policy document, and sign beats. The private keys are the caller's to keep."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import date, datetime
from typing import Final, TypeVar

from shared.contracts.directory import Approval, Directory, DocumentActivated
from shared.contracts.documents import Beat, SignedBeat
from shared.contracts.policy import Policy
from shared.envelope.keys import SigningKey
from shared.kernel.canonical import canonical_json, digest
from shared.routing.documents import approval_message, beat_message

VALID_MONTHS: Final = 13

_Document = TypeVar("_Document", Directory, Policy)


def document_body(document: Directory | Policy) -> bytes:
    """The exact bytes of a document, as it is published and identified by its digest."""
    return canonical_json(document.model_dump(mode="json", exclude_none=True))


def valid_until(issued_on: date) -> date:
    """The first day on which a document of that day should have been replaced: 13 months on."""
    year, month = divmod(issued_on.year * 12 + issued_on.month - 1 + VALID_MONTHS, 12)
    return issued_on.replace(year=year, month=month + 1, day=min(issued_on.day, 28))


def renewed(document: _Document, *, on: date, version: int | None = None) -> _Document:
    """A document issued again on that day, under the next version if none is named."""
    version = document.version + 1 if version is None else version
    return document.model_copy(update={"version": version, "issued_on": on, "valid_until": valid_until(on)})


def approve_document(
    kind: str, body: bytes, *, active_from: datetime, approvers: Mapping[str, SigningKey]
) -> DocumentActivated:
    """The document `body` with one approval of each of `approvers` (by party id), sorted by party id.

    `kind` is `directory` or `policy`; `body` its canonical bytes. Raises pydantic's `ValidationError` below two.
    """
    document_digest = digest(body)
    # Signed as it will be published: whole milliseconds.
    active_from = active_from.replace(microsecond=active_from.microsecond // 1000 * 1000)
    message = approval_message(kind, document_digest, active_from)
    return DocumentActivated(
        kind=kind,
        digest=document_digest,
        active_from=active_from,
        approvals=tuple(sign_approval(party, approvers[party], message) for party in sorted(approvers)),
    )


def sign_beat(beat: Beat, key: SigningKey) -> SignedBeat:
    """The beat as it is published, signed with the operator's online key, which approves nothing."""
    return SignedBeat(beat=beat, key_id=key.key_id, signature=_signature(key, beat_message(beat)))


def sign_approval(party: str, key: SigningKey, message: bytes) -> Approval:
    """One approver's approval of what `approval_message` says."""
    return Approval(approver=party, key_id=key.key_id, signature=_signature(key, message))


def _signature(key: SigningKey, message: bytes) -> str:
    return base64.urlsafe_b64encode(key.sign(message)).decode().rstrip("=")
