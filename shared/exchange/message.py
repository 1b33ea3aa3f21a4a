"""The two shapes a message has outside Kafka: a `Draft` on its way out, a `Received` on its way in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.contracts.base import Contract
from shared.contracts.decision import Edge
from shared.contracts.items import AnsweredSoFar
from shared.contracts.passing import ReferralPassedOnSealed
from shared.contracts.referral import EdgeSealed
from shared.contracts.registry import MessageType
from shared.envelope.batch import message_digest
from shared.envelope.headers import decode_headers
from shared.exchange.spelt import Spelt
from shared.guard.edition import passed
from shared.kernel.clock import rfc3339
from shared.kernel.errors import Refused

_RECORD_CONTEXT: Final = b"causeway-record/v1\n"


@dataclass(frozen=True, slots=True)
class Draft:
    """A message sealed and addressed, not yet stamped: no sequence, no signature.

    `sender` and `recipient` are party ids, or instance ids for receipts and facts. `decided_at` is set
    where the message carries an edge: the relay has a stale one decided again before stamping it. `traceparent` is
    the trace that caused the message; what is sent of it the outbox decides. `guard` is what it states of the guard.
    """

    message_id: UUID
    message: MessageType
    subject: str
    sender: str
    recipient: str
    recipient_instance: str
    topic: str
    exercise: bool
    body: bytes
    created_at: datetime
    decided_at: datetime | None = None
    traceparent: str | None = None
    guard: str = field(default_factory=passed)


@dataclass(frozen=True, slots=True)
class Record:
    """What Kafka holds, exactly: coordinates, broker time, key, headers and value as bytes.

    With `time_stated`, the broker has passed on a time that the producer stated: then it is nobody's to rely on.
    `topic_id` says which life of its topic it is of, where the reader knows.
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


def told_digest(record: Record) -> str:
    """The digest that a record is told of by: its message's, or its own where nobody can read of which it is."""
    try:
        envelope = decode_headers(record.headers, record.value or b"")
    except Refused:
        return record_digest(record)
    return message_digest(envelope.attributes, envelope.body)


class Copy(NamedTuple):
    """One copy of a message in its topic, as a receipt names it. `topic_id` is left out where the reader lacks it."""

    offset: int
    broker_time: datetime
    topic_id: UUID | None = None

    def as_json(self) -> dict[str, object]:
        stated: dict[str, object] = {"offset": self.offset, "broker_time": rfc3339(self.broker_time)}
        return stated if self.topic_id is None else stated | {"topic_id": str(self.topic_id)}


@dataclass(frozen=True, slots=True)
class Received:
    """A message that passed every check of `accept`. `sealed` is opened and guarded.

    `plaintext` is the sealed part as it came. Where the message carries an edge, `edge` is that, derived again, and
    `sealed` the record that came with it; `spelt` is both as they came, and `again` what was answered so far, where the
    edge was sent before to where its recipient was then. `moved`: the recipient is served elsewhere by now.
    """

    record: Record
    message_id: UUID
    message: MessageType
    subject: str
    sender: str
    sender_instance: str
    recipient: str
    epoch: UUID
    sequence: int
    digest: str
    exercise: bool
    clear: Contract
    sealed: Contract | None
    sent_at: datetime
    traceparent: str | None
    edge: Edge | None = None
    again: AnsweredSoFar | None = None
    moved: bool = False
    spelt: Spelt | None = None
    carried: EdgeSealed | None = None
    plaintext: bytes | None = None

    @property
    def filed_by(self) -> str:
        """Whose the subject is: its sender's, but where an agency passes on what another has filed."""
        if isinstance(self.carried, ReferralPassedOnSealed):
            return self.carried.edge.facts.origin or self.sender
        return self.sender
