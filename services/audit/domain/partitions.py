"""The state of a partition that audit reads: the position to read on from, and the losses to record. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from pydantic_core import to_json

from services.audit.domain.entries import AuditEntry, EntryKind
from shared.core.canonical import digest as sha256
from shared.messaging.streams import IncomingLane


class PartitionStatus(StrEnum):
    """The reading status of a partition."""

    #: The directory requires the topic, but the topic does not exist yet or has no leader.
    NEW = "new"
    READING = "reading"
    #: The broker deleted records that audit had not read; audit reads on after them.
    GAP = "gap"
    #: The topic lost records that audit had read, or was created again.
    TRUNCATED = "truncated"
    #: Audit has no right to read it.
    FORBIDDEN = "forbidden"


class LossReason(StrEnum):
    """The cause of a loss of records in a topic."""

    RETENTION = "retention"
    TAIL_LOST = "tail_lost"
    TOPIC_MADE_AGAIN = "topic_made_again"


class PartitionId(NamedTuple):
    """One partition under one topic id. A topic that is deleted and created again has another `topic_id`."""

    topic: str
    topic_id: UUID
    partition: int


class Loss(NamedTuple):
    """Records from `first` to `last` that are no longer in the topic's log.

    `last` is None if the end of the lost log is unknown. Writers send the messages among them again, because they
    retain messages until audit has acknowledged them.
    """

    life: PartitionId
    first: int
    last: int | None
    reason: LossReason


class ReadStart(NamedTuple):
    """The status of a partition when audit begins to read it, and its losses since the last read."""

    status: PartitionStatus
    losses: tuple[Loss, ...] = ()


def find_beginning(life: PartitionId, read: IncomingLane, *, first: int, end: int) -> ReadStart:
    """Compare the position that was read with the offsets that a partition holds: from `first` to before `end`.

    `Incoming.seek` then returns the offset to read on from.
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
    return ReadStart(status, tuple(losses))


def entry_of(loss: Loss, at: datetime) -> AuditEntry:
    """Return the entry of a loss. The same loss has the same digest, so it is stored once. `at` is audit's own time."""
    said = {"first": loss.first, "last": loss.last, "reason": loss.reason.value}
    detail = to_json({name: value for name, value in said.items() if value is not None}).decode()
    named = f"{loss.life.topic}\n{loss.life.topic_id}\n{loss.life.partition}\n{detail}"
    return AuditEntry(
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
