"""Exceptions and outcomes: messages that were taken and are not simply applied, and the answers about them.

The number of such a message is taken, and its bytes are kept here. It is tried again when a version, a document
or a place arrives; only a person ends a dead letter. The writer never sends it again for that reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from shared.messaging.streams import Place

#: Exceptions per stream at which reading stops; the alarm comes at a tenth.
EXCEPTIONS_MAX: Final = 100_000


class OutcomeKind(StrEnum):
    """The outcome of a taken message. All but `applied` and `refused` are exceptions: they stay open."""

    APPLIED = "applied"
    REFUSED = "refused"
    MOVED = "moved"
    DEFERRED = "deferred"
    WAITING = "waiting"
    DEAD = "dead"


#: Outcomes whose message is kept here and tried again.
OPEN: Final = frozenset({OutcomeKind.DEFERRED, OutcomeKind.WAITING, OutcomeKind.DEAD})


class Refusal(StrEnum):
    """The refusals that messaging itself reacts to. A feature has further codes, for the owner of the subject."""

    UNKNOWN = "unknown"
    GAP = "gap"
    DEAD = "dead"
    LAW = "law"
    WITHDRAWN = "withdrawn"
    BEHIND = "behind"
    ERASED = "erased"


class Coordinates(NamedTuple):
    """Where and when a record lay in Kafka."""

    topic_id: UUID | None
    offset: int
    broker_time: datetime


@dataclass(frozen=True, slots=True)
class Named:
    """A message as an outcome names it: the subject, the revision and content it carries, and the acts in it.

    `revision` is None for a message without content. `content` is the digest of the subject's content, 32 bytes. `own`:
    the subject belongs to the writer of the message; otherwise the message is an answer on the reader's subject.
    """

    message_id: UUID
    kind: str
    subject: UUID
    is_own: bool
    revision: int | None = None
    content: bytes | None = None
    acts: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one taken message. `held` is the revision that the recipient holds, with `behind`."""

    named: Named
    kind: OutcomeKind
    code: str | None = None
    held: int | None = None


@dataclass(frozen=True, slots=True)
class OpenException:
    """A taken message that is kept here. `need` names the version or document that it waits for."""

    pair_writer: str
    place: Place
    outcome: Outcome
    record: bytes
    where: Coordinates
    since: datetime
    need: str | None = None
