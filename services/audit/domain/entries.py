"""The records that audit keeps: entries without a body, with the edges that they state, and outcomes. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from shared.kernel.authority import Authority, Permit, Role


class EntryKind(StrEnum):
    """What an entry is about. The ledger adds the kinds that arise outside Kafka and outside audit's reading."""

    RECORD = "record"
    DECISION = "decision"
    REFUSAL = "refusal"
    REVIEWED = "reviewed"
    #: What became of messages, as the instance that they are addressed to reports it.
    OUTCOMES = "outcomes"
    REVEALED = "revealed"
    #: Audit's own: what a topic no longer held when audit came to read it.
    LOSS = "loss"
    #: Audit's own: two records at one offset of one life of a topic, or two messages under one number of a stream.
    CONFLICT = "conflict"
    NOT_ENTITLED = "not_entitled"
    #: Bytes that are no message.
    UNREADABLE = "unreadable"
    #: A message whose sender's proof does not hold.
    UNPROVEN = "unproven"


#: Entries of records that nobody may have written. Without a number, such records can come without end.
NOBODYS: Final = frozenset({EntryKind.UNREADABLE, EntryKind.UNPROVEN})
#: The problem of a conflict of two messages under one number. A conflict of two records at one offset has another.
NUMBER_TAKEN: Final = "number_taken"
#: What audit says of a proven record that a later release will read: it keeps what all say, and no more.
UNREAD: Final = frozenset({"type_unknown", "version_unknown", "code_unknown", "engine_unknown"})


class Link(NamedTuple):
    """One edge of a decision, as the origin of the decision states it.

    A message of that origin that carries `edge_id` belongs to the referral of the decision. The statement says nothing
    about messages of other senders. `commitment` is the value that the message must state, 64 hexadecimal digits.
    `rules` are separated by commas; empty if the decision was not derived.
    """

    edge_id: UUID
    recipient: str
    purpose: str
    rules: str
    commitment: str


class KeptDecision(NamedTuple):
    """One decision that a message states, as audit keeps it; `detail` is JSON: what it states, without its edges.

    `entitled`: its sender may speak for the origin; otherwise only whom it speaks of is kept. `origin` is None where
    the decision could not be opened or read. `problem` says that, or what is wrong with it. `links` are its edges.
    `disposition` is None where nothing but the id of the referral could be read.
    """

    referral_id: UUID
    detail: str
    disposition: str | None = None
    origin: str | None = None
    entitled: bool = True
    problem: str | None = None
    links: tuple[Link, ...] = ()


class Entry(NamedTuple):
    """One Kafka record: its coordinates, what it claims, and whether its sender's proof held. No body.

    `problem` says why the proof did not hold, or what is wrong with what a proven record states. `digest` is the leaf
    of the message, or that of the whole record for one without a number (`record_digest`), 64 hexadecimal digits.
    `writer` to `chain` are the place of a message in the streams of its pair and the chain after it (32 bytes); None
    for a record without a number. `exercise` is what the record says, None where it cannot be read. `detail` is JSON:
    what a fact states. `edge_id` and `commitment` are those of a message that carries an edge. One that is not
    entitled is its sender's own, and speaks of what is not. `key_id` to `salt` are the content proof, without the
    record (`MessageProof`): `path` has 0 to 8 hashes of 32 bytes. `decisions` are those of a message that states some,
    in its order; `problem` is then one for which a later release is to read it again, or that of them all.
    """

    topic: str
    topic_id: UUID
    partition: int
    offset: int
    broker_time: datetime
    kind: EntryKind
    digest: str
    verified: bool
    problem: str | None = None
    writer: str | None = None
    addressee: str | None = None
    incarnation: UUID | None = None
    lane: int | None = None
    number: int | None = None
    chain: bytes | None = None
    message_id: UUID | None = None
    type: str | None = None
    subject: str | None = None
    sender: str | None = None
    recipient: str | None = None
    exercise: bool | None = None
    detail: str | None = None
    edge_id: UUID | None = None
    commitment: str | None = None
    key_id: str | None = None
    signature: bytes | None = None
    tree_size: int | None = None
    leaf_position: int | None = None
    path: bytes | None = None
    salt: bytes | None = None
    decisions: tuple[KeptDecision, ...] = ()


def folded_as(entry: Entry) -> str | None:
    """The reason under which a record is counted by the day, instead of having an entry each time; None for all else.

    Only records without a number are counted so: no instance has proven to have written them. The first of a day and a
    reason has an entry as well.
    """
    return entry.problem if entry.kind in NOBODYS and entry.number is None else None


class ReportedOutcome(NamedTuple):
    """The outcome of one message of `writer`, as `reported_by`, which it was addressed to, reports it.

    `report_id` is the message that reports it, at `number` of its stream; `position` is that in its list, from 0.
    """

    message_id: UUID
    writer: str
    reported_by: str
    outcome: str
    code: str | None
    report_id: UUID
    position: int
    number: int
    reported_at: datetime


class DroppedMessage(NamedTuple):
    """A numbered message that audit did not take. If audit has another one under its number, that is a conflict.

    `digest`: the leaf of the message, 64 hexadecimal digits. `topic` to `broker_time` are those of its record.
    """

    writer: str
    addressee: str
    incarnation: UUID
    lane: int
    number: int
    digest: str
    topic: str
    partition: int
    offset: int
    broker_time: datetime


class Acknowledgement(NamedTuple):
    """The last number of one lane that a pair's addressee has taken, and its chain there (32 bytes)."""

    writer: str
    addressee: str
    incarnation: UUID
    lane: int
    through: int
    chain: bytes
    acked_at: datetime


class StreamEnd(NamedTuple):
    """The last numbers of a pair's streams, as their writer states them."""

    writer: str
    addressee: str
    incarnation: UUID
    urgent_last: int
    ordinary_last: int
    stated_at: datetime


class ClosedEnd(NamedTuple):
    """Where a pair's addressee left one lane of a closed incarnation: the number, and the chain there (32 bytes)."""

    writer: str
    addressee: str
    incarnation: UUID
    lane: int
    number: int
    chain: bytes
    stated_at: datetime


@dataclass(slots=True)
class Read:
    """A batch of records as audit keeps it."""

    entries: list[Entry] = field(default_factory=list)
    dropped: list[DroppedMessage] = field(default_factory=list)
    outcomes: list[ReportedOutcome] = field(default_factory=list)
    acknowledgements: list[Acknowledgement] = field(default_factory=list)
    stream_ends: list[StreamEnd] = field(default_factory=list)
    closed_ends: list[ClosedEnd] = field(default_factory=list)


AUTHORITY = Authority(
    (
        Permit("flow", "read", frozenset({Role.AUDITOR}), frozenset({"any"})),
        Permit("entry", "read", frozenset({Role.AUDITOR}), frozenset({"any"})),
        Permit("topic", "read", frozenset({Role.AUDITOR}), frozenset({"any"})),
    )
)
