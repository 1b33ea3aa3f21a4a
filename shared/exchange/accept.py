"""`accept`: verify → open → guard → re-derive. Every recipient calls it on every record, and acts on nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from pydantic import ValidationError

from shared.contracts.base import Contract
from shared.contracts.decision import DecisionRef, Edge
from shared.contracts.registry import BY_TYPE, NAMES, Lane, MessageType, value_model
from shared.envelope.batch import RootCache
from shared.envelope.canonical import message_digest
from shared.envelope.headers import Attributes, Envelope, decode_headers
from shared.envelope.keys import OpeningKey
from shared.envelope.sealing import SealContext, open_sealed
from shared.exchange.compose import seal_context
from shared.exchange.message import Received, Record
from shared.exchange.senders import check_stated_by, instance_of, verify_sender
from shared.guard import inspect, parse_body
from shared.kernel.errors import CausewayError, Refused, Unavailable
from shared.routing.derive import check_decision_time, derive_edge
from shared.routing.directory_index import DirectoryIndex
from shared.routing.policy_index import PolicyIndex
from shared.vocabulary.routing import PartyStatus

RECORD_BYTES_MAX = 65_536


class Shelf(Protocol):
    """The documents by digest; see `shared.routing.shelf`."""

    directories: Any
    policies: Any


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: an instance, its topic, its opening keys, the documents it has seen, the roots it has verified."""

    instance: str
    topic: str
    shelf: Shelf
    opening_keys: Sequence[OpeningKey]
    roots: RootCache = field(default_factory=RootCache)


class TurnedAway(Refused):
    """A record refused after its signature held: `envelope` says whom to tell, and about what."""

    def __init__(self, error: CausewayError, envelope: Envelope, sender_instance: str, *, digest: str) -> None:
        super().__init__(error.code, error.detail, field=error.field)
        self.envelope = envelope
        self.sender_instance = sender_instance
        self.digest = digest


class Awaited(Unavailable):
    """A record whose signature held and whose document has not come. `turned` is what it is if that never comes."""

    def __init__(self, turned: TurnedAway) -> None:
        super().__init__(turned.code)
        self.turned = turned


def accept(record: Record, reader: Reader) -> Received:
    """Check everything about one record. Success says: authentic, addressed here, guarded, its edge reproducible.

    It does not say that the message is new or in order: the inbox does. Raises `Refused` before the signature
    held, `TurnedAway` after; `Unavailable` while this instance has no directory, `Awaited` for a document not seen
    yet. Codes: `record_table`.
    """
    directory: DirectoryIndex = reader.shelf.directories.active(record.broker_time)
    envelope, sender_instance = _authentic(record, reader, directory)
    digest = message_digest(envelope.attributes, envelope.body)
    try:
        return _understood(record, reader, directory, envelope=envelope, sender_instance=sender_instance, digest=digest)
    except Refused as error:
        raise TurnedAway(error, envelope, sender_instance, digest=digest) from None
    except Unavailable as error:
        raise Awaited(TurnedAway(error, envelope, sender_instance, digest=digest)) from None


def _authentic(record: Record, reader: Reader, directory: DirectoryIndex) -> tuple[Envelope, str]:
    if record.value is None:
        raise Refused("record_empty")
    if len(record.value) > RECORD_BYTES_MAX:
        raise Refused("record_too_large")
    envelope = decode_headers(record.headers, record.value)
    attributes = envelope.attributes
    if record.key != attributes.subject.encode():
        raise Refused("key_mismatch", field="ce_subject")
    sender_instance = verify_sender(envelope, directory, at=record.broker_time, roots=reader.roots)
    if instance_of(attributes.recipient, directory) != reader.instance:
        raise Refused("recipient_not_served", field="ce_recipient")
    if record.topic != reader.topic:
        raise Refused("topic_wrong")
    return envelope, sender_instance


def _understood(
    record: Record, reader: Reader, directory: DirectoryIndex, *, envelope: Envelope, sender_instance: str, digest: str
) -> Received:
    attributes = envelope.attributes
    message = _message_type(attributes.type)
    _check_lane(message, attributes, sender_instance)
    _check_exercise(message, attributes, directory)
    clear, sealed_text = _parsed(message, envelope.body)
    if str(_subject_of(message, clear, attributes.subject)) != attributes.subject:
        raise Refused("body_invalid", "the subject is not the id in the body", field="/clear")
    # Opened and guarded before the edge is looked at: what is parked for its edge's sake has passed the guard.
    sealed = _opened(message, envelope, clear, sealed_text=sealed_text, reader=reader)
    if message.edge:
        _check_edge(record, reader, clear, attributes=attributes)
    return Received(
        record=record,
        message_id=attributes.id,
        message=message,
        subject=attributes.subject,
        sender=attributes.sender,
        sender_instance=sender_instance,
        recipient=attributes.recipient,
        sequence=attributes.sequence,
        digest=digest,
        exercise=attributes.exercise,
        clear=clear,
        sealed=sealed,
        sent_at=attributes.time,
        traceparent=envelope.traceparent,
    )


def _message_type(type_text: str) -> MessageType:
    if message := BY_TYPE.get(type_text):
        return message
    name = type_text.removeprefix("causeway.").rpartition(".v")[0]
    raise Refused("version_unknown" if name in NAMES else "type_unknown", field="ce_type")


def _check_lane(message: MessageType, attributes: Attributes, sender_instance: str) -> None:
    check_stated_by(message, attributes, sender_instance)
    if attributes.dataschema != message.schema:
        raise Refused("body_invalid", "not the schema of its type", field="ce_dataschema")


def _check_exercise(message: MessageType, attributes: Attributes, directory: DirectoryIndex) -> None:
    """Sandbox parties send and get exercise records, live parties none; a suspended party sends nothing."""
    if message.lane not in (Lane.REFERRAL, Lane.NOTICE):
        return
    sender, recipient = directory.party(attributes.sender), directory.party(attributes.recipient)
    if sender is not None and sender.status == PartyStatus.SUSPENDED:
        raise Refused("sender_suspended", field="ce_sender")
    for party in (sender, recipient):
        if party is None or attributes.exercise != (party.status == PartyStatus.SANDBOX):
            raise Refused("exercise_mismatch", field="ce_exercise")


def _parsed(message: MessageType, body: bytes) -> tuple[Contract, str | None]:
    try:
        value: Any = value_model(message).model_validate_json(body, strict=True)
    except ValidationError:
        raise Refused("body_invalid", "not what the type's schema says") from None
    return value.clear, getattr(value, "sealed", None)


def _check_edge(record: Record, reader: Reader, clear: Any, *, attributes: Attributes) -> None:
    edge: Edge = clear.edge
    decision: DecisionRef = clear.decision
    if edge.recipient != attributes.recipient:
        raise Refused("edge_not_ours", field="/clear/edge/recipient")
    if clear.exercise != attributes.exercise:
        raise Refused("exercise_mismatch", field="/clear/exercise")
    if edge.facts.origin != attributes.sender:
        raise Refused("edge_not_reproducible", "an origin decides for itself alone", field="/clear/edge/facts/origin")
    # An unknown digest is `Unavailable`: the feed has not brought the document yet, and the record waits for it.
    directory: DirectoryIndex = reader.shelf.directories.get(decision.directory, record.broker_time)
    policy: PolicyIndex = reader.shelf.policies.get(decision.policy, record.broker_time)
    check_decision_time(decision, record.broker_time)
    derive_edge(edge, decision, directory=directory, policy=policy, exercise=attributes.exercise)


def _opened(
    message: MessageType, envelope: Envelope, clear: Contract, *, sealed_text: str | None, reader: Reader
) -> Contract | None:
    if sealed_text is None or message.sealed is None:
        return None
    attributes = envelope.attributes
    context = seal_context(
        message,
        attributes.id,
        attributes.subject,
        clear={"revision": getattr(clear, "revision", 1)},
        sender=attributes.sender,
        recipient=attributes.recipient,
    )
    plaintext = _open_with_any(sealed_text, reader.opening_keys, context)
    try:
        parse_body("application/json", None, plaintext)
        record = message.sealed.model_validate_json(plaintext, strict=True)
        inspect(record)
    except ValidationError:
        raise Refused("guard_refused", "the sealed part is not what the type's schema says", field="/sealed") from None
    except Refused as error:
        raise Refused("guard_refused", error.code, field=f"/sealed{error.field or ''}") from None
    return record


def _open_with_any(sealed_text: str, keys: Sequence[OpeningKey], context: SealContext) -> bytes:
    """Open with whichever key fits: during a rotation the old one still does."""
    for key in keys:
        try:
            return open_sealed(sealed_text, key, context)
        except Refused:
            continue
    raise Refused("sealed_unopenable", field="/sealed")


def _subject_of(message: MessageType, clear: Any, subject: str) -> UUID | str:
    if message.lane is Lane.REFERRAL:
        return getattr(clear, "referral_id", subject)
    return getattr(clear, "notice_id", subject) if message.lane is Lane.NOTICE else subject
