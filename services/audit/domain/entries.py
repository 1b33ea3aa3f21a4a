"""The records that audit keeps: entries without a body, with the edges that they state, and outcomes. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from shared.core.authority import Authority, Permit, Role


class EntryKind(StrEnum):
    """The kind of an entry: that of a record, or audit's own for a loss or a conflict."""

    RECORD = "record"
    DECISION = "decision"
    REFUSAL = "refusal"
    REVIEWED = "reviewed"
    #: Outcomes of messages, as reported by the instance to which the messages are addressed.
    OUTCOMES = "outcomes"
    REVEALED = "revealed"
    #: Audit's own: records that a topic no longer held when audit read on.
    LOSS = "loss"
    #: Audit's own: two records at one offset of one topic id, or two messages under one number of a stream.
    CONFLICT = "conflict"
    NOT_ENTITLED = "not_entitled"
    #: Bytes that are no message.
    UNREADABLE = "unreadable"
    #: A message whose sender's proof does not hold.
    UNPROVEN = "unproven"


#: Entries of records without a proven writer. The number of such records has no limit.
NOBODYS: Final = frozenset({EntryKind.UNREADABLE, EntryKind.UNPROVEN})
#: The problem of a conflict of two messages under one number. A conflict of two records at one offset has another.
NUMBER_TAKEN: Final = "number_taken"
#: The problems of a proven record that a later release can read. Audit stores only the members that all records have.
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


class AuditDecision(NamedTuple):
    """One decision of a message, as audit stores it. `detail` is the JSON of the decision without its edges.

    `entitled`: the sender may speak for the origin. Otherwise `detail` has only the party that the decision names.
    `origin` is None if the decision could not be opened or read; `problem` names that or another error. `links` are
    the edges. `disposition` is None if only the referral's id could be read.
    """

    referral_id: UUID
    detail: str
    disposition: str | None = None
    origin: str | None = None
    entitled: bool = True
    problem: str | None = None
    links: tuple[Link, ...] = ()


class AuditEntry(NamedTuple):
    """One Kafka record: its coordinates, its claims, and whether its sender's proof was valid. It has no body.

    `problem` is the reason why the proof was invalid, or the error in the statement of a proven record. `digest` is
    the leaf of the message, or the digest of the whole record if it has no number (`record_digest`), in 64
    hexadecimal digits. `writer` to `chain` are the place of a message in the streams of its pair and the chain after
    it (32 bytes). They are None for a record without a number. `exercise` is the record's claim, None if it cannot be
    read. `detail` is the JSON of a fact. `edge_id` and `commitment` are those of a message that carries an edge, `act`
    that of a message on a track. An entry `not_entitled` was signed by its sender, which may not make the statement.
    `salt` is the start of its leaf, `proof_id` and `proof` are the content proof of its segment (`SharedProof`).
    `decisions` are those of the message, in its order. `problem` is then one for which a later release must read the
    message again, or one that applies to all decisions.
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
    act: UUID | None = None
    salt: bytes | None = None
    proof_id: UUID | None = None
    proof: bytes | None = None
    decisions: tuple[AuditDecision, ...] = ()


def folded_as(entry: AuditEntry) -> str | None:
    """Return the reason under which a record is counted by the day; None for a record that has its own entry.

    Only records without a number are counted, because no instance has proven that it wrote them. The first record of a
    day and a reason also has an entry.
    """
    return entry.problem if entry.kind in NOBODYS and entry.number is None else None


class ReportedOutcome(NamedTuple):
    """The outcome of one message of `writer`, as reported by its addressee `reported_by`.

    `report_id` is the reporting message, at `number` of its stream; `position` is the index in its list, from 0.
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
    """A numbered message that audit did not store. If audit has another one under its number, that is a conflict.

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
    """The last number of one lane that a pair's addressee acknowledged, and its chain there (32 bytes)."""

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
    """The last number of one lane that a pair's addressee took in a closed incarnation, and its chain (32 bytes)."""

    writer: str
    addressee: str
    incarnation: UUID
    lane: int
    number: int
    chain: bytes
    stated_at: datetime


@dataclass(slots=True)
class AuditBatch:
    """A batch of records as audit stores it."""

    entries: list[AuditEntry] = field(default_factory=list)
    dropped: list[DroppedMessage] = field(default_factory=list)
    outcomes: list[ReportedOutcome] = field(default_factory=list)
    acknowledgements: list[Acknowledgement] = field(default_factory=list)
    stream_ends: list[StreamEnd] = field(default_factory=list)
    closed_ends: list[ClosedEnd] = field(default_factory=list)


AUTHORITY = Authority(
    tuple(Permit(kind, "read", frozenset({Role.AUDITOR}), frozenset({"any"})) for kind in ("flow", "entry", "topic"))
)
