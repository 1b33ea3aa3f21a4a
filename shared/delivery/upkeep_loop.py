"""The upkeep of an instance's streams: new peers, due work of each pair, exceptions, and days.

at the start of the process   each peer is probed until it answers, and gets this release's versions
every 5 s, idle every 15 s    resync answers, purge, messages of a former incarnation, limits
with a new document or day    another attempt at messages that waited
nightly                       a probe and a resync of each pair; partitions for the days to come
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from shared.core.clock import Clock
from shared.core.errors import CausewayError
from shared.core.guard.budget import day_of
from shared.core.protocol.message import Draft
from shared.delivery.sending import ScopeFactory, draft_of
from shared.messaging.exceptions import OpenException
from shared.messaging.incarnations import await_reply, open_incarnation
from shared.messaging.resync import HOLDINGS_PAUSE
from shared.messaging.sending import finish
from shared.messaging.streams import LANES, Outgoing, Pair
from shared.messaging.upkeep import RETRIED, check_pair, retry_exceptions, tend_pair
from shared.platform.database.transactions import Database
from shared.platform.observability.logs import log

TEND_S: Final = 5.0
#: Exceptions that one transaction tries again.
RETRIED_MAX: Final = 200
#: The hour of the nightly check, UTC.
NIGHT_HOUR: Final = 2
#: Days whose partitions are made ahead, and days for which an empty one is kept.
DAYS_AHEAD: Final = 8
DAYS_KEPT: Final = 2

_MAKE_DAYS: Final = "SELECT make_segment_days($1, $2)"
_DROP_DAYS: Final = "SELECT drop_segment_days(least($1::date, (SELECT min(day) FROM segment) - 1))"
#: Requests that may be answered now: at most one an hour.
ASKED: Final = """
SELECT peer FROM resync_state
WHERE nonce IS NOT NULL AND (answered_at > $1::timestamptz - $2::interval AND answered_at <= $1) IS NOT TRUE
"""


@dataclass(eq=False, repr=False)
class UpkeepLoop:
    """The upkeep loop. One is active per instance, under the relay's lease.

    `announcement`: the message with the versions that this release reads. `law_state` changes with documents. `peers`,
    `announcement` and `law_state` raise `Unavailable` before there is law.
    """

    scopes: ScopeFactory
    database: Database
    _: KW_ONLY
    peers: Callable[[], Sequence[str]]
    announcement: Callable[[str], Draft]
    law_state: Callable[[], Hashable]
    clock: Clock
    _started: set[str] = field(default_factory=set, init=False)
    _retried: Hashable = field(default=None, init=False)
    _days_made: date | None = field(default=None, init=False)
    _checked: dict[str, date] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Work until cancelled. A failed step is reported and repeated at the next turn."""
        while True:
            await self.turn()
            await self.database.changes.pause(TEND_S)

    async def turn(self) -> None:
        """Do each step that is due now."""
        for step in (self.make_days, self.start_peers, self.tend_pairs, self.retry_waiting, self.check_pairs):
            await _report(step())

    async def start_peers(self) -> None:
        """Probe each peer that this process has not probed yet, and send it this release's versions."""
        for peer in self.peers():
            if peer not in self._started and await _report(self._start_peer(peer), peer):
                self._started.add(peer)

    async def _start_peer(self, peer: str) -> None:
        async with self.scopes.open() as scope:
            scope.send(draft_of(self.announcement(peer), scope.instance))
            await finish(scope)
            outgoing = (await scope.tx.load_outgoing([peer], lock=True)).get(peer)
            outgoing = outgoing or await open_incarnation(scope, peer, None)
            await_reply(outgoing, scope.now)
            await scope.save([outgoing])

    async def tend_pairs(self) -> None:
        """Do the due work of each pair."""
        async with self.scopes.read() as tx:
            found = await tx.load_outgoing(None, lock=False)
        peers = {row["peer"] for row in await self.database.fetch(ASKED, self.clock.now(), HOLDINGS_PAUSE)}
        for peer in sorted({*found, *peers}):
            if peer in peers or _needs_tending(found.get(peer)):
                await _report(self._tend_pair(peer), peer)

    async def _tend_pair(self, peer: str) -> None:
        """Tend a pair until all messages of its former incarnations are carried."""
        has_sources = True
        while has_sources:
            async with self.scopes.open() as scope:
                await tend_pair(scope, peer)
            async with self.scopes.read() as tx:
                outgoing = (await tx.load_outgoing([peer], lock=False)).get(peer)
            has_sources = outgoing is not None and bool(outgoing.sources)

    async def retry_waiting(self) -> None:
        """Try messages again that waited for a document, a place or a release: once after each change of the law.

        Those that wait for a day of their sender are tried at 00:00 UTC.
        """
        state = self.law_state(), day_of(self.clock.now())
        if state == self._retried:
            return
        async with self.scopes.read() as tx:
            writers = [each.pair.writer for each in await tx.list_incoming()]
        if all([await _report(self._retry_writer(writer), writer) for writer in writers]):
            self._retried = state

    async def _retry_writer(self, writer: str) -> None:
        after = None
        while rows := await self._retry_page(writer, after):
            after = rows[-1].since, rows[-1].taken.named.message_id

    async def _retry_page(self, writer: str, after: tuple[datetime, UUID] | None) -> list[OpenException]:
        async with self.scopes.open() as scope:
            # As a batch of this writer does. Another writer's batch may still end one that waits for its edge.
            await scope.tx.load_incoming(Pair(writer, scope.instance), lock=True)
            rows = await scope.tx.list_exceptions(writer=writer, kinds=RETRIED, after=after, rows_max=RETRIED_MAX)
            if rows:
                await retry_exceptions(scope, rows)
        return rows

    async def check_pairs(self) -> None:
        """Probe each peer and ask for its holdings, once a night. The night of the process's start does not count."""
        today = (self.clock.now() - timedelta(hours=NIGHT_HOUR)).date()
        for peer in self.peers():
            if self._checked.setdefault(peer, today) < today and await _report(self._check_pair(peer), peer):
                self._checked[peer] = today

    async def _check_pair(self, peer: str) -> None:
        async with self.scopes.open() as scope:
            await check_pair(scope, peer)

    async def make_days(self) -> None:
        """Create the partitions of the next days, and drop those whose messages are all acknowledged."""
        today = self.clock.now().date()
        if self._days_made == today:
            return
        await self.database.fetch(_MAKE_DAYS, today, DAYS_AHEAD)
        await self.database.fetch(_DROP_DAYS, today - timedelta(days=DAYS_KEPT))
        self._days_made = today


def _needs_tending(outgoing: Outgoing | None) -> bool:
    if outgoing is None:
        return False
    is_purged = all(outgoing.lowest_acked(lane) <= outgoing.lanes[lane].kept_above for lane in LANES)
    return outgoing.is_limited or bool(outgoing.sources) or not is_purged


async def _report(step: Awaitable[None], peer: str = "") -> bool:
    """Await a step and return whether it succeeded. A failure is reported by its code, or by the name of its error."""
    try:
        await step
    except Exception as error:  # the other peers and steps are not affected
        code = error.code if isinstance(error, CausewayError) else "upkeep_defect"
        log("upkeep_waits", code=code, peer=peer, error=type(error).__name__)
        return False
    return True
