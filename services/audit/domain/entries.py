"""What audit keeps: entries without a body, the links that make flows of them, which numbers it has seen. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from shared.contracts.registry import MARKS, name_of
from shared.kernel.authority import Authority, Permit, Role


class EntryKind(StrEnum):
    """What an entry is about. The ledger adds the kinds that arise outside Kafka and outside audit's reading."""

    RECORD = "record"
    DECISION = "decision"
    REFUSAL = "refusal"
    REVIEWED = "reviewed"
    PARKED = "parked"
    RECEIPT = "receipt"
    REVEALED = "revealed"
    EPOCH = "epoch"
    #: Audit's own: what a topic no longer held when audit came to read it.
    LOSS = "loss"
    #: Audit's own: two records at one place of one life of a topic.
    CONFLICT = "conflict"
    NOT_ENTITLED = "not_entitled"
    #: What is nobody's: bytes that are no message, and what no proof of anybody's is for.
    UNREADABLE = "unreadable"
    UNPROVEN = "unproven"


#: Who may write to a topic can write of these without end, in nobody's name.
NOBODYS: Final = frozenset({EntryKind.UNREADABLE, EntryKind.UNPROVEN})
#: What audit says of a proven record that a later release will read: it keeps what all say, and no more.
UNREAD: Final = frozenset({"type_unknown", "version_unknown", "code_unknown", "engine_unknown"})
#: The reason under which marks are counted.
MARKED: Final = "marks"


class Entry(NamedTuple):
    """One Kafka record: where it is, what it claims, whether its sender's proof held then. No body, nothing personal.

    `problem` says why the proof did not hold, or what is wrong with what a proven record states. `digest` is the
    message's, or that of the whole record where its headers cannot be read (`record_digest`). `exercise` is what the
    record says, None where it cannot be read; `recipient_instance` serves the recipient, if anybody does. `detail` is
    JSON: what a fact states. `edge_id` and `commitment` are those of a message that carries an edge. One that is not
    entitled is its sender's own, and speaks of what is not. `batch_root` (32 bytes) to `batch_path` (0 to 16 hashes of
    32 bytes) are the sender's batch proof as it came, of the digest: all that a leaf of the coming log needs.
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
    message_id: UUID | None = None
    type: str | None = None
    subject: str | None = None
    sender: str | None = None
    recipient: str | None = None
    recipient_instance: str | None = None
    exercise: bool | None = None
    epoch: UUID | None = None
    sequence: int | None = None
    previous_epoch: UUID | None = None
    previous_last: int | None = None
    key_id: str | None = None
    detail: str | None = None
    edge_id: UUID | None = None
    commitment: str | None = None
    batch_root: bytes | None = None
    batch_signature: bytes | None = None
    batch_index: int | None = None
    batch_size: int | None = None
    batch_path: bytes | None = None


def folded_as(entry: Entry) -> str | None:
    """The reason under which it is counted by the day, instead of having an entry each time; None for all else.

    Marks of whatever version whose proof held: they say only what is, and the next say it again. What is nobody's,
    under what is wrong with it: of that the first of a day and a reason has an entry as well.
    """
    if entry.kind in NOBODYS:
        return entry.problem
    said = entry.verified and entry.problem in (None, "version_unknown")
    return MARKED if said and name_of(entry.type or "") == MARKS.name else None


class Link(NamedTuple):
    """An edge of a decision as its origin stated it: a message with its id is about the referral.

    It is its `origin`'s word, and counts for messages of that origin alone. `commitment` is what that message must
    state. `rules` are separated by commas; empty where the decision did not derive.
    """

    edge_id: UUID
    referral_id: UUID
    origin: str
    recipient: str
    purpose: str
    rules: str
    commitment: str


class Receipted(NamedTuple):
    """What a receipt said about one message, in its entry number `position`, from 0.

    `topic_id`, where its recipient knows it, `offset` and `broker_time` are those of the copy that it judged.
    """

    message_id: UUID
    receipt_id: UUID
    position: int
    by: str
    digest: str
    outcome: str
    code: str | None
    edge_id: UUID | None
    revision: int | None
    topic_id: UUID | None
    offset: int
    broker_time: datetime


class NumbersAre(StrEnum):
    """What is known of a span of numbers."""

    TAKEN = "taken"
    GIVEN = "given"
    GONE = "gone"


class Numbers(NamedTuple):
    """Numbers `first` to `last` of (sender, recipient, epoch), counted by `instance`.

    `own`: by the directory of its time the instance speaks for the sender, to a recipient that there is. It is asked
    only where nothing is known of these numbers yet: a party that has moved leaves them with the instance that gave
    them.
    """

    sender: str
    recipient: str
    epoch: UUID
    instance: str
    topic: str
    what: NumbersAre
    first: int
    last: int
    own: bool = True


class Asked(NamedTuple):
    """An instance asks for marks that name this nonce."""

    instance: str
    nonce: UUID


@dataclass(slots=True)
class Read:
    """A batch of records as audit keeps it."""

    entries: list[Entry] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    receipted: list[Receipted] = field(default_factory=list)
    numbers: list[Numbers] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)


AUTHORITY = Authority(
    (
        Permit("flow", "read", frozenset({Role.AUDITOR}), frozenset({"any"})),
        Permit("entry", "read", frozenset({Role.AUDITOR}), frozenset({"any"})),
        Permit("topic", "read", frozenset({Role.AUDITOR}), frozenset({"any"})),
    )
)
