"""Preparation of a single submission."""

from __future__ import annotations

from datetime import datetime

from shared.contracts.referral import ReferralSubmission
from shared.exchange.prepare import Documents, Filing, Prepared, prepare_batch
from shared.kernel.canonical import digest
from shared.kernel.errors import Refused
from shared.routing.directory_index import PartyEntry


def prepare(submission: ReferralSubmission, *, origin: PartyEntry, documents: Documents, at: datetime) -> Prepared:
    """Prepare one submission, posted as its own JSON. Raises `Refused` if the guard or the directory rejects it."""
    posted = digest(submission.model_dump_json().encode())
    filing = Filing(submission, origin, None, body_sha256=posted)
    (prepared,) = prepare_batch([filing], documents=documents, at=at)
    if isinstance(prepared, Refused):
        raise prepared
    return prepared
