"""What audit keeps of a record: an entry without a body, and the links that turn entries into flows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, Protocol, cast
from uuid import UUID

from pydantic_core import to_json

from shared.contracts.base import Contract
from shared.contracts.facts import (
    MessageParkedClear,
    MessagesReceiptedClear,
    RecordRevealedClear,
    ReferralDecidedClear,
    ReferralDecidedSealed,
    ReferralRefusedClear,
)
from shared.contracts.referral import EdgeClear
from shared.contracts.registry import BY_TYPE, REFERRAL_DECIDED, Family, MessageType, value_model
from shared.envelope.batch import RootCache, message_digest
from shared.envelope.headers import Envelope, decode_headers
from shared.envelope.keys import OpeningKey
from shared.envelope.sealing import open_with_any
from shared.exchange.compose import seal_context
from shared.exchange.decided import commitment, edge_salt, judged_edges, stated_edges
from shared.exchange.message import Record
from shared.exchange.senders import check_format, check_stated_by, instance_of, verify_sender
from shared.kernel.authority import Authority, Permit, Role
from shared.kernel.canonical import digest as sha256
from shared.kernel.errors import Refused, Unavailable
from shared.routing.directory_index import DirectoryIndex
from shared.routing.engine import Setting
from shared.routing.shelf import DocumentShelf


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

    `problem` says why the proof did not hold, or what is wrong with what a proven record states. `digest` is that of
    the covered bytes, or of the bare value where the headers cannot be read. `exercise` is what the record says, None
    where it cannot be read; `recipient_instance` serves the recipient, if anybody does. `detail` is JSON: what a fact
    states. `edge_id` and `commitment` are those of a message that carries an edge.
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
    edge_id: UUID | None = None
    commitment: str | None = None


class Link(NamedTuple):
    """An edge of a decision as its origin stated it: a message with its id is about the referral.

    `commitment` is what that message must state. `rules` are separated by commas; empty where the decision did not
    derive.
    """

    edge_id: UUID
    referral_id: UUID
    origin: str
    recipient: str
    purpose: str
    rules: str
    commitment: str


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
class Reading:
    """What audit reads records with: the documents it has seen, its own opening keys, the roots it has verified."""

    shelf: DocumentShelf
    opening_keys: Sequence[OpeningKey]
    roots: RootCache = field(default_factory=RootCache)

    def directory_at(self, at: datetime) -> DirectoryIndex | None:
        """The directory in force at that time, None before the first."""
        try:
            return self.shelf.directories.active(at)
        except Unavailable:
            return None


def read_record(record: Record, read: Read, *, generation: UUID, reading: Reading) -> None:
    """Add what one record says, judged by the directory at its own broker time.

    Total: what cannot be read still gets an entry, with the problem's code.
    """
    value = record.value or b""
    try:
        envelope = decode_headers(record.headers, value)
    except Refused as error:
        read.entries.append(_unreadable(record, generation, problem=error.code))
        return
    directory = reading.directory_at(record.broker_time)
    message = BY_TYPE.get(envelope.attributes.type)
    unproven = _problem(envelope, message, directory, at=record.broker_time, roots=reading.roots)
    attributes = envelope.attributes
    said = Said(problem=unproven)
    if unproven is None and message is not None and (message.edge or message.family in (Family.FACT, Family.RECEIPT)):
        said = _stated(envelope, message, read, reading=reading)
    read.entries.append(
        Entry(
            topic=record.topic,
            generation=generation,
            partition=record.partition,
            offset=record.offset,
            broker_time=record.broker_time,
            kind=said.kind,
            digest=message_digest(attributes, value),
            verified=unproven is None,
            problem=said.problem,
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
            detail=said.detail,
            edge_id=said.edge_id,
            commitment=said.commitment,
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


class Said(NamedTuple):
    """What a proven record states, as its entry keeps it."""

    kind: EntryKind = EntryKind.RECORD
    detail: str | None = None
    problem: str | None = None
    edge_id: UUID | None = None
    commitment: str | None = None


class _Value(Protocol):
    clear: Contract


def _stated(envelope: Envelope, message: MessageType, read: Read, *, reading: Reading) -> Said:
    try:
        value = cast(_Value, value_model(message).model_validate_json(envelope.body, strict=True))
    except ValueError:
        return Said(problem="body_invalid")
    match value.clear:
        case EdgeClear() as clear:
            return Said(edge_id=clear.edge_id, commitment=clear.commitment)
        case ReferralDecidedClear() as clear:
            return _decided(envelope, clear, str(getattr(value, "sealed", "")), read=read, reading=reading)
        case MessagesReceiptedClear() as clear:
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
            return Said(EntryKind.RECEIPT)
        case ReferralRefusedClear() | MessageParkedClear() | RecordRevealedClear() as clear:
            return Said(_KINDS[type(clear)], clear.model_dump_json(exclude_none=True))
        case _:
            return Said()


_KINDS: Final[Mapping[type[Contract], EntryKind]] = {
    ReferralRefusedClear: EntryKind.REFUSAL,
    MessageParkedClear: EntryKind.PARKED,
    RecordRevealedClear: EntryKind.REVEALED,
}


def _decided(envelope: Envelope, clear: ReferralDecidedClear, sealed: str, *, read: Read, reading: Reading) -> Said:
    """Open the fact, make its decision again, and link its edges. What does not derive is linked and named."""
    attributes = envelope.attributes
    context = seal_context(
        REFERRAL_DECIDED,
        attributes.id,
        attributes.subject,
        clear={"revision": clear.revision},
        sender=attributes.sender,
        recipient=attributes.recipient,
    )
    problem, judged = None, {}
    try:
        plaintext = open_with_any(sealed, reading.opening_keys, context)
        fact = ReferralDecidedSealed.model_validate_json(plaintext, strict=True)
        edges = stated_edges(fact)
    except Refused as error:
        return Said(EntryKind.DECISION, clear.model_dump_json(), error.code)
    except ValueError:
        return Said(EntryKind.DECISION, clear.model_dump_json(), "body_invalid")
    try:
        at = fact.decision.decided_at
        documents = (
            reading.shelf.directories.get(fact.decision.directory, at),
            reading.shelf.policies.get(fact.decision.policy, at),
        )
        judged = judged_edges(clear, fact, Setting(*documents, attributes.exercise, at))
    except (Refused, Unavailable) as error:
        problem = error.code
    for edge in edges:
        planned = judged.get((edge.recipient, edge.purpose))
        rules = ",".join(planned.terms.rules) if planned else ""
        bound = commitment(edge_salt(fact.salt, edge.edge_id), edge.digest)
        read.links.append(
            Link(edge.edge_id, clear.referral_id, fact.origin, edge.recipient, edge.purpose, rules, bound)
        )
    stated = fact.model_dump(mode="json", exclude_none=True, exclude={"edges", "recipients"})
    return Said(EntryKind.DECISION, to_json(clear.model_dump(mode="json") | stated).decode(), problem)


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
