"""Small things that tests of the exchange are made of: drafts, arrivals, settlements, parked rows. All invented."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from shared.contracts.registry import CASE_ACCEPTED, REFERRAL_WITHDRAWN, MessageType
from shared.exchange.compose import Verdict
from shared.exchange.message import Copy, Draft, Record
from shared.kernel.canonical import digest
from shared.kernel.ids import uuid4, uuid7
from shared.runtime.post.arrivals import Arrival, Parked
from shared.runtime.post.ports import Settlement
from shared.vocabulary.answers import ReceiptOutcome

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOTLINE, POLICE, PROVIDER = "hotline-fr.example", "police-nl.example", "provider-001.example"
EPOCH = UUID("019df5e6-0000-7000-8000-000000000001")
TOPIC = "causeway.inbox.law_enforcement.hotline.v1"


def draft(
    subject: UUID | None = None,
    *,
    message: MessageType = REFERRAL_WITHDRAWN,
    sender: str = HOTLINE,
    recipient: str = POLICE,
    recipient_instance: str = "law_enforcement",
    topic: str = TOPIC,
    decided_at: datetime | None = None,
    body: bytes = b'{"clear":{}}',
) -> Draft:
    """A message on its way out; its body means nothing unless one is given."""
    return Draft(
        message_id=uuid7(),
        message=message,
        subject=str(subject or uuid7()),
        sender=sender,
        recipient=recipient,
        recipient_instance=recipient_instance,
        topic=topic,
        exercise=True,
        body=body,
        created_at=AT,
        decided_at=decided_at,
    )


def withdrawal(referral_id: UUID) -> bytes:
    """The body by which an origin takes a referral back."""
    said = {"referral_id": str(referral_id), "revision": 1, "act": str(uuid4()), "reason": "filed_in_error"}
    return json.dumps({"clear": said}).encode()


def arrival(
    sequence: int = 1,
    *,
    message_id: UUID | None = None,
    sender: str = HOTLINE,
    recipient: str = POLICE,
    body: bytes = b"",
    offset: int = 0,
    epoch: UUID = EPOCH,
    **further: Any,
) -> Arrival:
    """A verified message as it arrives. `body` stands for all of it: another body, another digest."""
    message_id = message_id or uuid7()
    made = Arrival(
        message_id=message_id,
        sender=sender,
        sender_instance="hotline",
        recipient=recipient,
        epoch=epoch,
        sequence=sequence,
        type=CASE_ACCEPTED.type,
        subject=str(message_id),
        digest=digest(f"{message_id} {sender} {epoch} {sequence} ".encode() + body),
        topic=TOPIC,
        partition=0,
        offset=offset,
        broker_time=AT,
    )
    return replace(made, **further)


def verdict(
    outcome: ReceiptOutcome = ReceiptOutcome.APPLIED,
    *,
    code: str | None = None,
    message_id: UUID | None = None,
    message_digest: str = "0" * 64,
    of: Record | None = None,
) -> Verdict:
    """What became of a message that nobody has seen, or of the one that the record `of` holds."""
    return Verdict(message_id or uuid7(), message_digest, outcome, code, judged=_copy(of or raw_record()))


def _copy(record: Record) -> Copy:
    return Copy(record.offset, record.broker_time)


def settlement(
    message_id: UUID,
    message_digest: str,
    outcome: ReceiptOutcome = ReceiptOutcome.APPLIED,
    *,
    code: str | None = None,
    by: str = "law_enforcement",
    receipt_id: UUID | None = None,
    edge_id: UUID | None = None,
) -> Settlement:
    return Settlement(message_id, message_digest, outcome, code, receipt_id or uuid7(), by, edge_id)


def parked(
    offset: int,
    *,
    at: datetime = AT,
    reason: str = "signature_invalid",
    record: Record | None = None,
    message_id: UUID | None = None,
    same: str | None = None,
) -> Parked:
    value = b"" if record is None else record.value or b""
    return Parked(
        same or f"{offset} {at}",
        TOPIC,
        None,
        0,
        offset,
        at,
        len(value),
        digest(value),
        reason,
        None,
        message_id,
        record,
    )


def raw_record(offset: int = 0, value: bytes | None = b"{}", *, key: bytes | None = b"k") -> Record:
    """A record that nobody signed."""
    return Record(TOPIC, 0, offset, AT, key, (("ce_id", b"\xff"), ("ce_xempty", None)), value)
