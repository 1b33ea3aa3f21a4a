"""Reading records: whether its sender's proof holds, what it states, and whether that derives. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, Protocol, cast
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import to_json

from services.audit.domain.entries import Entry, EntryKind, Link, Read, Receipted
from services.audit.domain.lawful import JUDGED, unlawful
from services.audit.domain.numbering import note_gone, note_marks, note_taken
from shared.contracts.answers import OutcomeReport, OutcomeReportedClear
from shared.contracts.base import Contract
from shared.contracts.delivery import EpochOpenedClear, GoneClear, MarksClear
from shared.contracts.facts import (
    MessageParkedClear,
    MessagesReceiptedClear,
    RecordRevealedClear,
    ReferralDecidedClear,
    ReferralRefusedClear,
    ReferralReviewedClear,
)
from shared.contracts.referral import EdgeClear
from shared.contracts.registry import BY_TYPE, GONE, MARKS, REFERRAL_DECIDED, Family, MessageType, value_model
from shared.envelope.batch import RootCache, message_digest
from shared.envelope.headers import Attributes, Envelope, Previous, decode_headers
from shared.envelope.sealing import Opener
from shared.exchange.accept import only_codes_unknown, unread_as
from shared.exchange.authority import STATEMENT_NOT_YOURS, may_state
from shared.exchange.compose import seal_context
from shared.exchange.decided import commitment, edge_salt, judged_edges, read_decided
from shared.exchange.message import Record, record_digest
from shared.exchange.senders import (
    check_broker_time,
    check_stated_by,
    instance_of,
    verify_sender,
)
from shared.exchange.topics import inbox_prefix
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused, Unavailable
from shared.routing.directory_index import DirectoryIndex
from shared.routing.engine import Setting
from shared.routing.shelf import DocumentShelf

#: What says that nobody has proven to have said a record. Where anybody had, it is theirs, whatever else is wrong.
_OF_NOBODY: Final = frozenset({"sender_unknown", "proof_missing", "key_unknown", "key_revoked", "signature_invalid"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What audit reads records with: the documents it has seen, what opens facts, its clock, the verified roots."""

    shelf: DocumentShelf
    opener: Opener
    clock: Clock
    roots: RootCache = field(default_factory=RootCache)

    def directory_at(self, at: datetime) -> DirectoryIndex | None:
        """The directory in force at that time, None before the first."""
        try:
            return self.shelf.directories.active(at)
        except Unavailable:
            return None


def read_records(records: Sequence[Record], read: Read, *, topic_ids: Mapping[str, UUID], reading: Reading) -> None:
    """Add what records say, each judged by the directory at its own broker time, which is not ahead of our clock.

    `topic_ids` are their topics' lives. Total: what cannot be read still gets an entry, with the problem's code;
    the entries are in the order of the records. What a fact states that is not its sender's to state goes no further
    than its entry. Each stage goes over all of them before the next begins, as in `accept_batch`, for the same reason.
    """
    looks = [_looked_at(record, reading) for record in records]
    for look in looks:
        if isinstance(look, _Look):
            look.said = _said(look, read, reading=reading)
    for record, look in zip(records, looks, strict=True):
        topic_id = topic_ids[record.topic]
        if isinstance(look, Refused):
            read.entries.append(_unreadable(record, topic_id, problem=look.code))
            continue
        attributes = look.envelope.attributes
        if look.verified and attributes.sequence:
            note_taken(record.topic, attributes, read)
        read.entries.append(_entry(record, topic_id, look))


@dataclass(slots=True)
class _Look:
    """A record whose headers could be read: who proved it, or the code of what is wrong with it, and what it says."""

    envelope: Envelope
    message: MessageType | None
    directory: DirectoryIndex | None
    unproven: str | None
    #: Whether nobody's proof holds.
    nobodys: bool
    #: The instance that reads the record for its recipient.
    told: str | None
    #: When the broker took it.
    at: datetime
    said: Said = field(init=False)

    @property
    def verified(self) -> bool:
        return self.unproven in (None, STATEMENT_NOT_YOURS)


def _looked_at(record: Record, reading: Reading) -> _Look | Refused:
    try:
        envelope = decode_headers(record.headers, record.value or b"")
    except Refused as error:
        return error
    directory = reading.directory_at(record.broker_time)
    message = BY_TYPE.get(envelope.attributes.type)
    unproven, nobodys = _problem(record, envelope, message, directory=directory, reading=reading)
    told = _told_at(envelope.attributes.recipient, record.topic, directory) if directory else None
    return _Look(envelope, message, directory, unproven, nobodys, told, record.broker_time)


def _said(look: _Look, read: Read, *, reading: Reading) -> Said:
    if look.unproven is None and look.message is None:
        return Said(problem=unread_as(look.envelope.attributes.type))
    if look.unproven is None and look.directory is not None and look.message is not None and _states(look.message):
        try:
            return _stated(look, look.message, read, reading=reading, directory=look.directory)
        except Exception:  # whatever broke, the record is kept, and those beside it
            return Said(problem="accept_defect")
    if look.nobodys:
        return Said(EntryKind.UNPROVEN, problem=look.unproven)
    not_entitled = look.unproven == STATEMENT_NOT_YOURS
    return Said(EntryKind.NOT_ENTITLED if not_entitled else EntryKind.RECORD, problem=look.unproven)


def _entry(record: Record, topic_id: UUID, look: _Look) -> Entry:
    envelope, said = look.envelope, look.said
    attributes, proof = envelope.attributes, envelope.proof
    previous = attributes.previous or Previous()
    return Entry(
        topic=record.topic,
        topic_id=topic_id,
        partition=record.partition,
        offset=record.offset,
        broker_time=record.broker_time,
        kind=said.kind,
        digest=message_digest(attributes, envelope.body),
        verified=look.verified,
        problem=said.problem,
        message_id=attributes.id,
        type=attributes.type,
        subject=attributes.subject,
        sender=attributes.sender,
        recipient=attributes.recipient,
        recipient_instance=look.told,
        exercise=attributes.exercise,
        epoch=attributes.epoch,
        sequence=attributes.sequence,
        previous_epoch=previous.epoch,
        previous_last=previous.last,
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


def _problem(
    record: Record,
    envelope: Envelope,
    message: MessageType | None,
    *,
    directory: DirectoryIndex | None,
    reading: Reading,
) -> tuple[str | None, bool]:
    """What is wrong with who says it, and whether it is nobody's."""
    now = reading.clock.now()
    in_force = reading.directory_at(now)
    if directory is None or in_force is None:
        return "document_unknown", False
    instance = None
    try:
        check_broker_time(record, now)
        instance = verify_sender(envelope, directory, at=record.broker_time, in_force=in_force, roots=reading.roots)
        if message is not None:
            check_stated_by(message, envelope.attributes, instance, directory=directory)
    except Refused as error:
        return error.code, instance is None and error.code in _OF_NOBODY
    return None, False


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
    stated = message.edge or message.family in (Family.FACT, Family.RECEIPT) or message in (MARKS, GONE)
    return stated or message.clear is OutcomeReportedClear or message in JUDGED


def _stated(look: _Look, message: MessageType, read: Read, *, reading: Reading, directory: DirectoryIndex) -> Said:
    envelope = look.envelope
    try:
        value = cast(_Value, value_model(message).model_validate_json(envelope.body, strict=True))
    except ValidationError as error:
        return Said(problem=_broken_as(error))
    attributes = envelope.attributes
    if not _may_state(value.clear, attributes, attributes.time, directory=directory, reading=reading):
        return _not_entitled(value.clear)
    if (code := unlawful(value.clear, attributes, shelf=reading.shelf, at=look.at)) is not None:
        return Said(EntryKind.NOT_ENTITLED, problem=code)
    match value.clear:
        case EdgeClear() as clear:
            return Said(edge_id=clear.edge_id, commitment=clear.commitment)
        case ReferralDecidedClear() as clear:
            sealed = str(getattr(value, "sealed", ""))
            return _decided(envelope, clear, sealed, read=read, reading=reading, directory=directory)
        case MessagesReceiptedClear() as clear:
            read.receipted += _receipted(clear, attributes)
            return Said(EntryKind.RECEIPT)
        case MarksClear() as clear:
            note_marks(clear, attributes.sender, read, directory=directory)
            return Said()
        case GoneClear() as clear:
            note_gone(clear, attributes.sender, read, directory=directory)
            return Said()
        case OutcomeReportedClear() as clear:
            return Said(detail=clear.model_dump_json(include=_OUTCOME, exclude_none=True))
        case clear if (kind := _KINDS.get(type(clear))) is not None:
            return Said(kind, clear.model_dump_json(exclude_none=True))
        case _:
            return Said()


def _broken_as(error: ValueError) -> str:
    return "code_unknown" if isinstance(error, ValidationError) and only_codes_unknown(error) else "body_invalid"


def _receipted(clear: MessagesReceiptedClear, attributes: Attributes) -> list[Receipted]:
    return [
        Receipted(
            message_id=each.message_id,
            receipt_id=attributes.id,
            position=position,
            by=attributes.sender,
            digest=each.digest,
            outcome=each.outcome.value,
            code=each.code,
            edge_id=each.edge_id,
            revision=each.revision,
            topic_id=each.judged.topic_id,
            offset=each.judged.offset,
            broker_time=each.judged.broker_time,
        )
        for position, each in enumerate(clear.entries)
    ]


#: Of a reported outcome the codes: each report is an entry of its own, and none replaces another.
_OUTCOME: Final = {*OutcomeReport.model_fields, "number"}
#: Facts of which all that is in the clear is kept.
_KINDS: Final[Mapping[type[Contract], EntryKind]] = {
    ReferralRefusedClear: EntryKind.REFUSAL,
    ReferralReviewedClear: EntryKind.REVIEWED,
    MessageParkedClear: EntryKind.PARKED,
    RecordRevealedClear: EntryKind.REVEALED,
    EpochOpenedClear: EntryKind.EPOCH,
}


def _may_state(
    fact: Contract, attributes: Attributes, at: datetime, *, directory: DirectoryIndex, reading: Reading
) -> bool:
    """Whether its sender may state it: by the directory of the record's time, or of the time that it speaks of, `at`.

    The second only of a party that has moved from the sender since: what it stated before may come late.
    """
    if may_state(fact, attributes.sender, subject=attributes.subject, directory=directory):
        return True
    party, then = _spoken_of(fact), reading.directory_at(at)
    if party is None or then is None or not directory.served_before(attributes.sender, party):
        return False
    return may_state(fact, attributes.sender, subject=attributes.subject, directory=then)


def _told_at(recipient: str, topic: str, directory: DirectoryIndex) -> str | None:
    """The instance that reads the record for its recipient: one that the recipient has left reads what went there."""
    return next(
        (name for name in directory.places_of(recipient) if topic.startswith(inbox_prefix(name))),
        instance_of(recipient, directory),
    )


def _spoken_of(stated: Contract) -> str | None:
    if isinstance(stated, EpochOpenedClear):
        return stated.sender
    party = getattr(stated, "origin", None) or getattr(stated, "party", None)
    return party if isinstance(party, str) else None


def _not_entitled(stated: Contract) -> Said:
    """Of a statement that is not its sender's to make only whom it speaks of is kept."""
    party = _spoken_of(stated)
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
        decided = read_decided(reading.opener.open(sealed, context))
    except Refused as error:
        return Said(EntryKind.DECISION, clear.model_dump_json(), error.code)
    except ValueError as error:
        return Said(EntryKind.DECISION, clear.model_dump_json(), _broken_as(error))
    fact, at = decided.fact, decided.fact.decision.decided_at
    if not _may_state(fact, attributes, at, directory=directory, reading=reading):
        return _not_entitled(fact)
    try:
        documents = (
            reading.shelf.directories.get(fact.decision.directory, at),
            reading.shelf.policies.get(fact.decision.policy, at),
        )
        setting = Setting(*documents, attributes.exercise, at)
        judged = judged_edges(clear, decided, setting, told_at=attributes.time)
    except (Refused, Unavailable) as error:
        problem = error.code
    for edge in decided.edges:
        planned = judged.get((edge.recipient, edge.purpose))
        rules = ",".join(planned.terms.rules) if planned else ""
        bound = commitment(edge_salt(fact.salt, edge.edge_id), edge.digest)
        read.links.append(
            Link(edge.edge_id, clear.referral_id, fact.origin, edge.recipient, edge.purpose, rules, bound)
        )
    stated = {name: value for name, value in decided.stated.items() if name not in _LINKED}
    return Said(EntryKind.DECISION, to_json(clear.model_dump(mode="json") | stated).decode(), problem)


#: What a decision says of its edges is kept as links.
_LINKED: Final = frozenset({"edges", "recipients"})


def _unreadable(record: Record, topic_id: UUID, *, problem: str) -> Entry:
    return Entry(
        topic=record.topic,
        topic_id=topic_id,
        partition=record.partition,
        offset=record.offset,
        broker_time=record.broker_time,
        kind=EntryKind.UNREADABLE,
        digest=record_digest(record),
        verified=False,
        problem=problem,
    )
