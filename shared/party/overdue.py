"""What is overdue of a party, or towards it, in PostgreSQL: its timers whose time has come. One walk along an index.

A row is one clock of one edge, by the time at which it fell due. It stands behind all where a child is at risk: an edge
where one is stands there already, as `p0_open`, as long as anything of it may be overdue.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import asyncpg

from shared.exchange.act import Subject
from shared.exchange.events import NUMBERED, PERMIT
from shared.kernel.clock import Clock
from shared.party.attention import Source
from shared.party.waiting import OVERDUE, RANK_MAX, Mend, Place, Waiting, Waits, owed_act
from shared.vocabulary.law import ClockConsequence

# What runs out is not overdue: a preservation that ends.
_OVERDUE: Final = """
SELECT t.timer_id, t.subject, t.counterpart, t.owed_by, t.due, t.clock, t.due_at, c.origin = t.party AS own, c.begins
FROM timer AS t JOIN clocked AS c USING (edge_id, party)
WHERE t.party = $1 AND (t.due_at, t.timer_id) > ($2, $3) AND t.due_at <= $4 AND t.consequence <> $5
ORDER BY t.due_at, t.timer_id LIMIT $6
"""


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
        """The first `limit` that stand behind `above`, what fell due first before all."""
        if rank_max < RANK_MAX:
            return []
        behind = above.of_last_rank()
        rows = await driver.fetch(_OVERDUE, party, *behind, self._now(), ClockConsequence.ERASE.value, limit)
        return [self._waits(party, row) for row in rows]

    def _waits(self, party: str, row: asyncpg.Record) -> Waits:
        kind = Subject.REFERRAL if row["own"] else self._received
        kind = Subject.PRESERVATION if row["begins"] else kind
        waiting = Waiting(
            kind=kind,
            subject=row["subject"],
            party=row["counterpart"],
            priority=None,
            reasons=(OVERDUE,),
            clock=row["clock"],
            since=row["due_at"],
            mend=owed_act(kind, row["due"]) if row["owed_by"] == party else Mend.CALL,
        )
        return Waits(Place(RANK_MAX, row["due_at"], row["timer_id"]), waiting)
