"""The two shapes a message has outside Kafka: a `Draft` on its way out, a `Received` on its way in.

How a sealed part is spelt: one JSON text for one value, so that what is kept of it are the bytes that came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic_core import to_json

from shared.contracts.base import Contract
from shared.contracts.decision import Edge
from shared.contracts.items import AnsweredSoFar
from shared.contracts.passing import ReferralPassedOnSealed
from shared.contracts.referral import EdgeSealed
from shared.contracts.registry import MessageType
from shared.envelope.content_proof import MessageProof
from shared.envelope.headers import Envelope
from shared.envelope.segment_sealing import OpenedPart, SealContext
from shared.guard.edition import passed
from shared.guard.envelope_limits import BODY_BYTES_MAX, SEALED_NODES_MAX
from shared.kernel.errors import Refused

_BEFORE_EDGE: Final = b',"edge":'


class Spelt(NamedTuple):
    """An edge and the record that came with it: each as the JSON that its origin wrote, byte for byte."""

    edge: bytes
    record: bytes


def check_spelt(plaintext: bytes, tree: dict[str, Any]) -> None:
    """Raises `Refused` unless `plaintext` is `tree`, which was read from it, without spaces or needless escapes.

    Otherwise bytes that nobody looks at would be kept with it: the guard sees values, not how they are spelt.
    """
    if to_json(tree) != plaintext:
        raise Refused("guard_refused", "not spelt plainly", field="/sealed")


def is_plain(plaintext: bytes, tree: dict[str, Any]) -> bool:
    """Return whether a sealed part that its contract has accepted certainly passes `parse_body` and `check_spelt`.

    `tree` was read from it. Contracts are closed and bound the depth and each text, number and list. So only the size
    and the number of values are left: there are no more values than commas and opening brackets. A name that occurs
    twice is in the tree once.
    """
    values = 1 + plaintext.count(b",") + plaintext.count(b"{") + plaintext.count(b"[")
    return len(plaintext) <= BODY_BYTES_MAX and values <= SEALED_NODES_MAX and to_json(tree) == plaintext


def spelt_parts(plaintext: bytes, salt: str) -> Spelt:
    """Edge and record of a sealed part that is spelt plainly and is what its contract says, with this salt.

    Raises `Refused("edge_not_reproducible")` where its members stand in another order than `sealed_of` writes them in.
    What is looked for stands in no string of it: quotes are escaped there.
    """
    between = b',"salt":"%s","record":' % salt.encode()
    begins = plaintext.find(_BEFORE_EDGE)
    ends = plaintext.find(between, begins)
    if not plaintext.startswith(b'{"decision":') or begins < 0 or ends < 0:
        raise Refused("edge_not_reproducible", "its members are in another order", field="/sealed")
    return Spelt(plaintext[begins + len(_BEFORE_EDGE) : ends], plaintext[ends + len(between) : -1])


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
