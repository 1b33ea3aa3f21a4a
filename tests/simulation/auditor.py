"""Audit in the simulation: reads every topic by cursors of its own, says what of its numbers it has seen to each.

Where to read on is the real decision (`services.audit.domain.partitions`), and so is what marks say and when
(`MarkTimer`); what audit keeps is a few dictionaries, which a restore sets back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from services.audit.domain.partitions import Cursor, Life, beginning, refilled
from services.audit.ports import Marks, Telling
from services.audit.store.marks import HOLES_S, NEWS_S
from services.audit.timers import MarkTimer
from shared.contracts.delivery import GoneClear, MarksClear, TakenMark
from shared.contracts.registry import BY_TYPE, MARKS, MESSAGES_RECEIPTED, STATED_BY_INSTANCES
from shared.envelope.batch import message_digest
from shared.exchange.message import Draft, Record, record_digest
from shared.exchange.topics import AUDIT
from shared.kernel.errors import CausewayError, Unavailable
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.post.stamping import sign_unnumbered
from tests.simulation.cheap import Key, opened
from tests.simulation.writing import read_clear
from tests.support.accounts import Line
from tests.support.memory_outbox import Numbered, taken_mark

if TYPE_CHECKING:
    from tests.simulation.world import World

KEY = Key(bytes(range(2, 34)))
POLL_S = 5.0


@dataclass(slots=True)
class Seen:
    """What audit knows of one pair and epoch."""

    instance: str
    known: int = 0
    taken: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    changed_at: datetime | None = None

    @property
    def open(self) -> bool:
        return len(self.taken | self.gone) < self.known


@dataclass(slots=True)
class Books:
    """All that audit keeps."""

    cursors: dict[Life, Cursor] = field(default_factory=dict)
    pairs: dict[Numbered, Seen] = field(default_factory=dict)
    lines: dict[object, Line] = field(default_factory=dict)
    facts: dict[UUID, bytes] = field(default_factory=dict)
    #: The outcome of each message and the broker's time of the copy that was judged.
    judged: list[tuple[UUID, str | None, datetime]] = field(default_factory=list)
    asked: dict[str, UUID] = field(default_factory=dict)
    told: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)


class Auditor:
    """Audit's process and what it keeps."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.books = Books()
        #: What it has kept at any time, also before it was restored.
        self.ever_kept: dict[object, Line] = {}
        self.away_until_s = 0.0
        self.restored = False
        self._leaders: dict[str, int] = {}
        marks = cast(Marks, _Marks(self))
        directory = cast(DirectoryIndex, None)
        self._timer = _Timer(marks, self, instance=AUDIT, directory=lambda: directory, clock=world.clock)
        self._timer.world = world

    async def run(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            if self._world.loop.virtual_s >= max(self._world.broker_down_until_s, self.away_until_s):
                self.read()
                await self._timer.tell_due()

    def copy(self) -> Books:
        return deepcopy(self.books)

    def restore(self, books: Books) -> None:
        """Its database is an older one; its process begins anew."""
        self.restored = True
        self.ever_kept |= self.books.lines
        self.books = deepcopy(books)
        self._leaders.clear()

    def idle(self) -> bool:
        """Whether all that can be read was read."""
        return all(map(self.has_read, self._world.log.topics))

    def has_read(self, name: str) -> bool:
        topic = self._world.log.topics[name]
        cursor = self.books.cursors.get(Life(name, topic.topic_id, 0))
        return cursor is not None and cursor.next_offset == topic.end

    def read(self) -> None:
        """Take what every topic has, each from where it was left."""
        for name, topic in sorted(self._world.log.topics.items()):
            life = Life(name, topic.topic_id, 0)
            cursor = self.books.cursors.get(life)
            begun = beginning(life, cursor, first=topic.first, end=topic.end)
            changed = self._leaders.get(name) != topic.leader_epoch
            self._leaders[name] = topic.leader_epoch
            if changed and cursor is not None and not begun.again and begun.offset < cursor.next_offset:
                last = topic.since(begun.offset)[0]
                if record_digest(last) != cursor.digest:
                    begun = refilled(life, cursor, first=topic.first)
            offset = begun.offset if begun.again or cursor is None else cursor.next_offset
            records = topic.since(offset)
            for record in records:
                self._keep(record)
            if records:
                self.books.cursors[life] = Cursor(records[-1].offset + 1, record_digest(records[-1]))
            elif begun.again or cursor is None:
                self.books.cursors[life] = Cursor(offset)

    async def say(self, drafts: Sequence[Draft]) -> None:
        world = self._world
        for draft in drafts:
            if world.random.random() < world.fault_rate and not world.calm:
                raise Unavailable("broker_unavailable")
            signed = sign_unnumbered(draft, world.new_id(), instance=AUDIT, key=KEY)
            world.log.append(draft.recipient_instance, signed, AUDIT)

    def _keep(self, record: Record) -> None:
        try:
            envelope = opened(tuple(record.headers), record.value or b"")
        except CausewayError:
            return
        stated, message = envelope.attributes, BY_TYPE[envelope.attributes.type]
        by = stated.source.removeprefix("/instances/")
        of = (stated.sender, stated.recipient, stated.epoch)
        if stated.sequence:
            self._note(of, by, stated.sequence, {stated.sequence})
            digest = message_digest(stated, envelope.body)
            line = Line(stated.id, of, stated.sequence, digest, stated.type)
            self.books.lines.setdefault((*of, stated.sequence, digest), line)
            previous = stated.previous
            if previous is not None and previous.epoch is not None and previous.last is not None:
                self._note((*of[:2], previous.epoch), by, previous.last, set())
        if message is MESSAGES_RECEIPTED:
            clear: Any = read_clear(message, envelope.body)
            self.books.judged += [(e.message_id, e.code, e.judged.broker_time) for e in clear.entries]
        if stated.recipient == AUDIT:
            self._hear(by, stated.id, record)

    def _hear(self, by: str, message_id: UUID, record: Record) -> None:
        envelope = opened(tuple(record.headers), record.value or b"")
        message = BY_TYPE[envelope.attributes.type]
        if message.family in STATED_BY_INSTANCES and message.name in ("referral_decided", "message_parked"):
            self.books.facts[message_id] = envelope.body if message.name == "referral_decided" else b""
            return
        match read_clear(message, envelope.body):
            case MarksClear() as marks:
                for each in marks.sent:
                    self._note((each.sender, each.recipient, each.epoch), by, each.last, set())
                if marks.asking:
                    self.books.asked[by] = marks.nonce
            case GoneClear() as gone:
                for row in gone.numbers:
                    numbers = {n for first, last in row.spans for n in range(first, last + 1)}
                    self._note((row.sender, row.recipient, row.epoch), by, max(numbers), set(), gone=numbers)
            case _:
                pass

    def _note(self, of: Numbered, by: str, known: int, taken: set[int], *, gone: Iterable[int] = ()) -> None:
        seen = self.books.pairs.setdefault(of, Seen(by))
        before = (seen.known, len(seen.taken), len(seen.gone))
        seen.known = max(seen.known, known)
        seen.taken |= taken
        seen.gone |= set(gone)
        if before != (seen.known, len(seen.taken), len(seen.gone)):
            seen.changed_at = self._world.clock.now()


class _Marks:
    """`Marks` over audit's dictionaries."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor

    async def due(self) -> list[Telling]:
        books, now = self._auditor.books, self._auditor._world.clock.now()
        due = []
        for name in self._auditor._world.instances:
            pairs = {of: seen for of, seen in books.pairs.items() if seen.instance == name}
            through, at = books.told.get(name, (None, None))
            news = max((seen.changed_at for seen in pairs.values() if seen.changed_at), default=None)
            is_new = news is not None and (through is None or news > through) and _passed(at, now, NEWS_S)
            holes = any(seen.open for seen in pairs.values()) and at is not None and _passed(at, now, HOLES_S)
            asked = books.asked.get(name)
            if asked is not None or is_new or holes:
                told = [
                    _mark(of, seen)
                    for of, seen in sorted(pairs.items(), key=str)
                    if asked or through is None or seen.open or (seen.changed_at or through) > through
                ]
                due.append(Telling(name, tuple(told), news, asked))
        return due

    async def told(self, telling: Telling) -> None:
        books, now = self._auditor.books, self._auditor._world.clock.now()
        books.told[telling.to] = (telling.through or now, now)
        if books.asked.get(telling.to) == telling.answers:
            books.asked.pop(telling.to, None)


class _Timer(MarkTimer):
    """The real timer; what it says is written by the simulation's own writer."""

    world: World

    def drafts(self, telling: Telling) -> list[Draft]:
        writer = self.world.writer
        marks = MarksClear(
            sent=(), taken=telling.taken, asking=False, nonce=self.world.new_id(), answers=telling.answers
        )
        return [writer.statement(MARKS, marks, sender=AUDIT, recipient=telling.to)]


def _mark(of: Numbered, seen: Seen) -> TakenMark:
    return taken_mark(of, seen.taken | seen.gone, upto=seen.known)


def _passed(at: datetime | None, now: datetime, pause_s: float) -> bool:
    return at is None or at < now - timedelta(seconds=pause_s)
