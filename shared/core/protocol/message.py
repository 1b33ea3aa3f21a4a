"""The two forms of a message outside Kafka: a `Draft` before sending, a `Received` after arrival.

A sealed part has exactly one JSON text for each value, so the received bytes can be stored. `compose` builds the clear
part and the plaintext of the sealed part, addressed by the directory but not sealed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from pydantic_core import from_json, to_json

from shared.core.canonical import Json
from shared.core.clock import coarse
from shared.core.contracts.base import Contract
from shared.core.contracts.case_referral import ReferralPassedOnSealed
from shared.core.contracts.decision import Edge
from shared.core.contracts.facts import RecordRevealedClear
from shared.core.contracts.items import AnswerTrack
from shared.core.contracts.referral import EdgeSealed
from shared.core.contracts.registry import RECORD_REVEALED, STATED_BY_INSTANCES, MessageType
from shared.core.envelope.attributes import Attributes, Envelope, Tier
from shared.core.envelope.content_proof import MessageProof, SharedProof
from shared.core.envelope.headers import covered_headers
from shared.core.envelope.segment_sealing import OpenedPart, SealContext, check_sealable
from shared.core.errors import Refused, not_found
from shared.core.guard.edition import passed
from shared.core.guard.envelope_limits import BODY_BYTES_MAX, SEALED_NODES_MAX
from shared.core.ids import coarse_uuid7, parse_uuid
from shared.core.protocol.authority import AUDIT
from shared.core.routing.directory_index import DirectoryIndex

_BEFORE_EDGE: Final = b',"edge":'


class WireForm(NamedTuple):
    """An edge and its record, each as the JSON text that its origin wrote, byte for byte."""

    edge: bytes
    record: bytes


def check_spelt(plaintext: bytes, tree: Json) -> None:
    """Raise `Refused` unless `plaintext` is the compact JSON of `tree`, without needless escapes.

    Otherwise unchecked bytes would be stored with it: the guard sees values, not their encoding.
    """
    if to_json(tree) != plaintext:
        raise Refused("guard_refused", "not in compact JSON form", field="/sealed")


def is_plain(plaintext: bytes, tree: Json) -> bool:
    """Return whether a valid sealed part certainly passes `parse_body` and `check_spelt`.

    `tree` was parsed from it. Contracts are closed and limit the depth and each text, number and list. So only the size
    and the number of values remain to be checked. There are no more values than commas and opening brackets. A repeated
    name is in the tree once.
    """
    values = 1 + plaintext.count(b",") + plaintext.count(b"{") + plaintext.count(b"[")
    return len(plaintext) <= BODY_BYTES_MAX and values <= SEALED_NODES_MAX and to_json(tree) == plaintext


def spelt_parts(plaintext: bytes, salt: str) -> WireForm:
    """Return edge and record of a valid sealed part in compact form, with this salt.

    Raises `Refused("edge_not_reproducible")` if its members are in another order than `sealed_of` writes. No string of
    it contains the separators, because quotes are escaped in strings.
    """
    between = b',"salt":"%s","record":' % salt.encode()
    begins = plaintext.find(_BEFORE_EDGE)
    ends = plaintext.find(between, begins)
    if not plaintext.startswith(b'{"decision":') or begins < 0 or ends < 0:
        raise Refused("edge_not_reproducible", "its members are in another order", field="/sealed")
    return WireForm(plaintext[begins + len(_BEFORE_EDGE) : ends], plaintext[ends + len(between) : -1])


# The plaintext is never shown. Not frozen: thousands are built a second, and a frozen class costs three times as much.
@dataclass(slots=True, kw_only=True, repr=False)
class Draft:
    """A message that is addressed and not sealed: the end of its transaction seals and numbers it.

    `sender` and `recipient` are party ids, or instance ids for facts. `recipient_instance` is the receiving peer.
    `clear` is JSON. `plaintext` and `context` are None for a message without a sealed part. `decided_at` is set if the
    message carries an edge. `traceparent` is the trace that caused the message. `guard` is the guard's edition in the
    message. `is_p0`: it shows its recipient a child at risk, so it goes in the urgent lane. `origin`: the referral of a
    notice, if the sender knows it. Messages are grouped by it, and it is never sent.
    """

    message_id: UUID
    message: MessageType
    subject: str
    sender: str
    recipient: str
    recipient_instance: str
    exercise: bool
    clear: Mapping[str, object]
    created_at: datetime
    plaintext: bytes | None = None
    context: SealContext | None = None
    decided_at: datetime | None = None
    traceparent: str | None = None
    guard: str = field(default_factory=passed)
    is_p0: bool = False
    origin: UUID | None = None

    def __repr__(self) -> str:
        return f"Draft({self.message.type}, {self.message_id})"


class DecodedHeaders(NamedTuple):
    """The headers of a verified record, and the digest of its leaf in hexadecimal form."""

    envelope: Envelope
    digest: str


# Not frozen, for the same reason as a draft.
@dataclass(slots=True)
class Record:
    """The exact data in Kafka (coordinates, time, key, headers, value) and the results of its proofs.

    With `time_stated`, the broker time was stated by the producer and is not used. `topic_id` is that of the topic when
    the record was read, if known. `writer` is the instance that wrote the stream, proven by the place signature. `wrap`
    is the encapsulated data key of the record's group, `salt` the start of its leaf. `proof` is its content proof, None
    if the content signature is invalid. `decoded` has its headers, if the reader has decoded them, and `shared` the
    proof of its segment, if it has just arrived.
    """

    topic: str
    partition: int
    offset: int
    broker_time: datetime
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None
    time_stated: bool = False
    topic_id: UUID | None = None
    writer: str = ""
    wrap: bytes = b""
    proof: MessageProof | None = None
    salt: bytes = b""
    decoded: DecodedHeaders | None = field(default=None, repr=False, compare=False)
    shared: SharedProof | None = field(default=None, repr=False, compare=False)


@dataclass(slots=True)
class Received:
    """A message that passed every check of `accept`. `sealed` is opened and guarded.

    `digest` is the hexadecimal form of its leaf, as in chains, audit and evidence. `opened` is the sealed part as it
    arrived. If the message carries an edge, `edge` is that edge, derived again, and `sealed` its record. `spelt` has
    both as they arrived. `again` has the answers so far, if the edge was sent before to a former instance.
    `moved`: another instance serves the recipient now. `spent`: the cost of `sealed` in sixteenths of a bit.
    """

    record: Record
    message_id: UUID
    message: MessageType
    subject: str
    sender: str
    sender_instance: str
    recipient: str
    digest: str
    exercise: bool
    clear: Contract
    sealed: Contract | None
    sent_at: datetime
    traceparent: str | None
    edge: Edge | None = None
    again: AnswerTrack | None = None
    moved: bool = False
    spelt: WireForm | None = None
    carried: EdgeSealed | None = None
    opened: OpenedPart | None = None
    spent: int = 0

    @property
    def subject_id(self) -> UUID:
        """The id of the subject."""
        return parse_uuid(self.subject)

    @property
    def filed_by(self) -> str:
        """The party that submitted the subject: the sender, unless an agency passes on a referral."""
        if isinstance(self.carried, ReferralPassedOnSealed):
            return self.carried.edge.facts.origin or self.sender
        return self.sender


#: Values of these types are plain JSON. Most clear parts contain only these.
_PLAIN: Final = frozenset({str, int})
#: The clear part, as its contract or as JSON.
Clear = Mapping[str, object] | Contract


class Addressing(NamedTuple):
    """Sender, recipient, subject and time of a message.

    The times and `traceparent` are those of its draft. `place` is the receiving instance, if it is not the one that
    serves the recipient now. `released`: a second review released a record above its budget. `is_p0`: the message shows
    the recipient a child at risk. `origin`: the referral by which messages are grouped. A message never states it.
    """

    subject: UUID
    sender: str
    recipient: str
    directory: DirectoryIndex
    exercise: bool
    at: datetime
    decided_at: datetime | None = None
    traceparent: str | None = None
    place: str | None = None
    released: bool = False
    is_p0: bool = False
    origin: UUID | None = None


def compose(message: MessageType, clear: Clear, addressing: Addressing, *, sealed: bytes | None = None) -> Draft:
    """Address one message under a new id. `sealed` is the plaintext of its sealed part.

    Raises `Refused("recipient_unknown")` when the directory has no such recipient or no key to seal for it,
    `Refused("sender_unknown")` when it has no such sender, `Refused("sealed_too_large")` for too much to seal.
    """
    message_id, subject = coarse_uuid7(addressing.at), str(addressing.subject)
    directory, sender, recipient = addressing.directory, addressing.sender, addressing.recipient
    served_by = directory.instance if message.family in STATED_BY_INSTANCES else directory.instance_of
    instance = served_by(recipient) if addressing.place is None else directory.instance(addressing.place)
    if instance is None:
        raise Refused("recipient_unknown", field="/recipient")
    if served_by(sender) is None:
        raise Refused("sender_unknown", field="/sender")
    stated = _stated(clear)
    context = None
    if sealed is not None:
        if directory.sealing_key(instance.id, addressing.at) is None:
            raise Refused("recipient_unknown", field="/recipient")
        check_sealable(sealed)
        context = seal_context(message, message_id, subject, clear=stated, sender=sender, recipient=recipient)
    return Draft(
        message_id=message_id,
        message=message,
        subject=subject,
        sender=sender,
        recipient=recipient,
        recipient_instance=instance.id,
        exercise=addressing.exercise,
        clear=stated,
        plaintext=sealed,
        context=context,
        created_at=addressing.at,
        decided_at=addressing.decided_at,
        traceparent=addressing.traceparent,
        guard=passed(released=addressing.released),
        is_p0=addressing.is_p0,
        origin=addressing.origin,
    )


def _stated(clear: Clear) -> dict[str, object]:
    """Return the clear part as plain JSON values: ids, times and codes as text."""
    if isinstance(clear, Contract):
        return clear.model_dump(mode="json", exclude_none=True)
    if all(type(each) in _PLAIN for each in clear.values()):
        return {**clear}
    stated: dict[str, object] = from_json(to_json(clear))
    return stated


def headers_of(draft: Draft, *, instance: str) -> tuple[tuple[str, str], ...]:
    """Return the covered headers of a draft that `instance` sends. Raises `Refused("header_malformed")`."""
    attributes = Attributes(
        id=draft.message_id,
        type=draft.message.type,
        source=f"/instances/{instance}",
        time=coarse(draft.created_at),
        subject=draft.subject,
        dataschema=draft.message.schema,
        sender=draft.sender,
        recipient=draft.recipient,
        tier=Tier.HOSTED,
        exercise=draft.exercise,
        guard=draft.guard,
    )
    return covered_headers(attributes)


def compose_reachable(
    message: MessageType, clear: Clear, addressing: Addressing, *, sealed: bytes | None = None
) -> list[Draft]:
    """Compose a message, or none if its recipient has left: an act does not depend on an absent recipient."""
    if addressing.directory.instance_of(addressing.recipient) is None:
        return []
    return [compose(message, clear, addressing, sealed=sealed)]


def seal_context(
    message: MessageType, message_id: UUID, subject: str, *, clear: Mapping[str, object], sender: str, recipient: str
) -> SealContext:
    """Return the data that binds a sealed part to its message, the same on both sides.

    No revision counts as 0.
    """
    revision = clear.get("revision", 0)
    assert isinstance(revision, int)
    return SealContext(
        schema=message.schema,
        message_id=message_id,
        subject=subject,
        revision=revision,
        sender=sender,
        recipient=recipient,
    )


def compose_fact(
    message: MessageType,
    clear: Clear,
    *,
    subject: UUID,
    instance: str,
    directory: DirectoryIndex,
    exercise: bool,
    at: datetime,
    traceparent: str | None = None,
    sealed: bytes | None = None,
) -> Draft:
    """Compose a fact for audit alone, stated by the instance itself.

    `sealed` is the plaintext of its sealed part.
    """
    addressing = Addressing(
        subject=subject,
        sender=instance,
        recipient=AUDIT,
        directory=directory,
        exercise=exercise,
        at=at,
        traceparent=traceparent,
    )
    return compose(message, clear, addressing, sealed=sealed)


def compose_revealed(
    subject: UUID, opened: RecordRevealedClear, *, exercise: bool, directory: DirectoryIndex, at: datetime
) -> Draft:
    """Compose the fact that a referral or notice, `subject`, was opened at `at`.

    It is sent with the access. Raises `Refused("not_found")` for a party that no instance serves.
    """
    instance = directory.instance_of(opened.party)
    if instance is None:
        raise not_found()
    return compose_fact(
        RECORD_REVEALED, opened, subject=subject, instance=instance.id, directory=directory, exercise=exercise, at=at
    )
