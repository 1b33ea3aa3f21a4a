"""An instance that talks of delivery with its peers: its books in memory, and what it says."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from shared.contracts.base import Contract
from shared.contracts.delivery import (
    GoneClear,
    GoneNumbers,
    HeldEdge,
    MarksClear,
    Numbering,
    ReadsAnnouncedClear,
    SentMark,
    StandingClear,
    TakenMark,
)
from shared.contracts.registry import MessageType
from shared.exchange.accept import accept
from shared.exchange.message import Draft, Received
from shared.kernel.clock import ManualClock
from shared.kernel.errors import CausewayError
from shared.kernel.ids import uuid7
from shared.runtime.post.peers import FIRST, Spoken, Word
from shared.runtime.post.ports import Unit
from shared.runtime.post.talk import Stating, Talk
from shared.runtime.post.talk_loop import Speaker
from tests.support.builders import AT
from tests.support.exchange_world import World, later

EPOCH = uuid7()
PAIR: dict[str, Any] = {"sender": "hotline-nl.example", "recipient": "police-nl.example", "epoch": EPOCH}


@dataclass
class Books:
    """All books of one instance; what is asked of them is kept in `asked`. It stands for a unit as well."""

    sent: list[SentMark] = field(default_factory=list)
    taken_of: list[TakenMark] = field(default_factory=list)
    held: set[UUID] = field(default_factory=set)
    #: As many turns does it take to forget what was answered.
    answered_parts: int = 1
    unread_of: dict[str, UUID] = field(default_factory=dict)
    not_held: list[GoneNumbers] = field(default_factory=list)
    wants: dict[str, list[UUID]] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    #: Of which numbers alone it was asked what was given.
    named: list[Numbering] = field(default_factory=list)
    outgoing: list[Draft] = field(default_factory=list)
    read: dict[str, ReadsAnnouncedClear] = field(default_factory=dict)
    words_of: dict[str, Word] = field(default_factory=dict)
    marked_at: dict[str, Spoken] = field(default_factory=dict)
    #: Whether the database is another one than before.
    another: bool = True
    stands_to: dict[str, UUID] = field(default_factory=dict)
    #: How many records each topic holds, and how many marks were said in this minute.
    records: int = 100
    count: int = 0

    @property
    def connection(self) -> Books:
        return self

    @asynccontextmanager
    async def savepoint(self, error: type[Exception]) -> AsyncIterator[None]:
        yield

    @property
    def sent_book(self) -> Books:
        return self

    @property
    def taken(self) -> Books:
        return self

    async def sent_marks(self, to: str, of: Sequence[Numbering] | None = None) -> list[SentMark]:
        self.named += of or ()
        return self.sent

    async def appended(self, to: str) -> int:
        return self.records

    async def take_marks(self, by: str, taken: Sequence[TakenMark], at: object, *, holes: int) -> list[GoneNumbers]:
        self.asked.append(("take_marks", (by, tuple(taken))))
        return self.not_held if holes else []

    async def send_again(self, to: str, ids: Sequence[UUID], at: datetime) -> list[UUID]:
        self.asked.append(("send_again", (to, tuple(ids))))
        return [each for each in ids if each not in self.held]

    async def receipts_lost(self, by: str, at: datetime) -> bool:
        self.asked.append(("receipts_lost", by))
        self.answered_parts -= 1
        return self.answered_parts > 0

    async def taken_marks(self, of: str) -> list[TakenMark]:
        return self.taken_of

    async def know(self, sent: Sequence[SentMark], *, by: str) -> None:
        self.asked.append(("know", (by, tuple(sent))))

    async def pass_gone(self, gone: GoneClear, *, by: str) -> None:
        self.asked.append(("pass_gone", (by, gone)))

    async def compacted(self, of: str) -> UUID | None:
        return None

    async def ask_for_what_waits(self) -> None:
        self.asked.append(("ask_for_what_waits", ()))

    async def wanted(self, now: object) -> dict[str, list[UUID]]:
        return self.wants

    async def enqueue(self, drafts: Sequence[Draft]) -> None:
        self.outgoing += drafts

    async def announced(self, by: str, reads: ReadsAnnouncedClear, spoken: Spoken) -> None:
        self.read[by] = reads

    async def marked(self, by: str, marks: MarksClear, spoken: Spoken) -> int:
        if not spoken.follows(self.marked_at.get(by)):
            return 0
        self.marked_at[by] = spoken
        stands = by in self.stands_to
        begins = self.stands_to.get(by) == FIRST
        self.words_of[by] = Word(marks.nonce if marks.asking else None, marks.answers, stands, begins)
        self.count += 1
        return self.count

    async def wanted_by(self, by: str, spoken: Spoken) -> int:
        self.count += 1
        return self.count

    async def words(self) -> dict[str, Word]:
        return self.words_of

    async def answered(self, to: str, nonce: UUID) -> None:
        self.words_of[to] = replace(self.words_of[to], owes=None)

    async def could_not_read(self, stated: Mapping[str, UUID]) -> None:
        self.unread_of |= stated

    async def unread(self, of: Collection[str]) -> dict[str, UUID]:
        return {each: self.unread_of.pop(each) for each in of if each in self.unread_of}

    async def began(self) -> bool:
        began, self.another = self.another, False
        return began

    async def owe_standing(self, to: Sequence[str]) -> None:
        for each in to:
            self.stands_to[each] = FIRST
            self.words_of[each] = replace(self.words_of.get(each, Word()), stands=True, begins=True)

    async def standings(self, to: Sequence[str], now: object) -> dict[str, UUID]:
        return {each: self.stands_to[each] for each in to if each in self.stands_to}

    async def stood(self, to: str, above: UUID | None) -> None:
        if above is None:
            del self.stands_to[to]
            self.words_of[to] = replace(self.words_of[to], stands=False, begins=False)
        else:
            self.stands_to[to] = above
            self.words_of[to] = replace(self.words_of[to], begins=False)

    async def forgotten(self, by: str, taken: Sequence[TakenMark]) -> None:
        self.asked.append(("forgotten", (by, tuple(taken))))

    # Of a store: one unit at a time, which is itself.
    def unit(self) -> Books:
        return self

    async def __aenter__(self) -> Books:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class Shelf:
    """Edges of law enforcement that are held here, and what was heard of ours."""

    def __init__(self) -> None:
        self.edges: list[UUID] = []
        self.compared: list[tuple[str, StandingClear]] = []

    async def held(self, unit: Unit, of: str, *, above: UUID, limit: int) -> list[HeldEdge]:
        some = [each for each in sorted(self.edges) if each > above and of == "law_enforcement"][:limit]
        return [HeldEdge(edge_id=each, digest="4b" * 32, track=1, withdrawn=False) for each in some]

    async def compare(self, unit: Unit, by: str, standing: StandingClear) -> None:
        self.compared.append((by, standing))


class Desk:
    """The hotline's instance, which hears law enforcement's."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.clock = ManualClock(AT)
        self.books = Books()
        self.said: list[Draft] = []
        #: What each topic answers; nothing: it takes what is said.
        self.refusing: dict[str, CausewayError] = {}
        #: Those whose topic does not answer until `answers` is set, and how often each was asked.
        self.hangs: set[str] = set()
        self.answers = asyncio.Event()
        self.asked_of: Counter[str] = Counter()
        self.stating = Stating("hotline", lambda: here.documents.directory, self.clock)
        self.holding = Shelf()
        self.talk = Talk(self.stating, peers=lambda unit: unit, holding=self.holding)  # type: ignore[arg-type, return-value]
        self.speaker = self.started()

    def started(self) -> Speaker:
        """A process of the instance has started."""
        books: Any = self.books
        return Speaker(books, self.stating, peers=lambda unit: books, say=self._say, holding=self.holding)

    def heard(self, message: MessageType, clear: Contract, *, by: str, late: int) -> Received:
        stating = Stating(by, lambda: self.here.documents.directory, ManualClock(AT))
        drafts = stating.drafts(message, "hotline", [clear])
        (record,) = self.here.records(drafts, by)
        return accept(later(record, timedelta(seconds=late)), self.here.reader("hotline"))

    async def hear(self, message: MessageType, clear: Contract, *, by: str = "law_enforcement", late: int = 0) -> None:
        await self.talk.heard(self.books, [self.heard(message, clear, by=by, late=late)])  # type: ignore[arg-type]

    async def _say(self, draft: Draft) -> None:
        if draft.recipient in self.hangs:
            self.asked_of[draft.recipient] += 1
            await self.answers.wait()
        if draft.recipient in self.refusing:
            raise self.refusing[draft.recipient]
        self.said.append(draft)

    def told(self, to: str = "law_enforcement") -> list[dict[str, Any]]:
        """The marks said to one peer since the last look."""
        told = [json.loads(draft.body)["clear"] for draft in self.said if draft.recipient == to]
        self.said = [draft for draft in self.said if draft.recipient != to]
        return told


def marks(**changes: Any) -> MarksClear:
    stated: dict[str, Any] = {"sent": (), "taken": (), "asking": False, "nonce": uuid7()}
    return MarksClear(**stated | changes)
