"""Reading records: whether its sender's proof holds, what it states, and whether that derives. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from pydantic_core import to_json

from services.audit.domain.decisions import DecisionJudge, broken_as, unread
from services.audit.domain.entries import UNREAD, Entry, EntryKind, KeptDecision, Read
from services.audit.domain.lawful import JUDGED, unlawful
from services.audit.domain.protocol import Observed, note_body
from shared.contracts.answers import OutcomeReport, OutcomeReportedClear
from shared.contracts.base import Contract
from shared.contracts.facts import (
    RecordRevealedClear,
    ReferralDecidedClear,
    ReferralRefusedClear,
    ReferralReviewedClear,
    SealedDecision,
)
from shared.contracts.referral import EdgeClear
from shared.contracts.registry import BY_TYPE, REFERRAL_DECIDED, Family, MessageType
from shared.envelope.content_proof import leaf_digest
from shared.envelope.headers import Attributes, Envelope, decode_headers
from shared.envelope.keys import OpeningKey
from shared.envelope.segment_sealing import GroupOpener
from shared.exchange.accept import unread_as
from shared.exchange.authority import STATEMENT_NOT_YOURS, may_state
from shared.exchange.compose import seal_context
from shared.exchange.decided import read_decided
from shared.exchange.message import Record
from shared.exchange.record_body import read_body
from shared.exchange.senders import SigningKeys, check_broker_time, check_stated_by, verify_sender
from shared.kernel.clock import Clock, rfc3339
from shared.kernel.errors import Refused, Unavailable
from shared.messaging.placement import covered_bytes
from shared.routing.directory_index import DirectoryIndex
from shared.routing.shelf import DocumentShelf
from shared.runtime.delivery.control import ROLE_BY_TYPE

#: The problems of a record whose sender has not proven to have written it.
_OF_NOBODY: Final = frozenset({"sender_unknown", "signature_invalid"})
_RECORD_CONTEXT: Final = b"causeway-record/v1\n"


@dataclass(frozen=True, slots=True)
class Reading:
    """What audit reads records with: the documents it has seen, the keys that open facts, its clock."""

    shelf: DocumentShelf
    opening_keys: Sequence[OpeningKey]
    clock: Clock

    @property
    def signing_keys(self) -> SigningKeys:
        """The keys that prove records."""
        return SigningKeys(self.shelf.directories, self.clock)

    def directory_at(self, at: datetime) -> DirectoryIndex | None:
        """The directory in force at that time, None before the first."""
        try:
            return self.shelf.directories.active(at)
        except Unavailable:
            return None


def read_records(observed: Sequence[Observed], read: Read, *, reading: Reading) -> None:
    """Add what records say, each judged by the directory at its own broker time, which is not ahead of our clock.

    Total: what cannot be read still gets an entry, with the problem's code; the entries are in the order of the
    records. What a fact states that is not its sender's to state goes no further than its entry. Each stage goes over
    all of them before the next begins, as in `accept_batch`, for the same reason.
    """
    opener = GroupOpener(reading.opening_keys)
    looks = [_looked_at(each, reading) for each in observed]
    for look in looks:
        if isinstance(look, _Look):
            look.said = _said(look, read, reading=reading, opener=opener)
    for each, look in zip(observed, looks, strict=True):
        read.entries.append(_unreadable(each, look.code) if isinstance(look, Refused) else _entry(look))


def record_digest(record: Record) -> str:
    """SHA-256 of all that tells a record from another at its place, whether or not it can be read; in hexadecimal.

    Behind a context, of the broker's time, the key, each header's name and value and the value: `-` where it is null,
    else its length in decimal, `:` and its bytes.
    """
    known = hashlib.sha256(_RECORD_CONTEXT)
    headers = (part for name, value in record.headers for part in (name.encode(), value))
    for part in (rfc3339(record.broker_time).encode(), record.key, *headers, record.value):
        known.update(b"-" if part is None else b"%d:" % len(part) + part)
    return known.hexdigest()


@dataclass(slots=True)
class _Look:
    """A record whose headers could be read: who proved it, or the code of what is wrong with it, and what it says."""

    observed: Observed
    envelope: Envelope
    message: MessageType | None
    directory: DirectoryIndex | None
    unproven: str | None
    #: Whether nobody's proof holds.
    nobodys: bool
    said: Said = field(init=False)

    @property
    def verified(self) -> bool:
        return self.unproven in (None, STATEMENT_NOT_YOURS)


def _looked_at(observed: Observed, reading: Reading) -> _Look | Refused:
    record = observed.record
    try:
        envelope = decode_headers(record.headers, record.value or b"")
    except Refused as error:
        return Refused(observed.code) if observed.code is not None else error
    directory = reading.directory_at(record.broker_time)
    message = BY_TYPE.get(envelope.attributes.type)
    if observed.code is not None:
        return _Look(observed, envelope, message, directory, observed.code, nobodys=True)
    unproven = _problem(observed, envelope, message, directory=directory, reading=reading)
    return _Look(observed, envelope, message, directory, unproven, nobodys=unproven in _OF_NOBODY)


def _said(look: _Look, read: Read, *, reading: Reading, opener: GroupOpener) -> Said:
    proven = look.unproven is None
    try:
        if proven and look.envelope.attributes.type in ROLE_BY_TYPE:
            is_outcomes = note_body(look.observed, look.envelope, read)
            return Said(EntryKind.OUTCOMES if is_outcomes else EntryKind.RECORD)
        if proven and look.message is None:
            return Said(problem=unread_as(look.envelope.attributes.type))
        if proven and look.directory is not None and look.message is not None and _states(look.message):
            return _stated(look, look.message, reading=reading, opener=opener)
    except Refused as error:
        return Said(problem=error.code)
    except Exception:  # whatever broke, the record is kept, and those beside it
        return Said(problem="accept_defect")
    if look.nobodys:
        return Said(EntryKind.UNPROVEN, problem=look.unproven)
    not_entitled = look.unproven == STATEMENT_NOT_YOURS
    return Said(EntryKind.NOT_ENTITLED if not_entitled else EntryKind.RECORD, problem=look.unproven)


def _entry(look: _Look) -> Entry:
    said, attributes = look.said, look.envelope.attributes
    return _placed(look.observed, said.kind)._replace(
        verified=look.verified,
        problem=said.problem,
        message_id=attributes.id,
        type=attributes.type,
        subject=attributes.subject,
        sender=attributes.sender,
        recipient=attributes.recipient,
        exercise=attributes.exercise,
        detail=said.detail,
        edge_id=said.edge_id,
        commitment=said.commitment,
        decisions=said.decisions,
    )


def _unreadable(observed: Observed, code: str) -> Entry:
    return _placed(observed, EntryKind.UNREADABLE)._replace(problem=code)


def _placed(observed: Observed, kind: EntryKind) -> Entry:
    """The entry of a record without what it claims."""
    record, place = observed.record, observed.place
    assert record.topic_id is not None
    if place is None:
        digest = record_digest(record)
    else:
        digest = leaf_digest(record.salt, covered_bytes(record.headers, record.value or b"")).hex()
    entry = Entry(
        topic=record.topic,
        topic_id=record.topic_id,
        partition=record.partition,
        offset=record.offset,
        broker_time=record.broker_time,
        kind=kind,
        digest=digest,
        verified=False,
    )
    if place is None:
        return entry
    entry = entry._replace(
        writer=observed.pair.writer,
        addressee=observed.pair.addressee,
        incarnation=place.incarnation,
        lane=int(place.lane),
        number=place.number,
        chain=observed.chain,
    )
    proof = record.proof
    if proof is None:
        return entry
    return entry._replace(
        key_id=proof.key_id,
        signature=proof.signature,
        tree_size=proof.size,
        leaf_position=proof.position,
        path=b"".join(proof.path),
        salt=proof.salt,
    )


def _problem(
    observed: Observed,
    envelope: Envelope,
    message: MessageType | None,
    *,
    directory: DirectoryIndex | None,
    reading: Reading,
) -> str | None:
    """What is wrong with who says it."""
    record, now, attributes = observed.record, reading.clock.now(), envelope.attributes
    in_force = reading.directory_at(now)
    if directory is None or in_force is None:
        return "document_unknown"
    writer = observed.pair.writer
    try:
        check_broker_time(record, now)
        if record.proof is None:
            raise Refused("signature_invalid")
        verify_sender(attributes, directory, writer=writer, in_force=in_force)
        if attributes.type in ROLE_BY_TYPE:
            # The protocol's messages go from instance to instance.
            if (attributes.sender, attributes.recipient) != observed.pair:
                raise Refused("sender_unknown", field="ce_sender")
        elif message is not None:
            check_stated_by(message, attributes, writer, directory=directory)
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
    decisions: tuple[KeptDecision, ...] = ()


def _states(message: MessageType) -> bool:
    """Whether audit keeps something of what the message says, beside that it was said."""
    stated = message.edge or message.family is Family.FACT
    return stated or message.clear is OutcomeReportedClear or message in JUDGED


def _stated(look: _Look, message: MessageType, *, reading: Reading, opener: GroupOpener) -> Said:
    """What a proven message states. Raises `Refused` for a body that cannot be read."""
    envelope, directory = look.envelope, look.directory
    assert directory is not None
    attributes = envelope.attributes
    body = read_body(message, envelope.body)
    clear = body.clear
    if not _may_state(clear, attributes, attributes.time, directory=directory, reading=reading):
        return _not_entitled(clear)
    if (code := unlawful(clear, attributes, shelf=reading.shelf, at=look.observed.record.broker_time)) is not None:
        return Said(EntryKind.NOT_ENTITLED, problem=code)
    match clear:
        case EdgeClear():
            return Said(edge_id=clear.edge_id, commitment=clear.commitment)
        case ReferralDecidedClear():
            return _decided(look, clear, body.sealed or b"", reading=reading, opener=opener)
        case OutcomeReportedClear():
            return Said(detail=clear.model_dump_json(include=_OUTCOME, exclude_none=True))
        case _ if (kind := _KINDS.get(type(clear))) is not None:
            return Said(kind, clear.model_dump_json(exclude_none=True))
        case _:
            return Said()


#: Of a reported outcome the codes: each report is an entry of its own, and none replaces another.
_OUTCOME: Final = {*OutcomeReport.model_fields, "number"}
#: Facts of which all that is in the clear is kept.
_KINDS: Final[Mapping[type[Contract], EntryKind]] = {
    ReferralRefusedClear: EntryKind.REFUSAL,
    ReferralReviewedClear: EntryKind.REVIEWED,
    RecordRevealedClear: EntryKind.REVEALED,
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


def _spoken_of(stated: Contract) -> str | None:
    party = getattr(stated, "origin", None) or getattr(stated, "party", None)
    return party if isinstance(party, str) else None


def _not_entitled(stated: Contract) -> Said:
    """Of a statement that is not its sender's to make only whom it speaks of is kept."""
    party = _spoken_of(stated)
    detail = None if party is None else to_json({"spoken_of": party}).decode()
    return Said(EntryKind.NOT_ENTITLED, detail, STATEMENT_NOT_YOURS)


def _decided(look: _Look, clear: ReferralDecidedClear, sealed: bytes, *, reading: Reading, opener: GroupOpener) -> Said:
    """Open the fact, and derive each of its decisions again."""
    attributes, directory, told = look.envelope.attributes, look.directory, clear.decisions
    assert directory is not None
    context = seal_context(
        REFERRAL_DECIDED,
        attributes.id,
        attributes.subject,
        clear={},
        sender=attributes.sender,
        recipient=attributes.recipient,
    )

    def may_state_it(fact: SealedDecision) -> bool:
        return _may_state(fact, attributes, fact.decision.decided_at, directory=directory, reading=reading)

    try:
        found = read_decided(opener.open(sealed, look.observed.record.wrap, context), len(told))
    except (Refused, ValueError) as error:
        code = broken_as(error)
        return Said(EntryKind.DECISION, problem=code, decisions=tuple(unread(each, code) for each in told))
    judge = DecisionJudge(attributes, reading.shelf, may_state_it)
    decisions = tuple(map(judge.judge, told, found))
    problem = next((each.problem for each in decisions if each.problem in UNREAD), None)
    return Said(EntryKind.DECISION, problem=problem, decisions=decisions)
