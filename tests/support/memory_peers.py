"""What peers have said of delivery, in memory: `PeerBook` over the state of one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from shared.contracts.delivery import MarksClear, ReadsAnnouncedClear, TakenMark
from shared.exchange.topics import AUDIT
from shared.kernel.clock import rested
from shared.runtime.post.peers import FIRST, STAND_PAUSE, Spoken, Word

if TYPE_CHECKING:
    from tests.support.memory_stores import MemoryDatabase, State


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer's row."""

    reads: ReadsAnnouncedClear | None = None
    reads_spoken: Spoken | None = None
    marked_spoken: Spoken | None = None
    marks: int = 0
    wants: int = 0
    wanted_at: datetime | None = None
    stand_due: bool = False
    stood_at: datetime | None = None
    above: UUID | None = None
    unread: UUID | None = None
    word: Word = field(default_factory=Word)


def owe_standing(state: State, to: str) -> None:
    row = state.peers.get(to, Peer())
    state.peers[to] = replace(row, stand_due=True, word=replace(row.word, stands=True))


class MemoryPeers:
    """The book within one transaction of `database`."""

    def __init__(self, database: MemoryDatabase, state: State) -> None:
        self._database = database
        self._state = state

    async def announced(self, by: str, reads: ReadsAnnouncedClear, spoken: Spoken) -> None:
        row = self._row(by)
        if spoken.follows(row.reads_spoken):
            self._state.peers[by] = replace(row, reads=reads, reads_spoken=spoken)

    async def marked(self, by: str, marks: MarksClear, spoken: Spoken) -> int:
        row, minute = self._row(by), spoken.at.replace(second=0, microsecond=0)
        if not spoken.follows(row.marked_spoken):
            return 0
        same = row.marked_spoken is not None and row.marked_spoken.at >= minute
        owes = marks.nonce if marks.asking else row.word.owes
        answered = marks.answers or row.word.answered
        count = row.marks + 1 if same else 1
        word = replace(row.word, owes=owes, answered=answered)
        self._state.peers[by] = replace(row, marked_spoken=spoken, marks=count, word=word)
        return count

    async def wanted_by(self, by: str, spoken: Spoken) -> int:
        row, minute = self._row(by), spoken.at.replace(second=0, microsecond=0)
        same = row.wanted_at is not None and row.wanted_at.replace(second=0, microsecond=0) == minute
        count = row.wants + 1 if same else 1
        self._state.peers[by] = replace(row, wants=count, wanted_at=spoken.at)
        return count

    async def words(self) -> dict[str, Word]:
        rows = [(name, row) for name, row in self._state.peers.items() if row.marked_spoken is not None]
        return {name: replace(row.word, begins=row.stand_due and row.above is None) for name, row in rows}

    async def answered(self, to: str, nonce: UUID) -> None:
        row = self._row(to)
        if row.word.owes == nonce:
            self._state.peers[to] = replace(row, word=replace(row.word, owes=None))

    async def could_not_read(self, stated: Mapping[str, UUID]) -> None:
        for by, message_id in stated.items():
            self._state.peers[by] = replace(self._row(by), unread=message_id)

    async def unread(self, of: Collection[str]) -> dict[str, UUID]:
        found = {each: row.unread for each in of if (row := self._row(each)).unread is not None}
        for each in found:
            self._state.peers[each] = replace(self._row(each), unread=None)
        return {each: id_ for each, id_ in found.items() if id_ is not None}

    async def began(self) -> bool:
        before = self._state.lived.get("life")
        self._state.lived["life"] = self._database.life
        return before != self._database.life

    async def owe_standing(self, to: Sequence[str]) -> None:
        for each in to:
            owe_standing(self._state, each)

    async def standings(self, to: Sequence[str], now: datetime) -> dict[str, UUID]:
        told = {}
        for each in sorted(to):
            row = self._row(each)
            if row.above is None and row.stand_due and rested(row.stood_at, now, STAND_PAUSE):
                row = replace(row, above=FIRST, stood_at=now, stand_due=False)
                self._state.peers[each] = row
            if row.above is not None:
                told[each] = row.above
        return told

    async def stood(self, to: str, above: UUID | None) -> None:
        row = self._row(to)
        word = replace(row.word, stands=above is not None or row.stand_due)
        self._state.peers[to] = replace(row, above=above, word=word)

    async def forgotten(self, by: str, taken: Sequence[TakenMark]) -> None:
        counters, lane_of = self._state.counters, self._state.lane_of
        for mark in taken:
            of, last = (mark.sender, mark.recipient, mark.epoch), mark.highest
            pair = next((pair for pair, each in counters.items() if (*pair[:2], each.epoch) == of), None)
            if pair is not None:
                counters[pair] = counters[pair]._replace(last=max(counters[pair].last, last))
                self._state.lives[pair] = 0
            else:
                self._state.closed[of] = max(self._state.closed.get(of, 0), last)
                if lane_of.get(mark.epoch, AUDIT) == AUDIT:
                    lane_of[mark.epoch] = by

    def _row(self, name: str) -> Peer:
        return self._state.peers.get(name, Peer())
