"""What other instances say of delivery itself: heard here, in the transaction of the batch that brings it.

reads_announced ─▶ what the peer reads          marks.taken ─▶ rows leave, holes go again, what is not held is gone
wanted ─▶ sent again, or gone                   marks.sent  ─▶ numbers to come: those that have not are holes
gone ─▶ passed, and a standing is due           taken beyond what we gave ─▶ we were restored: another epoch
standing ─▶ what the peer lacks is issued anew, what we lack is listed; late ─▶ gone, again ─▶ nothing
                                                beyond what a topic can hold ─▶ nothing, and it is named
receipted as applied, and unknown here ─▶ gone: what is held is told again, and listed
unread, in a later release's words ─▶ noted: the next process asks for it all anew
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.contracts.base import Contract
from shared.contracts.delivery import (
    GoneClear,
    GoneNumbers,
    MarksClear,
    ReadsAnnouncedClear,
    SentMark,
    StandingClear,
    TakenMark,
    WantedClear,
)
from shared.contracts.registry import GONE, MessageType
from shared.exchange.compose import Addressing, compose
from shared.exchange.message import Draft, Received
from shared.exchange.senders import instance_of, serves
from shared.exchange.topics import AUDIT
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid7
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.post.peers import HOLES_A_MINUTE, MARKS_A_MINUTE, WANTS_A_MINUTE, PeerBook, Spoken
from shared.runtime.post.ports import HOLES_LOOKED_AT, Settlement, Unit
from shared.runtime.post.standing import Holding, NothingHeld
from shared.runtime.post.turns import ahead, gone_statements
from shared.runtime.watch.logs import log

#: The book of what peers have said, within the transaction of a unit.
Peers = Callable[[Unit], PeerBook]


@dataclass(frozen=True, slots=True)
class Stating:
    """Writes what this instance states of delivery, by the directory in force."""

    instance: str
    directory: Callable[[], DirectoryIndex]
    clock: Clock

    def drafts(self, message: MessageType, to: str, stated: Sequence[Contract]) -> list[Draft]:
        """A draft each; none to an instance that has left the directory: there is no topic to tell it in."""
        directory, at = self.directory(), self.clock.now()
        try:
            return [
                compose(
                    message,
                    clear,
                    Addressing(
                        subject=uuid7(), sender=self.instance, recipient=to, directory=directory, exercise=False, at=at
                    ),
                )
                for clear in stated
            ]
        except Refused:
            return []


class Talk:
    """`Conversation`: takes what peers say, and answers at once what it can."""

    def __init__(self, stating: Stating, *, peers: Peers, holding: Holding | None = None) -> None:
        self._stating = stating
        self._peers = peers
        self._holding = holding or NothingHeld()

    async def heard(self, unit: Unit, received: Sequence[Received]) -> None:
        for message in received:
            by, spoken = message.sender_instance, Spoken.of(message)
            match message.clear:
                case ReadsAnnouncedClear() as reads:
                    await self._peers(unit).announced(by, reads, spoken)
                case MarksClear() as marks:
                    await self._marked(unit, by, marks, count=await self._peers(unit).marked(by, marks, spoken))
                case WantedClear() as wanted:
                    await self._wanted(unit, by, wanted, count=await self._peers(unit).wanted_by(by, spoken))
                case GoneClear() as gone:
                    log("numbers_gone", peer=by, count=len(gone.numbers) + len(gone.ids))
                    await unit.taken.pass_gone(gone, by=by)
                    await self._peers(unit).owe_standing([by])
                case StandingClear() as standing:
                    await self._stood(unit, message, standing)
                case _:
                    pass  # read, and nothing follows from it

    async def unread(self, unit: Unit, stated: Mapping[str, UUID]) -> None:
        await self._peers(unit).could_not_read(stated)

    async def unknown(self, unit: Unit, held: Sequence[Settlement]) -> None:
        """We were restored: what waited there since before has been applied only now, when its standing had been told.

        It is answered as gone, which keeps what is final as it is, and has the standing told again.
        """
        by: dict[str, dict[UUID, None]] = {}
        for each in held:
            by.setdefault(each.by, {})[each.message_id] = None
        for to, ids in by.items():
            await self._gone(unit, to, ids=list(ids))

    async def _marked(self, unit: Unit, by: str, marks: MarksClear, *, count: int) -> None:
        if not 0 < count <= MARKS_A_MINUTE:
            if count == MARKS_A_MINUTE + 1:
                log("marks_too_many", peer=by)
            return
        await unit.taken.know(self._theirs(by, marks.sent), by=by)
        if not marks.taken:
            return
        given = await unit.sent_book.sent_marks(by, marks.taken)
        beyond = ahead(marks.taken, given, appended=await unit.sent_book.appended(by))
        if beyond.impossible:
            log("marks_impossible", peer=by, count=len(beyond.impossible))
        for to, forgotten in self._ours(by, beyond.forgotten).items():
            log("numbers_forgotten", peer=by, count=len(forgotten))
            await self._peers(unit).forgotten(to, forgotten)
        possible = [mark for mark in marks.taken if mark not in beyond.impossible]
        holes = HOLES_LOOKED_AT if count <= HOLES_A_MINUTE else 0
        gone = await unit.sent_book.take_marks(by, possible, self._stating.clock.now(), holes=holes)
        await self._gone(unit, by, numbers=gone)

    async def _wanted(self, unit: Unit, by: str, wanted: WantedClear, *, count: int) -> None:
        if count > WANTS_A_MINUTE:
            if count == WANTS_A_MINUTE + 1:
                log("wants_too_many", peer=by)
            return
        lost = await unit.sent_book.send_again(by, wanted.ids, self._stating.clock.now())
        await self._gone(unit, by, ids=lost)

    async def _stood(self, unit: Unit, message: Received, standing: StandingClear) -> None:
        """Compare it where it comes in its turn: it says what was so when it was said.

        What comes again was compared then. What comes late, behind what was said after it, is as good as gone: so all
        is told anew.
        """
        by, numbering = message.sender_instance, (message.sender, message.recipient, message.epoch)
        taken = [
            mark for mark in await unit.taken.taken_marks(by) if (mark.sender, mark.recipient, mark.epoch) == numbering
        ]
        if any(mark.says_taken(message.sequence) for mark in taken):
            return
        if any(mark.says_taken_behind(message.sequence) for mark in taken):
            log("standing_late", peer=by)
            await self._gone(unit, by, ids=[message.message_id])
        else:
            await self._holding.compare(unit, by, standing)

    def _ours(self, by: str, marks: Sequence[TakenMark]) -> dict[str, list[TakenMark]]:
        """Those of numbers that are ours to give, or were before their party has left, by the instance they go to.

        Audit reads all that we send, and of who has moved it cannot say whither; of another the word counts for what
        goes to itself, or went before its party has moved, and for nothing else.
        """
        directory, own = self._stating.directory(), self._stating.instance
        ours: dict[str, list[TakenMark]] = {}
        for mark in marks:
            if by != AUDIT:
                to = by if serves(by, mark.recipient, directory) else None
            else:
                to = AUDIT if len(directory.places_of(mark.recipient)) > 1 else instance_of(mark.recipient, directory)
            if serves(own, mark.sender, directory) and to is not None:
                ours.setdefault(to, []).append(mark)
        return ours

    def _theirs(self, by: str, stated: Sequence[SentMark]) -> list[SentMark]:
        """Those of numbers that are for `by` to give, and came to us: now, or before a party of either side moved."""
        directory, own = self._stating.directory(), self._stating.instance
        theirs = [
            each for each in stated if serves(by, each.sender, directory) and serves(own, each.recipient, directory)
        ]
        if len(theirs) < len(stated):
            log("numbers_of_others", peer=by, count=len(stated) - len(theirs))
        return theirs

    async def _gone(
        self, unit: Unit, to: str, *, numbers: Sequence[GoneNumbers] = (), ids: Sequence[UUID] = ()
    ) -> None:
        statements = gone_statements(numbers, ids)
        if statements:
            await unit.enqueue(self._stating.drafts(GONE, to, statements))
            if to != AUDIT:  # it holds no edges, and nobody may tell it of any
                await self._peers(unit).owe_standing([to])
