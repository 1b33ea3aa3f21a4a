"""Reading of records: the check of the sender's proof, the statement, and its derivation. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Final, NamedTuple
from uuid import UUID

from pydantic_core import from_json

from services.audit.domain.decisions import Judge, StatedFacts, list_unread
from services.audit.domain.entries import (
    Acknowledgement,
    AuditBatch,
    AuditEntry,
    ClosedEnd,
    EntryKind,
    ReportedOutcome,
    StreamEnd,
)
from shared.core.acts.catalog import Catalog
from shared.core.clock import Clock, rfc3339
from shared.core.contracts.registry import MessageType
from shared.core.envelope.attributes import Envelope
from shared.core.envelope.content_proof import leaf_digest
from shared.core.envelope.headers import decode_headers
from shared.core.envelope.keys import OpeningKey
from shared.core.envelope.record_value import split_value
from shared.core.envelope.segment_sealing import GroupOpener
from shared.core.errors import Refused, Unavailable
from shared.core.ids import parse_uuid
from shared.core.protocol.accept import unread_as
from shared.core.protocol.authority import STATEMENT_NOT_YOURS
from shared.core.protocol.message import Record
from shared.core.protocol.sender_verification import SigningKeys, check_broker_time, check_stated_by, verify_sender
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import DocumentStore
from shared.delivery.control import ROLE_BY_TYPE
from shared.messaging.arrival import StatedAck
from shared.messaging.contract import decode_control
from shared.messaging.exceptions import OutcomeList
from shared.messaging.placement import covered_bytes
from shared.messaging.resync import Holdings
from shared.messaging.streams import LANES, Pair, StreamPlace
from shared.messaging.tracks import name_unread

#: The problems of a record whose sender has not proven to have written it.
_OF_NOBODY: Final = frozenset({"sender_unknown", "signature_invalid"})
_CLAIMS: Final = attrgetter("id", "type", "subject", "sender", "recipient", "exercise")
_RECORD_CONTEXT: Final = b"causeway-record/v1\n"


@dataclass(frozen=True, slots=True)
class Reading:
    """Dependencies for reading records: documents that audit has seen, keys that open facts, clock, and messages."""

    shelf: DocumentStore
    opening_keys: Sequence[OpeningKey]
    clock: Clock
    catalog: Catalog

    @property
    def signing_keys(self) -> SigningKeys:
        """The keys that prove records."""
        return SigningKeys(self.shelf.directories, self.clock)


class ObservedRecord(NamedTuple):
    """A record that audit stores: a message that was taken, or a record without effect.

    `pair` names the streams of the message. `place` and `chain` (32 bytes, after the message) are None for a record
    without effect, and `code` then has the reason. `record` has its topic's id.
    """

    record: Record
    pair: Pair
    place: StreamPlace | None = None
    chain: bytes | None = None
    code: str | None = None


def read_records(observed: Sequence[ObservedRecord], read: AuditBatch, *, reading: Reading) -> None:
    """Add the statements of records, each judged by the directory at the record's own broker time.

    A broker time ahead of audit's clock is refused. Every record gets an entry, in the order of the records; an entry
    of an unreadable record has the problem's code. A fact from an unauthorized sender has no effect beyond its entry.
    """
    opener, passed = GroupOpener(reading.opening_keys), set[Hashable]()
    read.entries += [_read(each, read, reading=reading, opener=opener, passed=passed) for each in observed]


def record_digest(record: Record) -> str:
    """Return the SHA-256, in hexadecimal, that distinguishes a record from others at its coordinates.

    It works for unreadable records, too. It covers a context, the broker's time, the key, each header's name and value,
    and the value. A null part is `-`; any other part is its length in decimal, `:` and its bytes.
    """
    known = hashlib.sha256(_RECORD_CONTEXT)
    headers = (part for name, value in record.headers for part in (name.encode(), value))
    for part in (rfc3339(record.broker_time).encode(), record.key, *headers, record.value):
        known.update(b"-" if part is None else b"%d:" % len(part) + part)
    return known.hexdigest()


def _read(
    observed: ObservedRecord, read: AuditBatch, *, reading: Reading, opener: GroupOpener, passed: set[Hashable]
) -> AuditEntry:
    record = observed.record
    try:
        envelope = record.decoded.envelope if record.decoded else decode_headers(record.headers, record.value or b"")
    except Refused as error:
        return _entry(observed, StatedFacts(EntryKind.UNREADABLE, problem=observed.code or error.code))
    message = reading.catalog.by_type.get(envelope.attributes.type)
    directory, unproven = None, observed.code
    if unproven is None:
        try:
            directory = reading.shelf.directories.active(record.broker_time)
            _check_sender(observed, envelope, message, directory=directory, reading=reading, passed=passed)
        except (Refused, Unavailable) as error:
            unproven = error.code
    if observed.code is not None or unproven in _OF_NOBODY:
        said = StatedFacts(EntryKind.UNPROVEN, problem=unproven)
    elif unproven == STATEMENT_NOT_YOURS:
        said = StatedFacts(EntryKind.NOT_ENTITLED, problem=unproven)
    elif directory is None or unproven is not None:
        said = StatedFacts(problem=unproven)
    elif envelope.attributes.type in ROLE_BY_TYPE:
        said = _tried(lambda: _note_body(observed, envelope, read))
    elif message is None:
        code = unread_as(envelope.attributes.type, reading.catalog)
        told = list_unread(envelope, code, by=observed.pair.writer, directory=directory, catalog=reading.catalog)
        said = StatedFacts(problem=code, decisions=told)
    else:
        judge = Judge(record, envelope, directory, reading.shelf, opener, reading.catalog)
        said = _tried(partial(judge.judge, message))
    act = None if observed.place is None else _act(envelope, reading.catalog)
    return _entry(observed, said, envelope, act=act, is_verified=unproven in (None, STATEMENT_NOT_YOURS))


def _tried(read: Callable[[], StatedFacts]) -> StatedFacts:
    """Return the statement of a proven record. After any defect, this record and the others are still stored."""
    try:
        return read()
    except Refused as error:
        return StatedFacts(problem=error.code)
    except Exception:
        return StatedFacts(problem="accept_defect")


def _check_sender(
    observed: ObservedRecord,
    envelope: Envelope,
    message: MessageType | None,
    *,
    directory: DirectoryIndex,
    reading: Reading,
    passed: set[Hashable],
) -> None:
    """Check the sender of a record. Raises `Refused`, and `Unavailable` without a directory in force.

    `passed` gets the statements of each sender that has passed: equal ones pass, too.
    """
    record, now, attributes = observed.record, reading.clock.now(), envelope.attributes
    in_force = reading.shelf.directories.active(now)
    check_broker_time(record, now)
    if record.proof is None:
        raise Refused("signature_invalid")
    stated = attributes.type, attributes.sender, attributes.recipient, attributes.source
    if (claim := (*stated, observed.pair, directory, in_force)) in passed:
        return
    verify_sender(attributes, directory, writer=observed.pair.writer, in_force=in_force)
    if attributes.type in ROLE_BY_TYPE:
        # The protocol's messages go from instance to instance.
        if (attributes.sender, attributes.recipient) != observed.pair:
            raise Refused("sender_unknown", field="ce_sender")
    elif message is not None:
        check_stated_by(message, attributes, observed.pair.writer, directory=directory, catalog=reading.catalog)
    passed.add(claim)


def _entry(
    observed: ObservedRecord,
    said: StatedFacts,
    envelope: Envelope | None = None,
    *,
    act: UUID | None = None,
    is_verified: bool = False,
) -> AuditEntry:
    """Return the entry of a record: its place, its proof, the claims in its headers, and its statement."""
    record, pair, place, chain, _ = observed
    assert record.topic_id is not None
    if place is None:
        digest = record_digest(record)
    elif record.decoded is not None:
        digest = record.decoded.digest
    else:
        digest = leaf_digest(record.salt, covered_bytes(record.headers, record.value or b"")).hex()
    attributes = None if envelope is None else envelope.attributes
    return AuditEntry._make(
        (
            *(record.topic, record.topic_id, record.partition, record.offset, record.broker_time),
            *(said.kind, digest, is_verified, said.problem),
            *((None,) * 6 if place is None else (*pair, place.incarnation, int(place.lane), place.number, chain)),
            *((None,) * 6 if attributes is None else _CLAIMS(attributes)),
            *(said.detail, said.edge_id, said.commitment, act),
            *((None,) * 3 if place is None or record.shared is None else (record.salt, *record.shared)),
            said.decisions,
        )
    )


def _act(envelope: Envelope, catalog: Catalog) -> UUID | None:
    """Return the act that a message states on its track, as its recipient reads it; None without a readable one."""
    said = envelope.attributes
    if said.type in ROLE_BY_TYPE:
        return None
    try:
        clear = from_json(split_value(envelope.body)[0])
        parties = {"sender": said.sender, "recipient": said.recipient}
        named = name_unread(said.id, said.type, catalog, subject=parse_uuid(said.subject), clear=dict(clear), **parties)
    except (Refused, ValueError, TypeError):
        return None
    return next(iter(named.acts), None)


def _note_body(observed: ObservedRecord, envelope: Envelope, read: AuditBatch) -> StatedFacts:
    """Add the outcomes or closed incarnations that a proven message of the protocol states.

    Raises `Refused("body_invalid")`.
    """
    body = decode_control(ROLE_BY_TYPE[envelope.attributes.type], split_value(envelope.body)[0])
    place, at, (by, to) = observed.place, observed.record.broker_time, observed.pair
    assert place is not None
    if isinstance(body, OutcomeList):
        report_id, number = envelope.attributes.id, place.number
        read.outcomes += [
            ReportedOutcome(each.named.message_id, to, by, each.kind.value, each.code, report_id, position, number, at)
            for position, each in enumerate(body.outcomes)
        ]
        return StatedFacts(EntryKind.OUTCOMES)
    if isinstance(body, Holdings):
        # The instance that states holdings has left these incarnations of the other instance's streams.
        read.closed_ends += [
            ClosedEnd(to, by, closed.incarnation, int(lane), end.number, end.chain, at)
            for closed in body.closed
            for lane, end in zip(LANES, closed.lanes, strict=True)
            if end.number
        ]
    return StatedFacts()


def note_ack(stated: StatedAck, pair: Pair, read: AuditBatch) -> None:
    """Note the statements of an acknowledgement in the topic of this pair.

    The writer of the topic states the numbers that it took of the other instance's streams, and the ends of its own.
    The broker's time orders statements, so a writer's fast clock cannot make its statement the latest.
    """
    ack, at = stated.ack, stated.raw.broker_time
    if ack.reader != pair.writer or ack.pair != (pair.addressee, pair.writer):
        return
    if ack.incarnation is not None:
        read.acknowledgements += [
            Acknowledgement(*ack.pair, ack.incarnation, int(lane), said.through, said.chain, at)
            for lane, said in zip(LANES, ack.lanes, strict=True)
        ]
    if ack.own_incarnation is not None and ack.heads is not None:
        urgent, ordinary = (end.number for end in ack.heads)
        read.stream_ends.append(StreamEnd(*pair, ack.own_incarnation, urgent, ordinary, at))
