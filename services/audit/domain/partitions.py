"""What has become of a topic that audit reads: from where it reads on, and what it must say is lost. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from pydantic_core import to_json

from services.audit.domain.entries import Entry, EntryKind
from shared.kernel.canonical import digest as sha256
from shared.messaging.streams import IncomingLane


class PartitionStatus(StrEnum):
    """How audit stands to a partition."""

    #: The directory asks for its topic, which is not there yet, or which nobody leads.
    NEW = "new"
    READING = "reading"
    #: The broker had let go of records that audit had not read; it reads on behind them.
    GAP = "gap"
    #: The topic lost records that audit had read, or was made again.
    TRUNCATED = "truncated"
    #: Audit has no right to read it.
    FORBIDDEN = "forbidden"


class LossReason(StrEnum):
    """How records were lost to a topic."""

    RETENTION = "retention"
    TAIL_LOST = "tail_lost"
    TOPIC_MADE_AGAIN = "topic_made_again"


class Life(NamedTuple):
    """One life of one partition: a topic deleted and made again has another `topic_id`."""

    topic: str
    topic_id: UUID
    partition: int


class Loss(NamedTuple):
    """Records from `first` to `last` are not in the topic's log any more.

    `last` is None where nobody can say how far the log had gone. Messages among them come again: their writers keep
    them until audit has acknowledged them.
    """

    life: Life
    first: int
    last: int | None
    reason: LossReason


class Beginning(NamedTuple):
    """How audit stands to a partition where it begins to read, and what was lost of it since."""

    status: PartitionStatus
    losses: tuple[Loss, ...] = ()


def find_beginning(life: Life, read: IncomingLane, *, first: int, end: int) -> Beginning:
    """Judge a partition that holds the offsets `first` up to, not including, `end`, by how far it was read.

    `Incoming.seek` then says from where to read on.
    """
    losses: list[Loss] = []
    status = PartitionStatus.READING
    following = read.next_offset
    if read.topic_id is not None and read.topic_id != life.topic_id:
        losses.append(Loss(life._replace(topic_id=read.topic_id), following, None, LossReason.TOPIC_MADE_AGAIN))
        status, following = PartitionStatus.TRUNCATED, 0
    if end < following:
        losses.append(Loss(life, end, following - 1, LossReason.TAIL_LOST))
        status = PartitionStatus.TRUNCATED
    elif following < first:
        losses.append(Loss(life, following, first - 1, LossReason.RETENTION))
        status = PartitionStatus.GAP if status is PartitionStatus.READING else status
    return Beginning(status, tuple(losses))


def entry_of(loss: Loss, at: datetime) -> Entry:
    """The entry that says so: the same loss gives the same digest, so that it is kept once. `at`: our own clock."""
    said = {"first": loss.first, "last": loss.last, "reason": loss.reason.value}
    detail = to_json({name: value for name, value in said.items() if value is not None}).decode()
    named = f"{loss.life.topic}\n{loss.life.topic_id}\n{loss.life.partition}\n{detail}"
    return Entry(
        topic=loss.life.topic,
        topic_id=loss.life.topic_id,
        partition=loss.life.partition,
        offset=loss.first,
        broker_time=at,
        kind=EntryKind.LOSS,
        digest=sha256(named.encode()),
        verified=False,
        problem=loss.reason.value,
        detail=detail,
    )
