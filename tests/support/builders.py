"""Small objects for tests of the exchange: drafts, outcomes, raw records. All content is invented."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from shared.core.contracts.registry import REFERRAL_WITHDRAWN, MessageType
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import Draft
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.delivery.sending import Settlement

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOTLINE, POLICE, PROVIDER = "hotline-fr.example", "police-nl.example", "provider-001.example"
PARTIES = (HOTLINE, POLICE, PROVIDER, "police-de.example", "police-be.example")
TOPIC = "causeway.inbox.law_enforcement.hotline.v1"


def draft(
    subject: UUID | None = None,
    *,
    message: MessageType = REFERRAL_WITHDRAWN,
    sender: str = HOTLINE,
    recipient: str = POLICE,
    recipient_instance: str = "law_enforcement",
    clear: Mapping[str, Any] | None = None,
) -> Draft:
    """Return an outgoing message without a sealed part. Its clear part is empty unless one is given."""
    return Draft(
        message_id=uuid7(),
        message=message,
        subject=str(subject or uuid7()),
        sender=sender,
        recipient=recipient,
        recipient_instance=recipient_instance,
        exercise=True,
        clear=clear or {},
        created_at=AT,
    )


def withdrawal(referral_id: UUID) -> dict[str, Any]:
    """Return the clear part by which an origin withdraws a referral."""
    return {"referral_id": str(referral_id), "revision": 1, "act": str(uuid4()), "reason": "filed_in_error"}


def settlement(
    message_id: UUID,
    outcome: ReceiptOutcome = ReceiptOutcome.APPLIED,
    code: str | None = None,
    *,
    by: str = "law_enforcement",
    parties: Collection[str] = PARTIES,
) -> Settlement:
    """Return the outcome of an own message, reported by the instance `by`, which serves `parties`."""
    return Settlement(message_id, outcome, code, by, parties)
