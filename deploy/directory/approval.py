"""Approve a directory or policy document. The approvers' private keys are the caller's to keep."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime

from shared.contracts.directory import Approval, Directory, DocumentActivated
from shared.contracts.policy import Policy
from shared.envelope.keys import SigningKey
from shared.kernel.canonical import canonical_json, digest
from shared.routing.documents import approval_message


def document_body(document: Directory | Policy) -> bytes:
    """The exact bytes of a document, as it is published and identified by its digest."""
    return canonical_json(document.model_dump(mode="json", exclude_none=True))


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
        approvals=tuple(_approval(party, approvers[party], message) for party in sorted(approvers)),
    )


def _approval(party: str, key: SigningKey, message: bytes) -> Approval:
    signature = base64.urlsafe_b64encode(key.sign(message)).decode().rstrip("=")
    return Approval(approver=party, key_id=key.key_id, signature=signature)
