"""What arrives, as the recipient's stores keep it: messages, outcomes, what waits, what is parked, and cursors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.exchange.message import Copy, Record
from shared.kernel.clock import rfc3339
from shared.vocabulary.answers import ReceiptOutcome

#: Outcomes that are the last word about a message. Of any other its sender's row lives on.
FINAL: Final = frozenset({ReceiptOutcome.APPLIED, ReceiptOutcome.REFUSED, ReceiptOutcome.MOVED})


@dataclass(frozen=True, slots=True)
class Arrival:
    """A verified message as the inbox keeps it: no body. `digest` covers all of it: it is the message's identity.

    `said` is the id of what it says, an edge's or an act's, `content` the digest of that, `revision` that of its edge:
    each None where it names none. `topic_id` is None where the reader does not know it.
    """

    message_id: UUID
    sender: str
    sender_instance: str
    recipient: str
    epoch: UUID
    sequence: int
    type: str
    subject: str
    digest: str
    topic: str
    partition: int
    offset: int
    broker_time: datetime
    topic_id: UUID | None = None
    said: UUID | None = None
    content: str | None = None
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message; `need` is what it lacks, where that is not its last word."""

    message_id: UUID
    outcome: ReceiptOutcome
    code: str | None = None
    need: str | None = None


class Stored(NamedTuple):
    """What the inbox knows of a message that came before: its last word, and the copy of it that was judged."""

    outcome: ReceiptOutcome
    code: str | None
    judged: Copy


@dataclass(frozen=True, slots=True)
class Admission:
    """What the inbox says of arrivals, by digest. Every arrival is in exactly one of the three.

    `fresh` are new, or came before without a last word: they are in the inbox from now on, and judged by this copy.
    `done` were there before, with their stored outcome. `reused` are other messages under an id or a sequence number
    that is taken, with the code that says which.
    """

    fresh: frozenset[str]
    done: dict[str, Stored]
    reused: dict[str, str]


class Held(NamedTuple):
    """The newest of what was applied of one edge, or of one act: its revision (None: it has none) and its content."""

    revision: int | None
    content: str | None


@dataclass(frozen=True, slots=True)
class Awaited:
    """A message that waits here, whole, until what it needs has come."""

    arrival: Arrival
    need: str
    record: Record


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a topic was taken: `following` is the offset to go on at, `tail` the digest of the record before it.

    `topic_id` names one life of the topic: offsets mean nothing in another.
    """

    topic: str
    partition: int
    topic_id: UUID
    following: int
    tail: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A cursor's move over what was read of one partition, from offset `first` on; `after` is the cursor behind it."""

    first: int
    after: Cursor


class Superseded(Exception):
    """Another process has moved a cursor of this batch: it is not ours to apply."""


@dataclass(frozen=True, slots=True)
class Parked:
    """What goes into quarantine. `record` is kept only where signature and guard both passed; the adapter encrypts it.

    `same` is what makes two of them one row that counts: of a message its digest, of junk, and of what an instance says
    itself, the topic, the reason and the hour. The place is that of the first; the broker's time is part of it, since
    a topic that was made again counts its offsets anew. `topic_id` is None where the reader does not know it.
    `digest` is what the record is told of by (`told_digest`).
    """

    same: str
    topic: str
    topic_id: UUID | None
    partition: int
    offset: int
    broker_time: datetime
    length_bytes: int
    digest: str
    reason: str
    sender: str | None
    message_id: UUID | None
    record: Record | None

    def fact(self) -> dict[str, object]:
        """What audit is told of it (`MessageParked`)."""
        told: dict[str, object] = {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "broker_time": rfc3339(self.broker_time),
            "digest": self.digest,
            "reason": self.reason,
        }
        if self.topic_id is not None:
            told["topic_id"] = str(self.topic_id)
        if self.sender is not None:
            told["sender"] = self.sender
        if self.message_id is not None:
            told["message_id"] = str(self.message_id)
        return told
