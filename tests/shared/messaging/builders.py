"""Composed messages and segments with made-up content, for tests of the wire form."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from shared.core.clock import EPOCH
from shared.core.envelope.keys import OpeningKey, SigningKey, VerifyKey
from shared.core.envelope.segment_sealing import SealContext
from shared.core.ids import uuid7
from shared.messaging.composition import DraftBody, RecipientKey, SegmentComposer
from shared.messaging.contract import ControlBody, encode_control
from shared.messaging.placement import place_record
from shared.messaging.ports import MessageDraft
from shared.messaging.relay import list_records
from shared.messaging.segments import NewMessages, RecordBytes, Segment, place_segment
from shared.messaging.streams import Lane, Outgoing, Pair, WireRole, begin_outgoing

PAIR = Pair("hotline-a", "industry-b")
KEY = SigningKey(bytes(range(32)))
OPENING = OpeningKey(bytes(range(32)))
PARTY_OPENING = OpeningKey(bytes(range(1, 33)))


def context(message_id: UUID, subject: UUID, recipient: str) -> SealContext:
    return SealContext(
        schema="causeway.notice_issued.v1",
        message_id=message_id,
        subject=str(subject),
        revision=1,
        sender="hotline.example",
        recipient=recipient,
    )


def letter(recipient: str = "provider.example", *, origin: UUID | None = None) -> DraftBody:
    """Return the letter of one message of a referral, with a sealed part of 900 random bytes."""
    message_id, subject = uuid7(), uuid7()
    return DraftBody(
        message_id=message_id,
        recipient=recipient,
        origin=origin or subject,
        headers=(("ce_id", str(message_id)), ("ce_specversion", "1.0"), ("content-type", "application/json")),
        clear={"notice_id": str(subject)},
        plaintext=os.urandom(900),
        context=context(message_id, subject, recipient),
    )


def control_letter(peer: str, role: WireRole, body: ControlBody) -> DraftBody:
    message_id = uuid7()
    headers = (("ce_id", str(message_id)), ("ce_type", f"causeway.{role}.v1"), ("content-type", "application/json"))
    return DraftBody(
        message_id=message_id, recipient=peer, origin=message_id, headers=headers, clear=encode_control(role, body)
    )


def draft(body: object) -> MessageDraft:
    return MessageDraft(PAIR.addressee, WireRole.STATE, "notice_issued", uuid7(), body)


def sealing_key(instance: str, party: str) -> RecipientKey:
    """Return the instance's key, or the own key of a party whose name begins with `own-`."""
    if party.startswith("own-"):
        return RecipientKey(PARTY_OPENING.sealing_key, is_own=True)
    return RecipientKey(OPENING.sealing_key)


COMPOSER = SegmentComposer(KEY, sealing_keys=sealing_key, control_letters=control_letter)


def compose(letters: Sequence[DraftBody]) -> NewMessages:
    (unplaced,) = COMPOSER.compose(PAIR, {Lane.ORDINARY: [draft(each) for each in letters]})
    return unplaced


def outgoing() -> Outgoing:
    return begin_outgoing(PAIR, uuid7(), EPOCH, is_audited=True, pause_s=60)


def place(unplaced: NewMessages, streams: Outgoing | None = None) -> Segment:
    streams = streams or outgoing()
    return place_segment(unplaced, streams.incarnation, streams.lanes[unplaced.lane], day=date(2026, 3, 1))


def message_records(segment: Segment, above: int = 0) -> list[RecordBytes]:
    """Return the records of a segment's messages with numbers above `above`, each with its place."""
    return [place_record(each.record, each.place) for each in list_records([segment], above=above)]


def keys(instance: str, key_id: str, at: datetime = EPOCH) -> VerifyKey | None:
    return KEY.verify_key if instance == PAIR.writer and key_id == KEY.key_id else None
