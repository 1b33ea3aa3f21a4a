"""Reading one record: whether its sender's proof holds, what it states, and whether that derives. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, Protocol, cast
from uuid import UUID

from pydantic_core import to_json

from services.audit.domain.entries import Asked, Entry, EntryKind, Link, Numbers, NumbersAre, Read, Receipted
from shared.contracts.base import Contract
from shared.contracts.delivery import GoneClear, MarksClear
from shared.contracts.facts import (
    MessageParkedClear,
    MessagesReceiptedClear,
    RecordRevealedClear,
    ReferralDecidedClear,
    ReferralDecidedSealed,
    ReferralRefusedClear,
)
from shared.contracts.referral import EdgeClear
from shared.contracts.registry import BY_TYPE, GONE, MARKS, REFERRAL_DECIDED, Family, MessageType, value_model
from shared.envelope.batch import RootCache, message_digest
from shared.envelope.headers import Attributes, Envelope, decode_headers
from shared.envelope.keys import OpeningKey
from shared.envelope.sealing import open_with_any
from shared.exchange.authority import STATEMENT_NOT_YOURS, may_state
from shared.exchange.compose import seal_context
from shared.exchange.decided import commitment, edge_salt, judged_edges, stated_edges
from shared.exchange.message import Record
from shared.exchange.senders import check_broker_time, check_format, check_stated_by, instance_of, verify_sender
from shared.kernel.canonical import digest as sha256
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused, Unavailable
from shared.routing.directory_index import DirectoryIndex
from shared.routing.engine import Setting
from shared.routing.shelf import DocumentShelf

#: Beyond it no marks can speak of a number (`shared.contracts.delivery`).
NUMBER_MAX: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Reading:
    """What audit reads records with: the documents it has seen, its own opening keys and clock, the verified roots."""

    shelf: DocumentShelf
    opening_keys: Sequence[OpeningKey]
    clock: Clock
    roots: RootCache = field(default_factory=RootCache)

    def directory_at(self, at: datetime) -> DirectoryIndex | None:
        """The directory in force at that time, None before the first."""
        try:
            return self.shelf.directories.active(at)
        except Unavailable:
            return None


def read_record(record: Record, read: Read, *, generation: UUID, reading: Reading) -> None:
    """Add what one record says, judged by the directory at its own broker time, which is not ahead of our clock.

    Total: what cannot be read still gets an entry, with the problem's code. What a fact states that is not its
    sender's to state goes no further than its entry.
    """
    value = record.value or b""
    try:
        envelope = decode_headers(record.headers, value)
    except Refused as error:
        read.entries.append(_unreadable(record, generation, problem=error.code))
        return
    directory = reading.directory_at(record.broker_time)
    message = BY_TYPE.get(envelope.attributes.type)
    unproven = _problem(record, envelope, message, directory=directory, reading=reading)
    attributes = envelope.attributes
    said = Said(EntryKind.NOT_ENTITLED if unproven == STATEMENT_NOT_YOURS else EntryKind.RECORD, problem=unproven)
    if unproven is None and directory is not None and message is not None and _states(message):
        try:
            said = _stated(envelope, message, read, reading=reading, directory=directory)
        except Exception:  # whatever broke, the record is kept, and those beside it
            said = Said(problem="accept_defect")
    verified = unproven in (None, STATEMENT_NOT_YOURS)
    if verified and attributes.sequence and directory is not None:
        read.numbers += _taken(record, attributes, directory)
    proof = envelope.proof
    read.entries.append(
        Entry(
            topic=record.topic,
            generation=generation,
            partition=record.partition,
            offset=record.offset,
            broker_time=record.broker_time,
            kind=said.kind,
            digest=message_digest(attributes, value),
            verified=verified,
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
            batch_root=proof.root if proof else None,
            batch_signature=proof.signature if proof else None,
            batch_index=proof.index if proof else None,
            batch_size=proof.size if proof else None,
            batch_path=b"".join(proof.path) if proof else None,
        )
    )


def record_digest(record: Record) -> str:
    """What tells a record from another at its place: the digest that its entry has."""
    value = record.value or b""
    try:
        return message_digest(decode_headers(record.headers, value).attributes, value)
    except Refused:
        return sha256(value)


def _taken(record: Record, attributes: Attributes, directory: DirectoryIndex) -> list[Numbers]:
    """That the number of a proven message was seen."""
    instance = instance_of(attributes.sender, directory)
    if instance is None:
        return []
    numbering = attributes.sender, attributes.recipient, attributes.epoch
    number = attributes.sequence
    if number > NUMBER_MAX:
        return []
    return [Numbers(*numbering, instance, record.topic, NumbersAre.TAKEN, number, number)]


def _problem(
    record: Record,
    envelope: Envelope,
    message: MessageType | None,
    *,
    directory: DirectoryIndex | None,
    reading: Reading,
) -> str | None:
    now = reading.clock.now()
    in_force = reading.directory_at(now)
    if directory is None or in_force is None:
        return "document_unknown"
    try:
        check_broker_time(record, now)
        instance = verify_sender(envelope, directory, at=record.broker_time, in_force=in_force, roots=reading.roots)
        check_format(envelope.attributes)
        if message is not None:
            check_stated_by(message, envelope.attributes, instance, directory=directory)
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


def _states(message: MessageType) -> bool:
    """Whether audit keeps something of what the message says, beside that it was said."""
    return message.edge or message.family in (Family.FACT, Family.RECEIPT) or message in (MARKS, GONE)


def _stated(
    envelope: Envelope, message: MessageType, read: Read, *, reading: Reading, directory: DirectoryIndex
) -> Said:
    try:
        value = cast(_Value, value_model(message).model_validate_json(envelope.body, strict=True))
    except ValueError:
        return Said(problem="body_invalid")
    attributes = envelope.attributes
    if not may_state(value.clear, attributes.sender, subject=attributes.subject, directory=directory):
        return _not_entitled(value.clear)
    match value.clear:
        case EdgeClear() as clear:
            return Said(edge_id=clear.edge_id, commitment=clear.commitment)
        case ReferralDecidedClear() as clear:
            sealed = str(getattr(value, "sealed", ""))
            return _decided(envelope, clear, sealed, read=read, reading=reading, directory=directory)
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
        case MarksClear() as clear:
            _note_marks(clear, attributes.sender, read, directory=directory)
            return Said()
        case GoneClear() as clear:
            _note_gone(clear, attributes.sender, read, directory=directory)
            return Said()
        case ReferralRefusedClear() | MessageParkedClear() | RecordRevealedClear() as clear:
            return Said(_KINDS[type(clear)], clear.model_dump_json(exclude_none=True))
        case _:
            return Said()


_KINDS: Final[Mapping[type[Contract], EntryKind]] = {
    ReferralRefusedClear: EntryKind.REFUSAL,
    MessageParkedClear: EntryKind.PARKED,
    RecordRevealedClear: EntryKind.REVEALED,
}


def _note_marks(clear: MarksClear, instance: str, read: Read, *, directory: DirectoryIndex) -> None:
    """How far the instance has numbered: what audit has not seen of it is a hole, though nothing came after."""
    for sent in clear.sent:
        own = instance_of(sent.sender, directory) == instance
        numbering = sent.sender, sent.recipient, sent.epoch
        read.numbers.append(Numbers(*numbering, instance, "", NumbersAre.GIVEN, 0, sent.last, own))
    if clear.asking:
        read.asked.append(Asked(instance, clear.nonce))


def _note_gone(clear: GoneClear, instance: str, read: Read, *, directory: DirectoryIndex) -> None:
    """Which numbers nobody holds any more: audit waits for them no longer, and names them."""
    for gone in clear.numbers:
        own = instance_of(gone.sender, directory) == instance
        for first, last in gone.spans:
            numbering = gone.sender, gone.recipient, gone.epoch
            read.numbers.append(Numbers(*numbering, instance, "", NumbersAre.GONE, first, last, own))


def _not_entitled(stated: Contract) -> Said:
    """Of a statement that is not its sender's to make only whom it speaks of is kept."""
    party = getattr(stated, "origin", None) or getattr(stated, "party", None)
    detail = None if party is None else to_json({"spoken_of": party}).decode()
    return Said(EntryKind.NOT_ENTITLED, detail, STATEMENT_NOT_YOURS)


def _decided(
    envelope: Envelope,
    clear: ReferralDecidedClear,
    sealed: str,
    *,
    read: Read,
    reading: Reading,
    directory: DirectoryIndex,
) -> Said:
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
    if not may_state(fact, attributes.sender, subject=attributes.subject, directory=directory):
        return _not_entitled(fact)
    try:
        at = fact.decision.decided_at
        documents = (
            reading.shelf.directories.get(fact.decision.directory, at),
            reading.shelf.policies.get(fact.decision.policy, at),
        )
        setting = Setting(*documents, attributes.exercise, at)
        judged = judged_edges(clear, fact, setting, told_at=attributes.time)
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
