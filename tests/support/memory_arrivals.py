"""The recipient's half of the stores in memory: inbox, numbers, what waits, quarantine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.contracts.delivery import HOLES_MAX, ROWS_MAX, GoneClear, SentMark, TakenMark
from shared.contracts.registry import WITHDRAWALS
from shared.envelope.headers import is_signed
from shared.exchange.message import Copy, Record
from shared.exchange.needs import Need
from shared.runtime.post.arrivals import (
    FINAL,
    Admission,
    Arrival,
    Awaited,
    Cursor,
    Held,
    Outcome,
    Parked,
    Step,
    Stored,
    Superseded,
)
from shared.runtime.post.awaiting import Meets, Room
from shared.runtime.post.peers import EPOCHS_MAX
from shared.runtime.post.ports import TakenBook
from shared.runtime.post.taken import (
    EPOCHS_TAKEN_MAX,
    GIVEN_UP_MAX,
    HOLES_KEPT,
    WANTED_AGAIN,
    WANTED_AGAIN_MAX,
)
from shared.runtime.watch.logs import log
from shared.vocabulary.answers import ReceiptOutcome
from tests.support.memory_peers import owe_standing

OPEN = frozenset({ReceiptOutcome.DEFERRED, ReceiptOutcome.WAITING, ReceiptOutcome.PARKED})
WITHDRAWING = frozenset(message.type for message in WITHDRAWALS)
Pair = tuple[str, str, UUID]


@dataclass(frozen=True, slots=True)
class Row:
    """A message in the inbox."""

    arrival: Arrival
    outcome: ReceiptOutcome = ReceiptOutcome.APPLIED
    code: str | None = None
    need: str | None = None
    asked: bool = False
    wanted_at: datetime | None = None
    wanted_times: int = 0


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of one pair and epoch: the highest that is known of, and those that have not come."""

    instance: str
    high: int = 0
    holes: frozenset[int] = frozenset()

    def noting(self, high: int, taken: Iterable[int]) -> Numbers:
        top = max(self.high, high)
        holes = (self.holes | set(range(self.high + 1, top + 1))) - set(taken)
        if len(spans := _spans(holes)) > HOLES_KEPT:
            top = spans[HOLES_KEPT][0] - 1
        return replace(self, high=top, holes=frozenset(each for each in holes if each <= top))


@dataclass(frozen=True, slots=True)
class Kept:
    """What waits."""

    waiting: Awaited
    due: bool = False


@dataclass(frozen=True, slots=True)
class Keeping:
    """What an instance has by now, and how much may wait for what it has not."""

    meets: Meets = lambda need: False
    room: Room = field(default_factory=Room)


class MemoryTaken:
    """The book of numbers over the state of one transaction."""

    def __init__(self, state: Any, keeping: Keeping) -> None:
        self._state = state
        self._meets = keeping.meets

    async def taken_marks(self, of: str) -> list[TakenMark]:
        marks = []
        for (sender, recipient, epoch), numbers in sorted(self._state.pairs.items()):
            if numbers.instance == of:
                holes = _spans(numbers.holes)[:HOLES_MAX]
                through = holes[0][0] - 1 if holes else numbers.high
                known = numbers.high if 0 < len(holes) < HOLES_MAX else None
                of_pair = {"sender": sender, "recipient": recipient, "epoch": epoch}
                marks.append(TakenMark(**of_pair, through=through, holes=tuple(holes), known=known))
        return marks

    async def know(self, sent: Sequence[SentMark], *, by: str) -> None:
        for each in sent:
            pair = (each.sender, each.recipient, each.epoch)
            if pair in self._state.pairs or self._others(pair, by) < EPOCHS_MAX:
                self._note(pair, by, each.last, ())

    async def pass_gone(self, gone: GoneClear, *, by: str) -> None:
        spans: dict[Pair, list[tuple[int, int]]] = {}
        for each in gone.numbers:
            spans.setdefault((each.sender, each.recipient, each.epoch), []).extend((a, b) for a, b in each.spans)
        numbers: dict[Pair, set[int]] = {}
        for pair, stated in spans.items():
            gaps = sum(key[:3] == pair for key in self._state.gone)
            known = self._state.pairs.get(pair)
            if known is not None and known.instance == by and gaps < GIVEN_UP_MAX:
                numbers[pair] = {n for first, last in stated[:HOLES_MAX] for n in range(first, last + 1)}
        for id_ in gone.ids:
            row = self._state.inbox.get(id_)
            if row is not None and row.arrival.sender_instance == by and row.outcome in OPEN:
                numbers.setdefault(_pair(row.arrival), set()).add(row.arrival.sequence)
        for pair, given_up in numbers.items():
            self._give_up(pair, by, given_up)
            self._note(pair, by, max(given_up), given_up)

    async def compacted(self, of: str) -> UUID | None:
        return None

    async def wanted(self, now: datetime) -> dict[str, list[UUID]]:
        wanted: dict[str, list[UUID]] = {}
        rows = sorted(self._state.inbox.items(), key=lambda item: _order(item[1].arrival))
        due = [(id_, row) for id_, row in rows if self._is_wanted(row) and _pause_is_over(row, now)]
        for id_, row in due[:ROWS_MAX]:
            self._state.inbox[id_] = replace(row, wanted_at=now, wanted_times=row.wanted_times + 1)
            wanted.setdefault(row.arrival.sender_instance, []).append(id_)
        return wanted

    async def ask_for_what_waits(self) -> None:
        for id_ in self._state.awaiting:
            row = self._state.inbox[id_]
            if row.outcome is ReceiptOutcome.WAITING:
                self._state.inbox[id_] = replace(row, outcome=ReceiptOutcome.DEFERRED, asked=True, wanted_at=None)
        self._state.awaiting.clear()

    async def ask(self, message_ids: Sequence[UUID]) -> None:
        for id_ in message_ids:
            row = self._state.inbox.get(id_)
            if row is not None and row.outcome is ReceiptOutcome.PARKED:
                self._state.inbox[id_] = replace(row, asked=True, wanted_at=None)

    def take(self, arrivals: Sequence[Arrival]) -> None:
        numbers: dict[tuple[Pair, str], list[int]] = {}
        for each in arrivals:
            if each.sequence:
                numbers.setdefault((_pair(each), each.sender_instance), []).append(each.sequence)
        for (pair, by), taken in numbers.items():
            self._note(pair, by, max(taken), taken)

    def _others(self, pair: Pair, by: str) -> int:
        pairs = self._state.pairs.items()
        return sum(each[:2] == pair[:2] and each != pair and other.instance == by for each, other in pairs)

    def _note(self, pair: Pair, by: str, high: int, taken: Iterable[int]) -> None:
        numbers, others = self._state.pairs.get(pair), self._others(pair, by)
        if others >= EPOCHS_TAKEN_MAX:
            log("numbers_uncounted", peer=by, count=1)
            return
        if numbers is None and others:
            owe_standing(self._state, by)
        numbers = numbers or Numbers(by)
        if numbers.instance == by:
            self._state.pairs[pair] = numbers.noting(high, taken)

    def _give_up(self, pair: Pair, by: str, given_up: set[int]) -> None:
        numbers = self._state.pairs.get(pair)
        if numbers is not None and numbers.instance == by:
            for first, last in _spans(numbers.holes & given_up):
                self._state.gone.setdefault((*pair, first, last), None)
        for id_, row in list(self._state.inbox.items()):
            arrival = row.arrival
            mine = _pair(arrival) == pair and arrival.sender_instance == by and arrival.sequence in given_up
            if mine and row.outcome in OPEN:
                del self._state.inbox[id_]
                self._state.numbered.pop((*pair, arrival.sequence), None)
                self._state.awaiting.pop(id_, None)
                self._state.gone.setdefault((*pair, arrival.sequence, arrival.sequence), id_)

    def _is_wanted(self, row: Row) -> bool:
        if row.outcome not in (ReceiptOutcome.DEFERRED, ReceiptOutcome.PARKED):
            return False
        deferred = row.outcome is ReceiptOutcome.DEFERRED
        return row.asked or (deferred and row.need is not None and bool(Need.met_of([row.need], self._meets)))


class MemoryArrivals:
    """What a unit does with what arrives, over the state of its transaction."""

    def __init__(self, state: Any, keeping: Keeping) -> None:
        self.connection = state
        self._numbers = MemoryTaken(state, keeping)
        self.taken: TakenBook = self._numbers
        self._keeping = keeping

    async def advance(self, steps: Sequence[Step]) -> None:
        for step in steps:
            place = (step.after.topic, step.after.partition)
            before: Cursor | None = self.connection.cursors.get(place)
            if before is None or (before.topic_id, before.following) != (step.after.topic_id, step.first):
                raise Superseded
            self.connection.cursors[place] = step.after

    async def admit(self, arrivals: Sequence[Arrival]) -> Admission:
        state = self.connection
        fresh: set[str] = set()
        done: dict[str, Stored] = {}
        reused: dict[str, str] = {}
        for each in arrivals:
            number = (each.sender, each.recipient, each.epoch, each.sequence)
            if each.digest in fresh:
                continue
            row: Row | None = state.inbox.get(each.message_id)
            if row is not None and row.arrival.digest not in {each.digest, *fresh} and _tells_the_same(row, each):
                done[each.digest] = _word(row)
            elif row is not None and row.arrival.digest != each.digest:
                reused[each.digest] = "message_id_reused"
            elif row is not None and row.outcome in FINAL:
                done[each.digest] = _word(row)
            elif row is None and number in state.numbered:
                reused[each.digest] = "sequence_reused"
            else:
                fresh.add(each.digest)
                state.inbox[each.message_id] = Row(each) if row is None else _reopened(row, each)
                state.numbered[number] = each.message_id
                state.awaiting.pop(each.message_id, None)
        return Admission(frozenset(fresh), done, reused)

    async def withdrawn(self, arrivals: Sequence[Arrival]) -> frozenset[str]:
        taken_back = {
            (row.arrival.sender, row.arrival.recipient, row.arrival.subject)
            for row in self.connection.inbox.values()
            if row.arrival.type in WITHDRAWING and row.outcome is ReceiptOutcome.APPLIED
        }
        return frozenset(each.digest for each in arrivals if (each.sender, each.recipient, each.subject) in taken_back)

    async def held(self, arrivals: Sequence[Arrival]) -> dict[str, Held]:
        found: dict[str, Held] = {}
        told: dict[object, list[Arrival]] = {_said(each): [] for each in arrivals}
        for row in self.connection.inbox.values():
            if row.outcome is ReceiptOutcome.APPLIED and _said(row.arrival) in told:
                told[_said(row.arrival)].append(row.arrival)
        for each in arrivals:
            if same := [other for other in told[_said(each)] if other.digest != each.digest]:
                newest = max(same, key=lambda arrival: arrival.revision or 0)
                found[each.digest] = Held(newest.revision, newest.content)
        return found

    async def end_open(self, withdrawals: Sequence[Arrival]) -> list[Arrival]:
        subjects = {(each.sender, each.recipient, each.subject) for each in withdrawals}
        ended: list[Arrival] = []
        for id_, row in list(self.connection.inbox.items()) if subjects else ():
            arrival = row.arrival
            waits = row.outcome in (ReceiptOutcome.DEFERRED, ReceiptOutcome.WAITING)
            if waits and (arrival.sender, arrival.recipient, arrival.subject) in subjects:
                self.connection.inbox[id_] = replace(
                    row, outcome=ReceiptOutcome.REFUSED, code="subject_withdrawn", need=None
                )
                self.connection.awaiting.pop(id_, None)
                ended.append(arrival)
        return sorted(ended, key=lambda each: (each.sender, each.recipient, each.epoch, each.sequence))

    async def take(self, arrivals: Sequence[Arrival]) -> None:
        self._numbers.take(arrivals)

    async def record_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        for each in outcomes:
            row = self.connection.inbox[each.message_id]
            self.connection.inbox[each.message_id] = replace(row, outcome=each.outcome, code=each.code, need=each.need)

    async def keep_waiting(self, waiting: Sequence[Awaited]) -> frozenset[UUID]:
        held: Mapping[UUID, Kept] = self.connection.awaiting
        room = self._keeping.room
        rows_left = room.rows_max - len(held)
        bytes_left = room.bytes_max - sum(_length(each.waiting) for each in held.values())
        kept: set[UUID] = set()
        for each in waiting:
            if rows_left < 1 or bytes_left < _length(each):
                break
            rows_left, bytes_left = rows_left - 1, bytes_left - _length(each)
            kept.add(each.arrival.message_id)
            signed = [header for header in each.record.headers if is_signed(header[0])]
            kept_record = replace(each.record, headers=tuple(signed))
            self.connection.awaiting[each.arrival.message_id] = Kept(replace(each, record=kept_record))
        return frozenset(kept)

    async def release(self, needs: Sequence[str]) -> None:
        for id_, each in list(self.connection.awaiting.items()):
            if each.waiting.need in needs:
                self.connection.awaiting[id_] = replace(each, due=True)
        for id_, row in list(self.connection.inbox.items()) if needs else ():
            if row.need in needs and row.outcome is ReceiptOutcome.DEFERRED:
                self.connection.inbox[id_] = replace(row, asked=True)

    async def park(self, parked: Sequence[Parked]) -> list[Parked]:
        new = []
        for each in parked:
            held = self.connection.quarantine.get(each.same)
            self.connection.quarantine[each.same] = (each, 1) if held is None else (held[0], held[1] + 1)
            if held is None:
                new.append(each)
        return new


def due_of(state: Any, keeping: Keeping, limit: int) -> list[Record]:
    """Records that waited and need wait no longer."""
    ready = [
        each.waiting
        for each in state.awaiting.values()
        if each.due or Need.met_of([str(each.waiting.need)], keeping.meets)
    ]
    return [each.record for each in sorted(ready, key=lambda each: _order(each.arrival)[1:])[:limit]]


def _word(row: Row) -> Stored:
    judged = row.arrival
    return Stored(row.outcome, row.code, Copy(judged.offset, judged.broker_time, judged.topic_id))


def _tells_the_same(row: Row, other: Arrival) -> bool:
    """Whether a message that has had its last word told, in other bytes, what this one tells."""
    told, tells = ((each.sender, each.recipient, each.content) for each in (row.arrival, other))
    return row.outcome in FINAL and other.content is not None and told == tells


def _reopened(row: Row, arrival: Arrival) -> Row:
    return replace(row, arrival=arrival, outcome=ReceiptOutcome.APPLIED, code=None, need=None, asked=False)


def _pause_is_over(row: Row, now: datetime) -> bool:
    if row.wanted_at is None:
        return True
    pause = min(WANTED_AGAIN * 2 ** (min(row.wanted_times, 20) - 1), WANTED_AGAIN_MAX)
    return row.wanted_at + pause <= now or row.wanted_at >= now + WANTED_AGAIN_MAX


def _said(arrival: Arrival) -> tuple[object, str, str]:
    return arrival.said, arrival.sender, arrival.recipient


def _pair(arrival: Arrival) -> Pair:
    return arrival.sender, arrival.recipient, arrival.epoch


def _order(arrival: Arrival) -> tuple[str, str, str, UUID, int]:
    return arrival.sender_instance, arrival.sender, arrival.recipient, arrival.epoch, arrival.sequence


def _length(waiting: Awaited) -> int:
    return len(waiting.record.value or b"")


def _spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][1] == number - 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return spans
