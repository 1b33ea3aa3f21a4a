"""The relay: the only code that publishes to Kafka. It appends what is stored, lane by lane, and notes how far it came.

    committed row ──append──▶ record ──note (one update of the lane's row)──▶ under way

A crash or an outage between the two repeats an append with the same bytes: the inbox on the other side drops what it
has seen. Each lane has a task, an order, a back-off and a budget of its own: none waits for another. What cannot be
read, or is larger than any topic may take, is set aside with a reason; whatever is wrong with a topic is waited for, in
order. Nothing that is stored can raise here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from uuid import UUID

from shared.exchange.message import Draft
from shared.exchange.topics import AUDIT
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused, Unavailable
from shared.runtime.post.gate import Gate, said_by_a_party
from shared.runtime.post.ports import (
    MENDED_BY_HAND,
    Appended,
    LaneStore,
    LaneWork,
    LogWriter,
    Outgoing,
    Progress,
    Waiting,
)
from shared.runtime.watch.health import Check
from shared.runtime.watch.logs import log

#: Makes the record of a statement that has no number.
SignsUnnumbered = Callable[[Draft], Outgoing]


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How often the relay looks, and how long a lane waits after a failure. Seconds."""

    batch_rows_max: int = 500
    poll_s: float = 0.25
    #: The pause doubles up to so much while nothing is found.
    poll_s_max: float = 1.0
    #: What nobody waits for, receipts and what goes to audit, may gather for so long: fewer batches, for everybody.
    gather_s: float = 0.2
    back_off_s: float = 0.2
    back_off_s_max: float = 5.0
    #: A topic that the broker refuses is tried again after so long, then ever more rarely.
    refused_s: float = 10.0
    refused_s_max: float = 300.0


@dataclass(slots=True)
class _Lane:
    """What the relay knows of a lane that it serves."""

    name: str
    news: asyncio.Event = field(default_factory=asyncio.Event)
    waits_for: str = ""
    task: asyncio.Task[None] | None = None


class Relay:
    """One active per instance. `wake` is called after a commit that sends; polling is the fallback."""

    def __init__(
        self,
        store: LaneStore,
        log_writer: LogWriter,
        *,
        clock: Clock,
        sign: SignsUnnumbered,
        gate: Gate | None = None,
        settings: RelaySettings = RelaySettings(),
    ) -> None:
        self._store = store
        self._log_writer = log_writer
        self._clock = clock
        self._sign = sign
        self._gate = gate or Gate()
        self._settings = settings
        self._news = asyncio.Event()
        self._gathering: asyncio.TimerHandle | None = None
        self._waits_for = ""
        self._pause_s = settings.poll_s
        self._lanes: dict[str, _Lane] = {}
        self._tried_aside = False
        self.last_progress: datetime | None = None

    def wake(self) -> None:
        """There may be something new: look now instead of at the next poll."""
        self._news.set()

    def wake_soon(self) -> None:
        """There may be something new that nobody waits for: look when more has had time to gather."""
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(self._settings.gather_s, self._gathered)

    def check(self) -> Check:
        """Ready also in an outage, which `reason` names: meanwhile messages are safe in the outbox."""
        waiting = sorted(lane.waits_for for lane in self._lanes.values() if lane.waits_for)
        return Check("relay", True, self._waits_for or self.edges_wait() or (waiting[0] if waiting else ""))

    def edges_wait(self) -> str:
        """Why edges may not leave now, one of `gate.REASONS`; "" where they may."""
        return self._gate.reason()

    async def run(self) -> None:
        """Publish until cancelled."""
        try:
            while True:
                self._news.clear()
                await self._look()
                await self._sleep_until_news()
        finally:
            tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def publish_once(self, name: str) -> bool:
        """Append the first rows that wait in a lane, and note them; whether there may be more.

        Raises `Unavailable` after noting what had been appended before.
        """
        work = await self._store.work(name, self._settings.batch_rows_max)
        if not work.rows:
            # What waited here was given other positions, or has settled.
            await self._store.note(name, Progress(work.last, self._clock.now()))
            return False
        rows = list(takewhile(lambda row: not self._reason(row), work.rows))
        waits_for = self._reason(work.rows[len(rows)]) if len(rows) < len(work.rows) else ""
        if rows:
            await self._append(name, work, rows)
        self._lane(name).waits_for = waits_for
        return len(rows) == self._settings.batch_rows_max

    async def say(self, draft: Draft) -> None:
        """Append a statement that has no number and is stored nowhere. Raises `Unavailable`."""
        name = draft.recipient_instance
        work = await self._store.work(name, 0)
        appended = await self._appended(name, [self._sign(draft)], once=True)
        if work.last and appended.offset is not None:
            await self._store.note(name, Progress(0, self._clock.now(), appended.offset))
            await self._mind_tail(name, work, appended)

    def _reason(self, row: Waiting) -> str:
        """Why a row may not leave yet; "" where it may."""
        if row.edge:
            return self._gate.reason()
        said_at = None if row.record is None else said_by_a_party(row.record)
        return "" if said_at is None else self._gate.reason_of(said_at, self._clock.now())

    def _gathered(self) -> None:
        self._gathering = None
        self._news.set()

    def _lane(self, name: str) -> _Lane:
        return self._lanes.setdefault(name, _Lane(name))

    async def _look(self) -> None:
        """Have each lane in which something waits served by its task."""
        try:
            if not self._tried_aside:  # once a start
                await self._store.try_aside()
                self._tried_aside = True
            names, self._waits_for = await self._store.lanes(), ""
        except Unavailable as error:
            self._waits_for = error.code
            log("relay_waits", code=error.code)
            return
        longer_s = max(self._settings.poll_s, min(self._pause_s * 2, self._settings.poll_s_max))
        self._pause_s = self._settings.poll_s if names else longer_s
        for name in names:
            lane = self._lane(name)
            lane.news.set()
            if lane.task is None or lane.task.done():
                lane.task = asyncio.create_task(self._serve(lane))

    async def _serve(self, lane: _Lane) -> None:
        while True:
            await lane.news.wait()
            if lane.name == AUDIT:
                await asyncio.sleep(self._settings.gather_s)
            lane.news.clear()
            await self._empty(lane)

    async def _empty(self, lane: _Lane) -> None:
        """Publish until nothing waits, or what waits may not leave; every failure only makes the lane wait."""
        settings, failed_s, refused_s = self._settings, 0.0, 0.0
        while True:
            try:
                if not await self.publish_once(lane.name):
                    return
                failed_s = refused_s = 0.0
                continue
            except Unavailable as error:
                code = error.code
            except Exception as error:  # whatever is stored, it stops this lane for a while and no other
                code = "relay_defect"
                log("relay_waits", code=code, error=type(error).__name__)
            lane.waits_for = code
            log("relay_waits", code=code, topic=lane.name)
            if code in MENDED_BY_HAND:
                refused_s = min(refused_s * 2 or settings.refused_s, settings.refused_s_max)
            failed_s = min(failed_s * 2 or settings.back_off_s, settings.back_off_s_max)
            await asyncio.sleep(refused_s if code in MENDED_BY_HAND else failed_s)

    async def _append(self, name: str, work: LaneWork, rows: Sequence[Waiting]) -> None:
        """Append rows, or set them aside; note how far that went, also when the broker goes away in between."""
        aside = {row.message_id: "unreadable" for row in rows if row.record is None}
        waiting = [row for row in rows if row.record is not None]
        first: Appended | None = None
        offset: int | None = None
        try:
            while waiting:
                try:
                    appended = await self._appended(name, [row.record for row in waiting if row.record is not None])
                except Refused as error:
                    aside[waiting.pop(0).message_id] = error.code
                    continue
                first = first or appended
                if appended.offset is not None:
                    offset = appended.offset + appended.count - 1
                waiting = waiting[appended.count :]
        finally:
            await self._note(name, rows, waiting, aside=aside, offset=offset)
        if first is not None:
            await self._mind_tail(name, work, first)

    async def _note(
        self,
        name: str,
        rows: Sequence[Waiting],
        left: Sequence[Waiting],
        *,
        aside: dict[UUID, str],
        offset: int | None,
    ) -> None:
        through = left[0].position - 1 if left else rows[-1].position
        if through < rows[0].position:
            return
        over = {row.message_id for row in rows if row.position <= through}
        passed = {message_id: reason for message_id, reason in aside.items() if message_id in over}
        for reason in passed.values():
            log("message_set_aside", code=reason, topic=name)
        await self._store.note(name, Progress(through, self._clock.now(), offset, passed))
        self.last_progress = self._clock.now()

    async def _appended(self, name: str, records: Sequence[Outgoing], *, once: bool = False) -> Appended:
        began = self._clock.now()
        appended = await self._log_writer.append(name, records, once=once)
        self._gate.measure(began, self._clock.now(), appended.at)
        return appended

    async def _mind_tail(self, name: str, work: LaneWork, appended: Appended) -> None:
        """A record that is not behind the last one says that the topic has lost its end: what is held waits again."""
        if appended.offset is not None and work.offset is not None and appended.offset <= work.offset:
            log("topic_lost_its_end", topic=name, offset=appended.offset)
            await self._store.rewind(name)
            self._news.set()

    async def _sleep_until_news(self) -> None:
        try:
            async with asyncio.timeout(self._pause_s):
                await self._news.wait()
        except TimeoutError:
            return
