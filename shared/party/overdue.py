"""The overdue edges of a party, for its list of tasks: one walk along an index.

A row is one edge, in the order of the first due time. It names the clock that ran out last: the highest rung so far.
Edges with a child at risk come first in the list, as `p0_open`; this source adds the rest.
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
from shared.runtime.timers.store import DueAfter, OverdueEdge, read_overdue


def overdue(clock: Clock, received: Subject) -> Source:
    """Build the source of overdue edges. `received` is the kind of subject that parties of this service receive."""
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
        return [
            self._waits(edge) for edge in await read_overdue(driver, party, after=after, now=self._now(), limit=limit)
        ]

    def _waits(self, edge: OverdueEdge) -> Waits:
        kind = Subject.REFERRAL if edge.is_own else self._received
        kind = Subject.PRESERVATION if edge.is_preservation else kind
        latest = edge.latest
        waiting = Waiting(
            kind=kind,
            subject=latest.subject,
            party=latest.counterpart,
            priority=None,
            reasons=(OVERDUE,),
            clock=latest.clock,
            since=edge.since,
            mend=owed_act(kind, latest.due) if latest.owed_by == latest.party else Mend.CALL,
        )
        return Waits(Place(RANK_MAX, *edge.place), waiting)
