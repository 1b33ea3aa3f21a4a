"""Preparation of a single submission."""

from __future__ import annotations

from datetime import datetime

from shared.core.canonical import digest
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.protocol.prepare import Documents, Filing, Prepared, prepare_batch
from shared.core.routing.directory_index import PartyEntry


def prepare(submission: ReferralSubmission, *, origin: PartyEntry, documents: Documents, at: datetime) -> Prepared:
    """Prepare one submission, posted as its own JSON. Raises `Refused` if the guard or the directory rejects it."""
    posted = digest(submission.model_dump_json().encode())
    filing = Filing(submission, origin, None, body_sha256=posted)
    (prepared,) = prepare_batch([filing], documents=documents, at=at)
    if isinstance(prepared, Refused):
        raise prepared
    return prepared
