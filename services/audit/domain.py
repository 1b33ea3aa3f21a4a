"""What audit keeps of a record: an entry without a body, and the links that turn entries into flows. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from shared.contracts.base import Contract
from shared.contracts.facts import (
    MessageParkedClear,
    MessagesReceiptedClear,
    RecordRevealedClear,
    ReferralDecidedClear,
    ReferralRefusedClear,
)
from shared.contracts.registry import BY_TYPE, Family, MessageType
from shared.envelope.batch import RootCache, message_digest
from shared.envelope.headers import Envelope, decode_headers
from shared.exchange.message import Record
from shared.exchange.senders import check_format, check_stated_by, instance_of, verify_sender
from shared.kernel.authority import Authority, Permit, Role
from shared.kernel.canonical import digest as sha256
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex


class EntryKind(StrEnum):
    """What an entry is about. The ledger adds the kinds that arise outside Kafka."""

    RECORD = "record"
    DECISION = "decision"
    REFUSAL = "refusal"
    PARKED = "parked"
    RECEIPT = "receipt"
    REVEALED = "revealed"
    UNREADABLE = "unreadable"


class Entry(NamedTuple):
    """One Kafka record: where it is, what it claims, whether its sender's proof held then. No body, nothing personal.

    `digest` is that of the covered bytes, or of the bare value where the headers cannot be read. `exercise` is what
    the record says, None where it cannot be read; `recipient_instance` serves the recipient, if anybody does. `detail`
    is JSON: what a fact states.
    """

    topic: str
    generation: UUID
    partition: int
    offset: int
    broker_time: datetime
    kind: EntryKind
    digest: str
    verified: bool
    problem: str | None = None
    message_id: UUID | None = None
    type: str | None = None
    subject: str | None = None
    sender: str | None = None
    recipient: str | None = None
    recipient_instance: str | None = None
    exercise: bool | None = None
    epoch: UUID | None = None
    sequence: int | None = None
    key_id: str | None = None
    detail: str | None = None


class Link(NamedTuple):
    """An edge of a decision: the only place where a notice and its referral stand together.

    `rules` are separated by commas.
    """

    message_id: UUID
    referral_id: UUID
    notice_id: UUID | None
    recipient: str
    purpose: str
    rules: str


class Receipted(NamedTuple):
    """What a receipt said about one message."""

    message_id: UUID
    receipt_id: UUID
    by: str
    digest: str
    outcome: str
    code: str | None


@dataclass(slots=True)
class Read:
    """A batch of records as audit keeps it."""

    entries: list[Entry] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    receipted: list[Receipted] = field(default_factory=list)


AUTHORITY = Authority(
    (
        Permit("flow", "read", frozenset({Role.AUDITOR}), frozenset({"any"})),
        Permit("entry", "read", frozenset({Role.AUDITOR}), frozenset({"any"})),
    )
)


def read_record(
    record: Record, read: Read, *, generation: UUID, directory: DirectoryIndex | None, roots: RootCache
) -> None:
    """Add what one record says. Total: what cannot be read still gets an entry, with the problem's code.

    `directory` is the one in force at the record's broker time, None before the first.
    """
    value = record.value or b""
    try:
        envelope = decode_headers(record.headers, value)
    except Refused as error:
        read.entries.append(_unreadable(record, generation, problem=error.code))
        return
    message = BY_TYPE.get(envelope.attributes.type)
    problem = _problem(envelope, message, directory, at=record.broker_time, roots=roots)
    kind, detail = EntryKind.RECORD, None
    if problem is None and message is not None and message.family in (Family.FACT, Family.RECEIPT):
        try:
            kind, detail = _stated(envelope, message.clear.model_validate_json(_clear_bytes(value)), read)
        except ValueError:
            problem = "body_invalid"
    attributes = envelope.attributes
    read.entries.append(
        Entry(
            topic=record.topic,
            generation=generation,
            partition=record.partition,
            offset=record.offset,
            broker_time=record.broker_time,
            kind=kind,
            digest=message_digest(attributes, value),
            verified=problem is None,
            problem=problem,
            message_id=attributes.id,
            type=attributes.type,
            subject=attributes.subject,
            sender=attributes.sender,
            recipient=attributes.recipient,
            recipient_instance=instance_of(attributes.recipient, directory) if directory else None,
            exercise=attributes.exercise,
            epoch=attributes.epoch,
            sequence=attributes.sequence,
            key_id=attributes.key_id,
            detail=detail,
        )
    )


def _problem(
    envelope: Envelope, message: MessageType | None, directory: DirectoryIndex | None, *, at: datetime, roots: RootCache
) -> str | None:
    if directory is None:
        return "document_unknown"
    try:
        instance = verify_sender(envelope, directory, at=at, roots=roots)
        check_format(envelope.attributes)
        if message is not None:
            check_stated_by(message, envelope.attributes, instance)
    except Refused as error:
        return error.code
    return None


def _stated(envelope: Envelope, clear: Contract, read: Read) -> tuple[EntryKind, str | None]:
    match clear:
        case ReferralDecidedClear():
            read.links += [
                Link(
                    each.message_id,
                    clear.referral_id,
                    each.notice_id,
                    each.edge.recipient,
                    each.edge.purpose.value,
                    ",".join(each.edge.rules),
                )
                for each in clear.emitted
            ]
            return EntryKind.DECISION, clear.model_dump_json(exclude={"emitted"}, exclude_none=True)
        case MessagesReceiptedClear():
            read.receipted += [
                Receipted(
                    each.message_id,
                    envelope.attributes.id,
                    envelope.attributes.sender,
                    each.digest,
                    each.outcome.value,
                    each.code,
                )
                for each in clear.entries
            ]
            return EntryKind.RECEIPT, None
        case ReferralRefusedClear():
            return EntryKind.REFUSAL, clear.model_dump_json(exclude_none=True)
        case MessageParkedClear():
            return EntryKind.PARKED, clear.model_dump_json(exclude_none=True)
        case RecordRevealedClear():
            return EntryKind.REVEALED, clear.model_dump_json()
        case _:
            return EntryKind.RECORD, None


def _clear_bytes(value: bytes) -> bytes:
    """The clear part of a fact or receipt, which have no sealed part: `{"clear":` … `}`."""
    prefix = b'{"clear":'
    if not value.startswith(prefix) or not value.endswith(b"}"):
        raise ValueError("not a fact's value")
    return value[len(prefix) : -1]


def _unreadable(record: Record, generation: UUID, *, problem: str) -> Entry:
    return Entry(
        topic=record.topic,
        generation=generation,
        partition=record.partition,
        offset=record.offset,
        broker_time=record.broker_time,
        kind=EntryKind.UNREADABLE,
        digest=sha256(record.value or b""),
        verified=False,
        problem=problem,
    )
