"""The sender's half of the stores in memory: lanes, what is held, and marks."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import nsmallest
from typing import TYPE_CHECKING, Final
from uuid import UUID

from shared.contracts.delivery import HOLES_MAX, GoneNumbers, Numbering, SentMark, TakenMark
from shared.contracts.registry import STATED_BY_INSTANCES
from shared.exchange.message import Draft
from shared.exchange.record_table import SIGN_AGAIN
from shared.exchange.topics import AUDIT
from shared.kernel.clock import rested
from shared.kernel.errors import Unavailable
from shared.runtime.post.arrivals import FINAL
from shared.runtime.post.ports import (
    AGAIN_MAX,
    HOLE_AGE,
    HOLES_LOOKED_AT,
    SIGNED_AGAIN_MAX,
    UNRECEIPTED_AGE,
    WANTED_AGE,
    LaneWork,
    Progress,
    Settled,
    Settlement,
    Signed,
    Waiting,
)
from shared.runtime.post.stamping import Counter, Pair, counts_by_pair, sign
from shared.vocabulary.answers import ReceiptOutcome

if TYPE_CHECKING:
    from tests.support.memory_stores import MemoryDatabase, State

#: Sender, recipient and epoch.
Numbered = tuple[str, str, UUID]
_BEFORE: Final = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane's row."""

    last: int = 0
    appended: int = 0
    appended_at: datetime | None = None
    before: int = 0
    before_at: datetime | None = None
    offset: int | None = None

    def ripe(self, position: int, at: datetime) -> bool:
        """Whether the last append of what stands at `position` was noted `HOLE_AGE` ago."""
        noted = ((self.appended_at, self.appended), (self.before_at, self.before))
        return any(each is not None and rested(each, at, HOLE_AGE) and position <= upto for each, upto in noted)


@dataclass(frozen=True, slots=True)
class Held:
    """A row of the outbox, or one that has settled."""

    message: Signed
    position: int
    done: bool
    outcome: ReceiptOutcome | None = None
    code: str | None = None
    aside: str | None = None
    signed: int = 0
    marked_at: datetime | None = None
    wanted_at: datetime | None = None

    @property
    def lane(self) -> str:
        return self.message.draft.recipient_instance

    @property
    def of(self) -> Numbered:
        return self.message.draft.sender, self.message.draft.recipient, self.message.epoch


@dataclass(slots=True)
class Gathered:
    """What a transaction does last: drafts to number, and what gets a new position."""

    drafts: list[Draft] = field(default_factory=list)
    again: dict[UUID, None] = field(default_factory=dict)
    #: Message id → how often it has been signed again.
    signed: dict[UUID, int] = field(default_factory=dict)
    ended: set[UUID] = field(default_factory=set)


class MemoryOutbox:
    """The last step of a transaction, and what units and relay do, over the state of one database."""

    signs_again_max = SIGNED_AGAIN_MAX
    sends_again = True

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def finish(self, state: State, gathered: Gathered) -> None:
        """Number, sign and store what was gathered."""
        for message_id in gathered.again if self.sends_again else ():
            row = state.outbox[message_id]
            state.outbox[message_id] = replace(row, position=self._next(state, row.lane), aside=None)
        drafts = gathered.drafts
        if not drafts:
            return
        for pair, count in counts_by_pair(drafts).items():
            self.count_on(state, pair, count, ended=gathered.ended)
            state.lane_of[state.counters[pair].epoch] = pair[2]
        for each in sign(drafts, state.counters, instance=self._database.instance, key=self._database.key):
            position = self._next(state, each.draft.recipient_instance)
            done = each.draft.message.family in STATED_BY_INSTANCES
            signed = gathered.signed.get(each.draft.message_id, 0)
            state.outbox[each.draft.message_id] = Held(each, position, done, signed=signed)

    def count_on(self, state: State, pair: Pair, count: int, *, ended: Iterable[UUID] = ()) -> None:
        """Move a pair's counter on, in a new epoch where the old one has ended."""
        counter = state.counters.get(pair)
        if counter is None or counter.epoch in ended or state.lives[pair] != self._database.life:
            if counter is not None:
                state.closed[*pair[:2], counter.epoch] = counter.last
            counter = Counter(self._database.new_epoch(), 0, counter.epoch if counter else None)
        state.counters[pair] = counter._replace(last=counter.last + count)
        state.lives[pair] = self._database.life

    def settle(self, state: State, settlements: Sequence[Settlement]) -> Settled:
        taken: dict[UUID, Settlement] = {}
        unmatched: list[Settlement] = []
        late: list[Settlement] = []
        for each in settlements:
            book = state.outbox if each.message_id in state.outbox else state.settled
            row = book.get(each.message_id)
            if row is None or row.lane != each.by:
                unmatched.append(each)
            elif row.message.digest != each.digest:
                if each.code != SIGN_AGAIN or not (row.signed or book is state.settled):
                    unmatched.append(each)
            elif each.code == SIGN_AGAIN and not row.done and row.signed < self.signs_again_max:
                self._sign_again(state, row)
            elif _says_more(row, each, settled=book is state.settled):
                done = each.outcome in FINAL
                book[each.message_id] = replace(row, outcome=each.outcome, code=each.code, done=done, marked_at=None)
                taken[each.message_id] = each
            elif row.outcome is ReceiptOutcome.REFUSED and each.outcome is ReceiptOutcome.APPLIED:
                late.append(each)
        self._leave(state, list(taken))
        return Settled(list(taken.values()), unmatched, late)

    def _sign_again(self, state: State, row: Held) -> None:
        message_id = row.message.draft.message_id
        del state.outbox[message_id]
        state.gathered.drafts.append(row.message.draft)
        state.gathered.signed[message_id] = row.signed + 1
        state.gathered.ended.add(row.message.epoch)

    def _leave(self, state: State, message_ids: Iterable[UUID]) -> None:
        for message_id in message_ids:
            row = state.outbox.get(message_id)
            if row is not None and row.done and all(self._passed(state, by, row) for by in (row.lane, AUDIT)):
                state.settled[message_id] = state.outbox.pop(message_id)

    def _passed(self, state: State, by: str, row: Held) -> bool:
        mark = state.marks.get((by, row.of))
        return mark is not None and is_taken(*mark, row.message.sequence)

    def _next(self, state: State, lane: str) -> int:
        row = state.lanes.get(lane, Lane())
        state.lanes[lane] = replace(row, last=row.last + 1)
        return row.last + 1


class MemorySentBook:
    """`SentBook` within a transaction of a `MemoryDatabase`."""

    def __init__(self, outbox: MemoryOutbox, state: State) -> None:
        self._outbox = outbox
        self._state = state

    async def sent_marks(self, to: str, of: Sequence[Numbering] | None = None) -> list[SentMark]:
        asked = None if of is None else {(each.sender, each.recipient, each.epoch) for each in of}
        epochs = sorted(self._epochs().items(), key=lambda each: (*each[0][:2], each[0][2].int))
        held: dict[Numbered, int] = {}
        for row in self._state.outbox.values():
            of, number = row.of, row.message.sequence
            if number <= held.get(of, number):
                held[of] = number
        return [
            SentMark(sender=of[0], recipient=of[1], epoch=of[2], last=last, held=held.get(of, 0))
            for of, last in epochs
            if to in (AUDIT, self._state.lane_of[of[2]]) and (asked is None or of in asked)
        ]

    async def appended(self, to: str) -> int:
        lanes = self._state.lanes.items()
        return max(
            (lane.offset + 1 for name, lane in lanes if lane.offset is not None and to in (name, AUDIT)), default=0
        )

    async def take_marks(
        self, by: str, taken: Sequence[TakenMark], at: datetime, *, holes: int = HOLES_LOOKED_AT
    ) -> list[GoneNumbers]:
        gone = [each for mark in taken for each in self._take(by, mark, at, holes=holes)]
        for message_id, row in self._state.outbox.items():
            if row.lane == by and row.marked_at is not None and rested(row.marked_at, at, UNRECEIPTED_AGE):
                self._state.outbox[message_id] = replace(row, marked_at=at)
                self._state.gathered.again[message_id] = None
        return gone

    async def send_again(self, to: str, ids: Sequence[UUID], at: datetime) -> list[UUID]:
        outbox = self._state.outbox
        held = [outbox[each] for each in ids if each in outbox and outbox[each].lane == to]
        appended = self._state.lanes[to].appended if held else 0
        ripe = [row for row in held if rested(row.wanted_at, at, WANTED_AGE)]
        due = [row for row in ripe if row.aside is not None or row.position <= appended]
        for row in sorted(due, key=lambda row: (*row.of[:2], row.of[2].int, row.message.sequence)):
            outbox[row.message.draft.message_id] = replace(row, wanted_at=at)
            self._state.gathered.again[row.message.draft.message_id] = None
        found = {row.message.draft.message_id for row in held}
        return [each for each in ids if each not in found]

    async def receipts_lost(self, by: str, at: datetime) -> bool:
        rows = self._state.outbox.items()
        answered = [id_ for id_, row in rows if row.lane == by and not row.done and row.outcome is not None]
        for id_ in sorted(answered)[:AGAIN_MAX]:
            self._state.outbox[id_] = replace(self._state.outbox[id_], outcome=None, code=None, marked_at=at)
        return len(answered) >= AGAIN_MAX

    def _take(self, by: str, mark: TakenMark, at: datetime, *, holes: int) -> Iterator[GoneNumbers]:
        state, of = self._state, (mark.sender, mark.recipient, mark.epoch)
        last = self._epochs().get(of)
        if last is None or by not in (AUDIT, state.lane_of[of[2]]):
            return
        before = state.marks.get((by, of))
        state.marks[by, of] = mark, last
        held = {row.message.sequence: row for row in state.outbox.values() if row.of == of}
        for number, row in held.items():
            fresh = is_taken(mark, last, number) and not (before is not None and is_taken(*before, number))
            if fresh and not row.done and row.outcome is None and row.lane == by:
                state.outbox[row.message.draft.message_id] = replace(row, marked_at=at)
        self._outbox._leave(state, [row.message.draft.message_id for row in held.values()])
        missing = [n for first, upto in mark.holes[:holes] for n in range(first, min(upto, last) + 1)]
        for number in missing:
            found = held.get(number)
            if found is not None and found.aside is None and state.lanes[found.lane].ripe(found.position, at):
                state.gathered.again[found.message.draft.message_id] = None
        if spans := list(_spans(number for number in missing if number not in held)):
            yield GoneNumbers(sender=of[0], recipient=of[1], epoch=of[2], spans=tuple(spans))

    def _epochs(self) -> dict[Numbered, int]:
        open_epochs = {(*pair[:2], counter.epoch): counter.last for pair, counter in self._state.counters.items()}
        return self._state.closed | open_epochs


class MemoryLanes:
    """The relay's side, over a `MemoryDatabase`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def lanes(self) -> list[str]:
        state = await self._database.read("lanes")
        return sorted(name for name, lane in state.lanes.items() if lane.last > lane.appended)

    async def work(self, lane: str, limit: int) -> LaneWork:
        state = await self._database.read("work")
        at = state.lanes.get(lane, Lane())
        waits = (row for row in state.outbox.values() if row.message.draft.recipient_instance == lane)
        left = (row for row in waits if row.position > at.appended and row.aside is None)
        rows = nsmallest(limit, left, key=lambda row: row.position)
        waiting = [
            Waiting(row.message.draft.message_id, row.position, row.message.draft.message.edge, row.message.record)
            for row in rows
        ]
        return LaneWork(waiting, at.last, at.offset)

    async def note(self, lane: str, progress: Progress) -> None:
        async with self._database.transaction("note") as state:
            self._require_lease()
            for message_id, reason in progress.aside.items():
                state.outbox[message_id] = replace(state.outbox[message_id], aside=reason)
            at = state.lanes[lane]
            if progress.offset is not None:
                at = replace(at, offset=progress.offset)
            if progress.through > at.appended:
                if rested(at.before_at, progress.at, _BEFORE):
                    at = replace(at, before=at.appended, before_at=progress.at)
                at = replace(at, appended=progress.through, appended_at=progress.at)
            state.lanes[lane] = at

    async def try_aside(self) -> None:
        async with self._database.transaction("try_aside") as state:
            aside = [row for row in state.outbox.values() if row.aside is not None]
            for row in sorted(aside, key=lambda row: row.position):
                state.gathered.again[row.message.draft.message_id] = None

    async def rewind(self, lane: str) -> None:
        async with self._database.transaction("rewind") as state:
            self._require_lease()
            state.lanes[lane] = replace(state.lanes[lane], appended=0, before=0, before_at=None, offset=None)

    def _require_lease(self) -> None:
        if self._database.relay_is_another:
            raise Unavailable("lease_lost")


def is_taken(mark: TakenMark, last: int, number: int) -> bool:
    """Whether a mark says that this number was taken; `last` was the last one that had been given."""
    return number <= min(last, mark.highest) and not any(first <= number <= last for first, last in mark.holes)


def taken_mark(of: Numbered, numbers: Iterable[int], *, upto: int = 0) -> TakenMark:
    """The mark of whoever has these numbers, and knows that they go to `upto`."""
    has = set(numbers)
    holes = list(_spans(n for n in range(1, max([upto, *has]) + 1) if n not in has))
    through = holes[0][0] - 1 if holes else max(has, default=0)
    known = max([upto, *has]) if 0 < len(holes) < HOLES_MAX else None
    return TakenMark(
        sender=of[0], recipient=of[1], epoch=of[2], through=through, holes=tuple(holes[:HOLES_MAX]), known=known
    )


def waits_by_lane(state: State) -> Count[str]:
    """How many rows wait in each lane."""
    return Count(row.lane for row in state.outbox.values() if row.position > state.lanes[row.lane].appended)


def _says_more(row: Held, said: Settlement, *, settled: bool) -> bool:
    reopens = row.outcome is ReceiptOutcome.APPLIED and said.outcome is ReceiptOutcome.REFUSED
    return reopens or (not settled and not row.done and said.outcome is not row.outcome)


def _spans(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = 0
    for number in numbers:
        if last and number == last + 1:
            last = number
            continue
        if last:
            yield first, last
        first = last = number
    if last:
        yield first, last
