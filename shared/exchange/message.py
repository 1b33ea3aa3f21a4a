"""The two shapes a message has outside Kafka: a `Draft` on its way out, a `Received` on its way in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared.contracts.base import Contract
from shared.contracts.decision import Edge
from shared.contracts.items import AnsweredSoFar
from shared.contracts.passing import ReferralPassedOnSealed
from shared.contracts.referral import EdgeSealed
from shared.contracts.registry import MessageType
from shared.envelope.content_proof import MessageProof
from shared.envelope.headers import Envelope
from shared.envelope.segment_sealing import OpenedPart, SealContext
from shared.exchange.spelt import Spelt
from shared.guard.edition import passed


# A plaintext is never shown. It is not frozen: thousands a second are made, and a frozen one costs three times as much.
@dataclass(slots=True, kw_only=True, repr=False)
class Draft:
    """A message that is addressed and not sealed: the last step of its transaction seals, proves and numbers it.

    `sender` and `recipient` are party ids, or instance ids for facts. `recipient_instance` is the peer that is told.
    `clear` is JSON. `plaintext` and `context` are None for a message without a sealed part. `decided_at` is set where
    the message carries an edge. `traceparent` is the trace that caused the message. `guard` is the guard's edition, as
    the message states it. `is_p0`: its recipient is told of a child at risk, so it goes in the urgent lane. `origin`:
    the referral of a notice, if the sender knows it; messages are grouped by it, and it is never sent.
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


# Not frozen, as a draft is not.
@dataclass(slots=True)
class Record:
    """What Kafka holds, exactly: coordinates, broker time, key, headers and value as bytes; and what was proven of it.

    With `time_stated`, the broker has passed on a time that the producer stated: nothing relies on it then. `topic_id`
    is that of the topic when the record was read, where the reader knows it. `writer` is the instance that wrote the
    stream: the place signature proves it. `wrap` is the encapsulated data key of the record's group, `salt` the start
    of its leaf. `proof` is its content proof, None where the content signature does not hold. `decoded`: its headers,
    where the reader has decoded them.
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


@dataclass(slots=True)
class Received:
    """A message that passed every check of `accept`. `sealed` is opened and guarded.

    `digest` is the hexadecimal form of its leaf, as chains, audit and evidence have it.
    `opened` is the sealed part as it came. Where the message carries an edge, `edge` is that, derived again, and
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
    opened: OpenedPart | None = None

    @property
    def filed_by(self) -> str:
        """Whose the subject is: its sender's, but where an agency passes on what another has filed."""
        if isinstance(self.carried, ReferralPassedOnSealed):
            return self.carried.edge.facts.origin or self.sender
        return self.sender
