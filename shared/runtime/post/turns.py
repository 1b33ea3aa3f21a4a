"""Whose turn it is to say marks, and what they say: pure.

Marks are cumulative and the newest count, so nothing is lost where one is; they are said at most every `news_s` after
something has changed, and every `repeat_s`, with the asking bit, while anything is open: a row that is held, a hole, a
nonce that nobody has named. What asks is answered with all rows, and an answer never asks for that reason: so two that
both have something open do not keep each other talking.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar
from uuid import UUID

from shared.contracts.delivery import (
    HOLES_MAX,
    ROWS_MAX,
    GoneClear,
    GoneNumbers,
    MarksClear,
    Numbering,
    SentMark,
    TakenMark,
)
from shared.kernel.clock import rested
from shared.runtime.post.peers import Word

_Mark = TypeVar("_Mark", bound=Numbering)


@dataclass(frozen=True, slots=True)
class TalkSettings:
    """How often marks are said: `news_s` at most, `repeat_s` at least while anything is open."""

    news_s: float = 10.0
    repeat_s: float = 60.0
    poll_s: float = 2.0


@dataclass(frozen=True, slots=True)
class View:
    """What one side has numbered for the other, and what it has taken of the other's numbers."""

    sent: frozenset[SentMark] = frozenset()
    taken: frozenset[TakenMark] = frozenset()

    @property
    def open(self) -> bool:
        """Whether a row is held that the other side may not have, or a number is missing here."""
        return any(mark.held for mark in self.sent) or any(mark.holes for mark in self.taken)


@dataclass(slots=True)
class Turn:
    """How far the talk with one peer has come, as long as this process lives. `nonce` is what we ask it to name."""

    nonce: UUID
    said: View = field(default_factory=View)
    said_at: datetime | None = None
    asked_at: datetime | None = None
    looked_at: datetime | None = None

    def heard(self, word: Word) -> bool:
        """Whether a mark of the peer has named our nonce: then all that it had appended before is here."""
        return word.answered == self.nonce

    def look_due(self, word: Word, now: datetime, settings: TalkSettings) -> bool:
        """Whether the books are worth a look: nothing is said sooner, and looking costs."""
        return _passed(self.looked_at, now, settings.news_s) or (
            word.owes is not None and _passed(self.said_at, now, settings.news_s)
        )


def next_marks(turn: Turn, view: View, word: Word, *, now: datetime, settings: TalkSettings) -> list[MarksClear]:
    """What is to be said now; nothing: it is not our turn."""
    if not _passed(turn.said_at, now, settings.news_s):
        return []
    unanswered = not turn.heard(word)
    asking = (view.open or unanswered) and _passed(turn.asked_at, now, settings.repeat_s)
    whole = asking or word.owes is not None
    if not whole and view == turn.said:
        return []
    sent = view.sent if whole else view.sent - turn.said.sent
    taken = view.taken if whole else view.taken - turn.said.taken
    rows: list[SentMark | TakenMark] = [*_sorted(sent), *_sorted(taken)]
    parts = [rows[start : start + ROWS_MAX] for start in range(0, len(rows), ROWS_MAX)] or [[]]
    return [
        MarksClear(
            sent=tuple(row for row in part if isinstance(row, SentMark)),
            taken=tuple(row for row in part if isinstance(row, TakenMark)),
            asking=asking and part is parts[-1],
            nonce=turn.nonce,
            answers=word.owes,
        )
        for part in parts
    ]


def note_said(turn: Turn, view: View, said: Sequence[MarksClear], *, now: datetime) -> None:
    """Note what was said, and when."""
    turn.said, turn.said_at = view, now
    if any(marks.asking for marks in said):
        turn.asked_at = now


def gone_statements(numbers: Sequence[GoneNumbers], ids: Sequence[UUID]) -> list[GoneClear]:
    """What is no longer held, in as many statements as it takes."""
    cut = [
        GoneNumbers(**row.model_dump(exclude={"spans"}), spans=row.spans[start : start + HOLES_MAX])
        for row in numbers
        for start in range(0, len(row.spans), HOLES_MAX)
    ]
    statements = [
        GoneClear(numbers=tuple(cut[start : start + ROWS_MAX]), ids=()) for start in range(0, len(cut), ROWS_MAX)
    ]
    return statements + [
        GoneClear(numbers=(), ids=tuple(ids[start : start + ROWS_MAX])) for start in range(0, len(ids), ROWS_MAX)
    ]


class Ahead(NamedTuple):
    """What the other side has taken of numbers that these books do not know to have been given.

    `forgotten`: these books are those of a restored database. `impossible`: no topic holds so many records.
    """

    forgotten: list[TakenMark]
    impossible: list[TakenMark]


def ahead(taken: Iterable[TakenMark], sent: Iterable[SentMark], *, appended: int) -> Ahead:
    """Marks beyond what was given; what nobody knows of any more lies in the topic, among its `appended` records."""
    given = {(mark.sender, mark.recipient, mark.epoch): mark.last for mark in sent}
    found = Ahead([], [])
    for mark in taken:
        over = mark.highest - given.get((mark.sender, mark.recipient, mark.epoch), 0)
        if over > 0:
            (found.forgotten if over <= appended else found.impossible).append(mark)
    return found


def _sorted(rows: Iterable[_Mark]) -> list[_Mark]:
    return sorted(rows, key=lambda row: (row.sender, row.recipient, row.epoch))


def _passed(since: datetime | None, now: datetime, wait_s: float) -> bool:
    return rested(since, now, timedelta(seconds=wait_s))
