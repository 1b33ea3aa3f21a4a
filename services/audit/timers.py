"""The clock's door: tells every instance which of its numbers audit has seen, so that it sends what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final, Protocol, Unpack

from services.audit.ports import Marks, Telling
from shared.contracts.delivery import ROWS_MAX, MarksClear, TakenMark
from shared.contracts.registry import MARKS
from shared.exchange.compose import Addressing, compose
from shared.exchange.message import Draft
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.kernel.ids import uuid7
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.watch.health import Check
from shared.runtime.watch.logs import Fields, log

#: How often it is asked whether somebody is to be told.
POLL_S: Final = 2.0
BACK_OFF_S: Final = 5.0
#: Without a turn for so long marks are told to nobody, and no sender can let go of what it has sent.
TURN_S_MAX: Final = 60.0


class Says(Protocol):
    async def say(self, drafts: Sequence[Draft]) -> None:
        """Append unnumbered statements. Raises `Unavailable`."""
        ...


class MarkTimer:
    """Tells marks while it runs. What cannot be told now is told later: marks say what is, not what changed."""

    def __init__(
        self,
        marks: Marks,
        speaker: Says,
        *,
        instance: str,
        directory: Callable[[], DirectoryIndex],
        clock: Clock,
    ) -> None:
        self._marks = marks
        self._speaker = speaker
        self._instance = instance
        self._directory = directory
        self._clock = clock
        self._untold: set[str] = set()
        #: When everybody due was last gone through; None: this process does not tell marks.
        self._last_turn: datetime | None = None

    async def run(self) -> None:
        """Tell until cancelled; outages are waited out, and one instance that cannot be told keeps no other waiting."""
        self._last_turn = self._last_turn or self._clock.now()
        while True:
            try:
                await self.tell_due()
                self._last_turn = self._clock.now()
                await asyncio.sleep(POLL_S)
            except Unavailable as error:
                log("broker_waits", code=error.code)
                await asyncio.sleep(BACK_OFF_S)

    async def check(self) -> Check:
        """Ready also where somebody cannot be told, who keeps what it has sent; not where nobody is told any more."""
        age_s = None if self._last_turn is None else (self._clock.now() - self._last_turn).total_seconds()
        if age_s is not None and age_s > TURN_S_MAX:
            return Check("marks", False, "marks_stand_still", age_s)
        return Check("marks", True, "marks_untold" if self._untold else "")

    async def tell_due(self) -> None:
        """Tell everybody who is to be told now, once. Raises `Unavailable` where the database is away.

        A defect by which one cannot be told keeps nobody else waiting; one by which nobody can is raised.
        """
        defect, told = list[Exception](), 0
        for telling in await self._marks.due():
            try:
                await self._speaker.say(self.drafts(telling))
                self._untold.discard(telling.to)
            except Unavailable as error:
                self._not_told(telling.to, topic=telling.to, code=error.code)
            except Exception as error:  # whatever is to be told this one, the others are
                self._not_told(telling.to, topic=telling.to, code="marks_defect", error=type(error).__name__)
                defect.append(error)
            else:
                told += 1
                await self._marks.told(telling)
        if defect and not told:
            raise defect[0]

    def _not_told(self, to: str, **why: Unpack[Fields]) -> None:
        if to not in self._untold:
            log("broker_waits", **why)
        self._untold.add(to)

    def drafts(self, telling: Telling) -> list[Draft]:
        """The statements of one telling: none for an instance that has left the directory."""
        directory = self._directory()
        if directory.instance(telling.to) is None:
            return []
        return [self._draft(telling, rows, directory) for rows in _parts(telling.taken)]

    def _draft(self, telling: Telling, rows: Sequence[TakenMark], directory: DirectoryIndex) -> Draft:
        clear = MarksClear(sent=(), taken=tuple(rows), asking=False, nonce=uuid7(), answers=telling.answers)
        return compose(
            MARKS,
            clear,
            Addressing(
                subject=uuid7(),
                sender=self._instance,
                recipient=telling.to,
                directory=directory,
                exercise=False,
                at=self._clock.now(),
            ),
        )


def _parts(rows: Sequence[TakenMark]) -> Iterator[Sequence[TakenMark]]:
    """At most `ROWS_MAX` at a time; one part of none where there is nothing to tell but that somebody asked."""
    for start in range(0, max(len(rows), 1), ROWS_MAX):
        yield rows[start : start + ROWS_MAX]
