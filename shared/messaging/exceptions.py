"""Exceptions and outcomes: taken messages that could not be applied at once, and the answers about them.

The number of such a message is taken, and its bytes are stored here. It is tried again when a version, a document or a
place arrives; only a person ends a dead letter. The writer does not send it again because of the exception.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from shared.core.protocol.message import Record
from shared.messaging.streams import DIGEST_BYTES, StreamPlace, WireRole

#: Exceptions per stream at which reading stops; the alarm comes at a tenth.
EXCEPTIONS_MAX: Final = 100_000
#: Bytes of their records per stream at which reading stops, too. The batch that reaches the bound is still taken.
EXCEPTION_BYTES_MAX: Final = 64 * 1024 * 1024
#: The largest number that all readers of JSON read exactly.
NUMBER_MAX: Final = 2**53 - 1
#: Acts that one message names.
ACTS_MAX: Final = 1000
#: The kind of a message whose name breaks a bound, and the code of its outcome.
MALFORMED: Final = "malformed"
#: The code of a deferred message whose sender has used up its day. It does not count against its stream.
DAY_SPENT: Final = "sender_day_spent"
#: A kind of message, or a code.
CODE: Final = re.compile("[a-z][a-z0-9_]{0,63}")


class OutcomeKind(StrEnum):
    """The outcome of a taken message. `deferred`, `waiting` and `dead` are exceptions: they stay open."""

    APPLIED = "applied"
    REFUSED = "refused"
    MOVED = "moved"
    DEFERRED = "deferred"
    WAITING = "waiting"
    DEAD = "dead"


#: Outcomes whose message is kept here and tried again.
OPEN: Final = frozenset({OutcomeKind.DEFERRED, OutcomeKind.WAITING, OutcomeKind.DEAD})


class RefusalCode(StrEnum):
    """The refusals that messaging itself reacts to. A feature has further codes, for the owner of the subject."""

    UNKNOWN = "unknown"
    GAP = "gap"
    DEAD = "dead"
    LAW = "law"
    WITHDRAWN = "withdrawn"
    BEHIND = "behind"
    ERASED = "erased"


class Coordinates(NamedTuple):
    """The coordinates of a record in Kafka, and its time."""

    topic_id: UUID | None
    offset: int
    broker_time: datetime


@dataclass(frozen=True, slots=True)
class NamedMessage:
    """The name of a message in an outcome: its subject, its revision and content, and its acts.

    `revision` is None for a message without content. `content` is the digest of the subject's content, 32 bytes.
    `after` is the act before the first act, or before the revision, on the writer's track.
    """

    message_id: UUID
    role: WireRole
    kind: str
    subject: UUID | None = None
    revision: int | None = None
    content: bytes | None = None
    acts: tuple[UUID, ...] = ()
    after: UUID | None = None


def is_well_formed(named: NamedMessage) -> bool:
    """Return whether the name of a message is within the bounds, so that it can be stored and sent."""
    return (
        CODE.fullmatch(named.kind) is not None
        and (named.revision is None or 1 <= named.revision <= NUMBER_MAX)
        and (named.content is None or len(named.content) == DIGEST_BYTES)
        and len(named.acts) <= ACTS_MAX
    )


def bound_name(named: NamedMessage) -> NamedMessage:
    """Return the name, or one of the kind `malformed` with only id, role and subject."""
    return named if is_well_formed(named) else NamedMessage(named.message_id, named.role, MALFORMED, named.subject)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one taken message. `held` is the revision that the recipient holds, with `behind`."""

    named: NamedMessage
    kind: OutcomeKind
    code: str | None = None
    held: int | None = None


@dataclass(frozen=True, slots=True)
class TakenMessage:
    """A message of another instance whose number was taken. `record`: as it arrived, or its stored bytes.

    `chain`: the chain after it.
    """

    writer: str
    place: StreamPlace
    chain: bytes
    named: NamedMessage
    record: bytes | Record
    where: Coordinates


@dataclass(frozen=True, slots=True)
class OpenException:
    """A taken message that is kept here. The code of its outcome names the version or document that it waits for."""

    taken: TakenMessage
    outcome: Outcome
    since: datetime


@dataclass(frozen=True, slots=True)
class OutcomeList:
    """The body of an outcome message: all outcomes of one transaction for one peer."""

    outcomes: tuple[Outcome, ...]
