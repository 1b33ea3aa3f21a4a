"""What this instance says of delivery by itself, beside its relay: what it reads, marks, what it wants again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.contracts.delivery import ROWS_MAX, MarksClear, WantedClear
from shared.contracts.registry import GONE, MARKS, READS_ANNOUNCED, STANDING, WANTED
from shared.exchange.correspondents import pairs_of
from shared.exchange.message import Draft
from shared.exchange.reads import own_reads
from shared.exchange.topics import AUDIT
from shared.kernel.errors import Refused, Unavailable
from shared.kernel.ids import uuid4
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.post.peers import PeerBook, Word
from shared.runtime.post.ports import InboxStore, Unit
from shared.runtime.post.standing import Holding, NothingHeld, parts
from shared.runtime.post.talk import Peers, Stating
from shared.runtime.post.turns import TalkSettings, Turn, View, gone_statements, next_marks, note_said
from shared.runtime.watch.logs import log

#: Appends one unnumbered statement at once, and keeps it nowhere. Raises `Unavailable`.
Say = Callable[[Draft], Awaitable[None]]

_SETTINGS: Final = TalkSettings()
#: Said of what nobody foresaw.
DEFECT: Final = "talk_defect"


@dataclass(slots=True)
class _Marked:
    """Marks that are to be said to one peer, as soon as the transaction that looked has ended."""

    to: str
    turn: Turn
    view: View
    word: Word
    marks: list[MarksClear]


class Speaker:
    """One active per instance, as the relay is. What it forgets with its process, it asks for anew."""

    def __init__(
        self,
        store: InboxStore,
        stating: Stating,
        *,
        peers: Peers,
        say: Say,
        holding: Holding | None = None,
        settings: TalkSettings = _SETTINGS,
    ) -> None:
        self._store = store
        self._stating = stating
        self._peers = peers
        self._say = say
        self._holding = holding or NothingHeld()
        self._settings = settings
        self._turns: dict[str, Turn] = {}
        #: To whom marks are being said.
        self._saying: dict[str, asyncio.Task[None]] = {}
        self._announced: set[str] = set()

    async def run(self) -> None:
        """Speak until cancelled; what is `Unavailable` is tried again at the next turn."""
        try:
            while True:
                try:
                    await self.turn()
                except Unavailable as error:
                    log("talk_waits", code=error.code)
                except Exception as error:  # whatever was heard, the relay that stands beside goes on
                    log("talk_waits", code=DEFECT, error=type(error).__name__)
                await asyncio.sleep(self._settings.poll_s)
        finally:
            for saying in self._saying.values():
                saying.cancel()
            await asyncio.gather(*self._saying.values(), return_exceptions=True)

    async def turn(self) -> None:
        """Say what is due now. Raises `Unavailable` where the database is away: then all of it is due still.

        What one peer's topic does not take, or not yet, is due still, and keeps nobody else's waiting: as long as it
        does not answer its peer is passed over, and no turn waits for it longer than one is apart from the next.
        """
        self._said()
        others = peers_of(self._stating.instance, self._stating.directory())
        now = self._stating.clock.now()
        async with self._store.unit() as unit:
            peers = self._peers(unit)
            await self._look_for_another_life(unit, peers, others)
            words = await peers.words()
            announced = await self._announce(unit, others)
            for to, ids in (await unit.taken.wanted(now)).items():
                async with _apart(unit, to):
                    await unit.enqueue(self._stating.drafts(WANTED, to, _wants(ids)))
            due = [await self._marks_for(unit, to, words.get(to, Word())) for to in others]
        self._announced |= announced
        for each in due:
            if each is not None and each.marks:
                self._saying[each.to] = asyncio.create_task(self._say_marks(each))
        await self._tell_standings(words)
        if self._saying:
            await asyncio.wait(self._saying.values(), timeout=self._settings.poll_s)
        self._said()

    def _said(self) -> None:
        for to in [to for to, saying in self._saying.items() if saying.done()]:
            self._saying.pop(to).result()

    async def _look_for_another_life(self, unit: Unit, peers: PeerBook, others: Collection[str]) -> None:
        """Another database than before: every peer is asked what it knows of us, and told what we hold of its edges.

        And for what waits here: it may have been applied since, and settled.
        """
        if await peers.began():
            log("database_began", count=len(others))
            self._turns.clear()
            await peers.owe_standing([to for to in others if to != AUDIT])
            await unit.taken.ask_for_what_waits()

    async def _tell_standings(self, words: Mapping[str, Word]) -> None:
        """Go on telling those that it is due to, once all that they had sent before our life began has been taken.

        That is so where a mark of theirs has named our nonce, and no number below it is missing.
        """
        for to, word in words.items():
            if word.stands and to in self._turns and self._turns[to].heard(word):
                try:
                    if not word.begins or await self._answers_forgotten(to):
                        await self._tell_standing(to)
                except Unavailable:
                    raise
                except Exception as error:  # whatever is held of this one's, the others are told
                    log("talk_waits", code=DEFECT, topic=to, error=type(error).__name__)

    async def _answers_forgotten(self, to: str) -> bool:
        """What it had deferred or let wait it may not hold any more, nor want: it is asked again. False: not all yet.

        It or we were restored, or receipts are gone. Rows are locked before lanes, so not while a standing is told.
        """
        async with self._store.unit() as unit:
            if any(mark.holes for mark in await unit.taken.taken_marks(to)):
                return False
            return not await unit.sent_book.receipts_lost(to, self._stating.clock.now())

    async def _tell_standing(self, to: str) -> None:
        async with self._store.unit() as unit:
            peers = self._peers(unit)
            for above in (await peers.standings([to], self._stating.clock.now())).values():
                if not any(mark.holes for mark in await unit.taken.taken_marks(to)):
                    told, above_next = await parts(self._holding, unit, to, above=above)
                    await unit.enqueue(self._stating.drafts(STANDING, to, told))
                    await peers.stood(to, above_next)

    async def _announce(self, unit: Unit, others: Collection[str]) -> set[str]:
        """Say what this release reads; where the process before could not read a peer, that all of it is to come anew.

        To the peer its statement is gone, so it tells what it holds; what it had answered for is told to it again.
        """
        new = set(others) - self._announced
        for to, message_id in (await self._peers(unit).unread(new)).items():
            await unit.enqueue(self._stating.drafts(GONE, to, gone_statements((), [message_id])))
            if to != AUDIT:
                await self._peers(unit).owe_standing([to])
        for to in sorted(new):
            await unit.enqueue(self._stating.drafts(READS_ANNOUNCED, to, [own_reads()]))
        return new

    async def _marks_for(self, unit: Unit, to: str, word: Word) -> _Marked | None:
        now, turn = self._stating.clock.now(), self._turns.setdefault(to, Turn(uuid4()))
        if to in self._saying or not turn.look_due(word, now, self._settings):
            return None
        turn.looked_at = now
        async with _apart(unit, to):
            taken = [] if to == AUDIT else await unit.taken.taken_marks(to)
            view = View(frozenset(await unit.sent_book.sent_marks(to)), frozenset(taken))
            return _Marked(to, turn, view, word, next_marks(turn, view, word, now=now, settings=self._settings))
        return None

    async def _say_marks(self, due: _Marked) -> None:
        try:
            for draft in self._stating.drafts(MARKS, due.to, due.marks):
                await self._say(draft)
            note_said(due.turn, due.view, due.marks, now=self._stating.clock.now())
            if due.word.owes is not None:
                async with self._store.unit() as unit:
                    await self._peers(unit).answered(due.to, due.word.owes)
        except (Refused, Unavailable) as error:
            log("talk_waits", code=error.code, topic=due.to)
        except Exception as error:  # whatever this one is to be told, the others are
            log("talk_waits", code=DEFECT, topic=due.to, error=type(error).__name__)


@asynccontextmanager
async def _apart(unit: Unit, to: str) -> AsyncIterator[None]:
    """What is made of one peer within a unit: whatever fails in it is undone alone, and the others are told."""
    try:
        async with unit.connection.savepoint(Exception):
            yield
    except Unavailable:
        raise
    except Exception as error:
        log("talk_waits", code=DEFECT, topic=to, error=type(error).__name__)


def peers_of(instance: str, directory: DirectoryIndex) -> list[str]:
    """The instances that this one may tell something, audit among them; itself where its parties write each other."""
    return sorted({pair.to for pair in pairs_of(directory.kinds()) if pair.sender == instance})


def _wants(ids: list[UUID]) -> list[WantedClear]:
    return [WantedClear(ids=tuple(ids[start : start + ROWS_MAX])) for start in range(0, len(ids), ROWS_MAX)]
