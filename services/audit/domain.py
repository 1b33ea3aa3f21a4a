"""What audit keeps of a record: an entry without a body, and the links that turn entries into flows. Pure."""

from __future__ import annotations

import json
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
from shared.exchange.authority import STATEMENT_NOT_YOURS, may_state
from shared.exchange.message import Record
from shared.exchange.senders import check_broker_time, check_stated_by, instance_of, verify_sender
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
    NOT_ENTITLED = "not_entitled"
    UNREADABLE = "unreadable"


class Entry(NamedTuple):
    """One Kafka record: where it is, what it claims, whether its sender's proof held then. No body, nothing personal.

    `digest` is that of the covered bytes, or of the bare value where the headers cannot be read. `exercise` is what
    the record says, None where it cannot be read; `recipient_instance` serves the recipient, if anybody does. `detail`
    is JSON: what a fact states. One that is not entitled is its sender's own, and speaks of what is not.
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
    sequence: int | None = None
    key_id: str | None = None
    detail: str | None = None


class Link(NamedTuple):
    """An edge of a decision: the only place where a notice and its referral stand together.

    It is its `origin`'s word, and counts for messages of that origin alone. `rules` are separated by commas.
    """

    message_id: UUID
    origin: str
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


@dataclass(frozen=True, slots=True)
class Judging:
    """By what records are judged: our own clock's `now`, the directory in force then, and the roots verified so far."""

    now: datetime
    in_force: DirectoryIndex | None
    roots: RootCache


def read_record(
    record: Record, read: Read, *, generation: UUID, directory: DirectoryIndex | None, judging: Judging
) -> None:
    """Add what one record says. Total: what cannot be read still gets an entry, with the problem's code.

    `directory` is the one in force at the record's broker time, None before the first. What a fact states that is not
    its sender's to state goes no further than its entry.
    """
    value = record.value or b""
    try:
        envelope = decode_headers(record.headers, value)
    except Refused as error:
        read.entries.append(_unreadable(record, generation, problem=error.code))
        return
    message = BY_TYPE.get(envelope.attributes.type)
    problem = _problem(record, envelope, message, directory=directory, judging=judging)
    kind, detail = EntryKind.RECORD, None
    if problem is None and message is not None and message.family in (Family.FACT, Family.RECEIPT):
        assert directory is not None  # else there were a problem
        try:
            clear = message.clear.model_validate_json(_clear_bytes(value))
            kind, detail = _believed(envelope, clear, read, directory=directory)
        except ValueError:
            problem = "body_invalid"
    if problem == STATEMENT_NOT_YOURS or kind is EntryKind.NOT_ENTITLED:
        kind, problem = EntryKind.NOT_ENTITLED, STATEMENT_NOT_YOURS
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
            verified=problem in (None, STATEMENT_NOT_YOURS),
            problem=problem,
            message_id=attributes.id,
            type=attributes.type,
            subject=attributes.subject,
            sender=attributes.sender,
            recipient=attributes.recipient,
            recipient_instance=instance_of(attributes.recipient, directory) if directory else None,
            exercise=attributes.exercise,
            sequence=attributes.sequence,
            key_id=attributes.key_id,
            detail=detail,
        )
    )


def _problem(
    record: Record,
    envelope: Envelope,
    message: MessageType | None,
    *,
    directory: DirectoryIndex | None,
    judging: Judging,
) -> str | None:
    in_force = judging.in_force
    if directory is None or in_force is None:
        return "document_unknown"
    try:
        check_broker_time(record, judging.now)
        at, roots = record.broker_time, judging.roots
        instance = verify_sender(envelope, directory, at=at, in_force=in_force, roots=roots)
        if message is not None:
            check_stated_by(message, envelope.attributes, instance, directory=directory)
    except Refused as error:
        return error.code
    return None


def _believed(
    envelope: Envelope, clear: Contract, read: Read, *, directory: DirectoryIndex
) -> tuple[EntryKind, str | None]:
    """What is kept of a statement that its sender may make; of another, only whom it speaks of."""
    attributes = envelope.attributes
    if may_state(clear, attributes.sender, subject=attributes.subject, directory=directory):
        return _stated(envelope, clear, read)
    party = getattr(clear, "origin", None) or getattr(clear, "party", None)
    return EntryKind.NOT_ENTITLED, None if party is None else json.dumps({"spoken_of": party})


def _stated(envelope: Envelope, clear: Contract, read: Read) -> tuple[EntryKind, str | None]:
    match clear:
        case ReferralDecidedClear():
            read.links += [
                Link(
                    each.message_id,
                    clear.origin,
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
