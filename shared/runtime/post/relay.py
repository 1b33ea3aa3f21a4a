"""The relay: the only code that publishes to Kafka. Takes the outbox in order, stamps, sends, waits for receipts.

    unstamped row ──stamp (one transaction)──▶ stamped row ──append──▶ record ──receipt──▶ gone from the outbox

A crash or an outage between any two steps repeats the later one with the same bytes: the inbox on the other side
drops what it has seen. Stamped rows go before new ones, so start-up and normal operation are the same loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.contracts.registry import Family
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.runtime.post.ports import LogWriter, OutboxRow, OutboxStore
from shared.runtime.watch.health import Check
from shared.runtime.watch.logs import log
from shared.runtime.watch.metrics import MESSAGES

#: Decide rows again before stamping when their decision is older than this: a recipient accepts 5 minutes.
DECISION_AGE_MAX = timedelta(minutes=4)

#: Messages between parties; receipts and facts are on no account.
_COUNTED: Final = frozenset({Family.REFERRAL, Family.NOTICE})

DecideAgain = Callable[[Sequence[OutboxRow]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """`resend_after_s`: an unreceipted row is published again after that long, the same bytes."""

    batch_rows_max: int = 500
    poll_s: float = 0.25
    #: What nobody waits for, such as receipts, may gather for so long: fewer batches, for everybody.
    gather_s: float = 0.05
    resend_after_s: float = 30.0
    back_off_s: float = 0.2
    back_off_s_max: float = 5.0
    #: A topic that the broker refuses is tried again after so long, then ever more rarely.
    aside_s: float = 10.0
    aside_s_max: float = 300.0


class Relay:
    """One active per instance. `wake` is called after a commit that enqueued; polling is the fallback."""

    def __init__(
        self,
        store: OutboxStore,
        log_writer: LogWriter,
        *,
        clock: Clock,
        decide_again: DecideAgain,
        settings: RelaySettings = RelaySettings(),
    ) -> None:
        self._store = store
        self._log_writer = log_writer
        self._clock = clock
        self._decide_again = decide_again
        self._settings = settings
        self._news = asyncio.Event()
        self._gathering: asyncio.TimerHandle | None = None
        self._waits_for = ""
        #: Topics that the broker refuses: until when their rows are left aside, and for how many seconds that was.
        self._aside: dict[str, tuple[datetime, float]] = {}
        #: Rows may be stamped but not noted as sent: after a start, and from stamping until the sending is noted.
        self._unsent_possible = True
        self._overdue_checked_at: datetime | None = None
        self.last_progress: datetime | None = None

    def wake(self) -> None:
        """There may be new rows: look now instead of at the next poll."""
        self._news.set()

    def wake_soon(self) -> None:
        """There may be new rows that nobody waits for: look when more have had time to gather."""
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(self._settings.gather_s, self._gathered)

    def _gathered(self) -> None:
        self._gathering = None
        self._news.set()

    def check(self) -> Check:
        """Ready also in an outage, which `reason` names: meanwhile messages are safe in the outbox."""
        return Check("relay", True, self._waits_for or ("broker_refuses" if self._aside else ""))

    async def run(self) -> None:
        """Publish until cancelled. Outages are waited out; only a `Defect` ends it."""
        while True:
            self._news.clear()
            published = await self._patiently(self.publish_once)
            resent = await self._patiently(self.resend_overdue) if self._overdue_check_due() else 0
            # Fewer than fit in a batch were all that there were.
            if published < self._settings.batch_rows_max and not resent:
                await self._sleep_until_news()

    async def publish_once(self) -> int:
        """Stamp and send one batch; return how many rows were taken (0: nothing to do)."""
        without = self._set_aside()
        if self._unsent_possible:
            # A predecessor died, or the database failed us, after stamping: later rows must not overtake these.
            if rows := await self._store.unsent(self._settings.batch_rows_max, without=without):
                await self._send(rows)
                self._news.set()
                return len(rows)
            self._unsent_possible = False
        rows = await self._store.unstamped(self._settings.batch_rows_max, without=without)
        if not rows:
            return 0
        stale_before = self._clock.now() - DECISION_AGE_MAX
        stale = [row for row in rows if row.draft.decided_at is not None and row.draft.decided_at < stale_before]
        if stale:
            # The rows are replaced or dropped in one transaction; the next round takes what is left.
            await self._decide_again(stale)
            self._news.set()
            return len(stale)
        # From here the bytes are final: whatever happens next, only these bytes are ever sent for these rows.
        self._unsent_possible = True
        stamped = await self._store.stamp(rows)
        MESSAGES.labels("emitted").inc(sum(row.draft.message.family in _COUNTED for row in stamped))
        await self._send(stamped)
        self._unsent_possible = False
        return len(rows)

    def _overdue_check_due(self) -> bool:
        """Whether the last look for overdue receipts is so long ago that another is worth a query."""
        now, every_s = self._clock.now(), min(1.0, self._settings.resend_after_s / 4)
        if self._overdue_checked_at is not None and (now - self._overdue_checked_at).total_seconds() < every_s:
            return False
        self._overdue_checked_at = now
        return True

    async def resend_overdue(self) -> int:
        """Send rows again whose receipt is overdue (a lost broker disk, a lost receipt)."""
        # Also look once for rows that a rival stamped and never sent (its lock was lost, and it died after ours began),
        # and for those of a topic that is no longer aside.
        self._unsent_possible = True
        overdue = self._clock.now() - timedelta(seconds=self._settings.resend_after_s)
        rows = await self._store.unreceipted(overdue, self._settings.batch_rows_max, without=self._set_aside())
        if rows:
            log("outbox_resent", count=len(rows))
            await self._send(rows)
        return len(rows)

    async def _send(self, rows: Sequence[OutboxRow]) -> None:
        refused = await self._appended(rows)
        self._note_topics({row.draft.topic for row in rows}, refused)
        # What was refused stays unsent, in its order: a pair's rows all go to one topic, so nothing overtakes them.
        if sent := [row for row in rows if row.draft.topic not in refused]:
            await self._store.mark_sent(sent, self._clock.now())
            self.last_progress = self._clock.now()
        self._waits_for = ""

    async def _appended(self, rows: Sequence[OutboxRow]) -> AbstractSet[str]:
        """Append the batch; on an outage append the whole batch again, or its order could break."""
        back_off_s = self._settings.back_off_s
        while True:
            try:
                return await self._log_writer.append(rows)
            except Unavailable as error:
                self._waits_for = error.code
                log("relay_waits", code=error.code, count=len(rows))
                await asyncio.sleep(back_off_s)
                back_off_s = min(back_off_s * 2, self._settings.back_off_s_max)

    def _set_aside(self) -> list[str]:
        """The topics that are left aside now."""
        now = self._clock.now()
        return [topic for topic, (until, _) in self._aside.items() if now < until]

    def _note_topics(self, tried: AbstractSet[str], refused: AbstractSet[str]) -> None:
        for topic in tried - refused:
            self._aside.pop(topic, None)
        for topic in tried & refused:
            _, waited_s = self._aside.get(topic, (None, self._settings.aside_s / 2))
            wait_s = min(waited_s * 2, self._settings.aside_s_max)
            self._aside[topic] = self._clock.now() + timedelta(seconds=wait_s), wait_s
            log("relay_waits", code="broker_refuses", topic=topic)

    async def _patiently(self, step: Callable[[], Awaitable[int]]) -> int:
        back_off_s = self._settings.back_off_s
        while True:
            try:
                done = await step()
                self._waits_for = ""
                return done
            except Unavailable as error:
                self._waits_for = error.code
                log("relay_waits", code=error.code)
                await asyncio.sleep(back_off_s)
                back_off_s = min(back_off_s * 2, self._settings.back_off_s_max)

    async def _sleep_until_news(self) -> None:
        try:
            async with asyncio.timeout(self._settings.poll_s):
                await self._news.wait()
        except TimeoutError:
            return
