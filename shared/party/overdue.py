"""The overdue edges of a party, for its list of tasks: one walk along an index.

A row is one edge, by the due time of its first open timer. It shows the first timer that is overdue. Edges with a child
at risk come first in the list, as `p0_open`; this source adds the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import asyncpg

from shared.exchange.act import Subject
from shared.exchange.events import NUMBERED, PERMIT
from shared.kernel.clock import Clock
from shared.party.attention import Source
from shared.party.waiting import OVERDUE, RANK_MAX, Mend, Place, Waiting, Waits, owed_act
from shared.runtime.timers.store import DueAfter, OpenTimer, first_timer, read_overdue


def overdue(clock: Clock, received: Subject) -> Source:
    """The source of what is overdue. `received`: what this service's parties are sent."""
    return Source(PERMIT.resource, NUMBERED, _Overdue(clock.now, received))


class _Overdue:
    def __init__(self, now: Callable[[], datetime], received: Subject) -> None:
        self._now = now
        self._received = received

    async def __call__(
        self, driver: asyncpg.Connection, party: str, above: Place, /, *, rank_max: int, limit: int
    ) -> list[Waits]:
        """Return the first `limit` entries after `above`, oldest first."""
        if rank_max < RANK_MAX:
            return []
        after = DueAfter(*above.of_last_rank())
        rows = await read_overdue(driver, party, after=after, now=self._now(), limit=limit)
        return [self._waits(row, first_timer(row, row["first"])) for row in rows]

    def _waits(self, row: asyncpg.Record, timer: OpenTimer) -> Waits:
        kind = Subject.REFERRAL if row["origin"] == timer.party else self._received
        kind = Subject.PRESERVATION if row["begins"] else kind
        waiting = Waiting(
            kind=kind,
            subject=timer.subject,
            party=timer.counterpart,
            priority=None,
            reasons=(OVERDUE,),
            clock=timer.clock,
            since=timer.due_at,
            mend=owed_act(kind, timer.due) if timer.owed_by == timer.party else Mend.CALL,
        )
        return Waits(Place(RANK_MAX, *timer.place), waiting)
