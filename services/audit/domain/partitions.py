"""What has become of a topic that audit reads: from where it reads on, and what it must say is lost. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from pydantic_core import to_json

from services.audit.domain.entries import Entry, EntryKind
from shared.kernel.canonical import digest as sha256


class PartitionStatus(StrEnum):
    """How audit stands to a partition."""

    #: The directory asks for its topic, which is not there yet, or which nobody leads.
    NEW = "new"
    READING = "reading"
    #: The broker had let go of records that audit had not read; it reads on behind them.
    GAP = "gap"
    #: The end lies before what audit has read, or another record does in its place: it reads again from the first.
    TRUNCATED = "truncated"
    #: Audit has no right to read it.
    FORBIDDEN = "forbidden"


class LossReason(StrEnum):
    """How records were lost to a topic."""

    RETENTION = "retention"
    TAIL_LOST = "tail_lost"
    TAIL_REFILLED = "tail_refilled"
    TOPIC_MADE_AGAIN = "topic_made_again"


class Life(NamedTuple):
    """One life of one partition: a topic deleted and made again has another `topic_id`."""

    topic: str
    topic_id: UUID
    partition: int


class Cursor(NamedTuple):
    """The next offset to keep, and the digest of the whole record before it; None where none was kept before it."""

    next_offset: int
    digest: str | None = None


class Loss(NamedTuple):
    """Records from `first` to `last` are not in the topic's log any more, or never came to it as audit read them.

    `last` is None where nobody can say how far the log had gone. `before` is the digest of all of the last record kept.
    """

    life: Life
    first: int
    last: int | None
    reason: LossReason
    before: str | None = None


class Beginning(NamedTuple):
    """Where to read on. `again`: what lies there was read before, and the cursor goes back to `offset`."""

    offset: int
    status: PartitionStatus
    loss: Loss | None = None
    again: bool = False


def beginning(life: Life, cursor: Cursor | None, *, first: int, end: int) -> Beginning:
    """From where to read a partition that holds the offsets `first` up to, not including, `end`.

    Where the last record kept is still there, reading begins with it: `continues` then says whether it is the same.
    """
    following = cursor.next_offset if cursor is not None else 0
    digest = cursor.digest if cursor is not None else None
    if end < following:
        loss = Loss(life, end, following - 1, LossReason.TAIL_LOST, digest)
        return Beginning(first, PartitionStatus.TRUNCATED, loss, again=True)
    if following < first:
        loss = Loss(life, following, first - 1, LossReason.RETENTION, digest)
        return Beginning(first, PartitionStatus.GAP, loss, again=True)
    if digest is not None and first < following:
        return Beginning(following - 1, PartitionStatus.READING)
    return Beginning(following, PartitionStatus.READING)


def refilled(life: Life, cursor: Cursor, *, first: int) -> Beginning:
    """Where to read on when the last record kept is another: the log lost its tail and has grown again since."""
    at = cursor.next_offset - 1
    loss = Loss(life, at, at, LossReason.TAIL_REFILLED, cursor.digest)
    return Beginning(first, PartitionStatus.TRUNCATED, loss, again=True)


def made_again(life: Life, cursor: Cursor) -> Loss:
    """What a topic that was made again took with it: whatever the life before held behind what was read of it."""
    return Loss(life, cursor.next_offset, None, LossReason.TOPIC_MADE_AGAIN, cursor.digest)


def entry_of(loss: Loss, at: datetime) -> Entry:
    """The entry that says so: the same loss gives the same digest, so that it is kept once. `at`: our own clock."""
    said = {"first": loss.first, "last": loss.last, "reason": loss.reason.value, "before": loss.before}
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
