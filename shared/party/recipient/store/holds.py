"""What agencies have asked origins to hold, in PostgreSQL: a fold of the agency's acts and of what origins answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.contracts.base import Contract
from shared.contracts.holds import (
    HoldActivatedClear,
    HoldEndedClear,
    HoldExtendedClear,
    HoldPlacedClear,
    HoldTooLateClear,
)
from shared.exchange.act import Subject
from shared.exchange.message import Received
from shared.party.recipient.domain import Item
from shared.party.recipient.records import AskedHold, HoldPage, OpenHold
from shared.party.waiting import RANK_MAX, Place, Waiting, Waits, next_act
from shared.runtime.database.pages import place_cursor, read_place

_OPEN: Final = """
SELECT hold_id, coalesce(not_after, asked_until) AS ends FROM hold
WHERE referral_id = $1 AND party = $2 AND state IN ('asked', 'active') ORDER BY asked_at DESC LIMIT 1
"""
_ASK: Final = """
INSERT INTO hold (hold_id, party, referral_id, origin, scope, basis, asked_at, asked_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_MORE: Final = "UPDATE hold SET asked_until = $3, basis = $4 WHERE hold_id = $1 AND party = $2"
_DONE: Final = "UPDATE hold SET attention = NULL WHERE referral_id = $1 AND party = $2 AND attention IS NOT NULL"
_ACTIVATED: Final = """
UPDATE hold SET state = 'active', not_after = $4, held = $5, issued = $6
WHERE hold_id = $1 AND party = $2 AND origin = $3 AND state IN ('asked', 'active')
"""
#: One that is not here was placed where the agency was before it moved, or is forgotten: it is as its origin says.
_UNKNOWN: Final = """
INSERT INTO hold (hold_id, party, origin, referral_id, scope, basis, asked_at, asked_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
"""
_TOO_LATE: Final = """
UPDATE hold SET state = 'too_late', issued_at = $4, attention = $5
WHERE hold_id = $1 AND party = $2 AND origin = $3 AND state IN ('asked', 'active')
"""
_ENDED: Final = """
UPDATE hold SET state = $4::text, ended_at = $5::timestamptz,
       attention = CASE WHEN $4::text = 'released' THEN NULL ELSE $5::timestamptz END
WHERE hold_id = $1 AND party = $2 AND origin = $3 AND state IN ('asked', 'active')
"""
_WAIT: Final = """
SELECT h.hold_id, h.attention, h.referral_id, h.origin, h.state, c.state AS case_state, c.priority
FROM hold AS h JOIN received AS c ON c.subject = h.referral_id AND c.party = h.party
WHERE h.party = $1 AND h.attention IS NOT NULL AND (h.attention, h.hold_id) > ($2, $3)
ORDER BY h.attention, h.hold_id LIMIT $4
"""
_PAGE: Final = """
SELECT hold_id AS hold, referral_id, origin, scope, basis, asked_at, asked_until, state, not_after, held, issued,
       issued_at, ended_at
FROM hold WHERE party = $1 AND ($2::text IS NULL OR state = $2)
  AND ($3::timestamptz IS NULL OR (asked_at, hold_id) < ($3, $4::uuid))
ORDER BY asked_at DESC, hold_id DESC LIMIT $5
"""


@dataclass(frozen=True, slots=True)
class AskedHolds:
    """The holds of agencies within one transaction."""

    driver: asyncpg.Connection

    async def open(self, referral_id: UUID, party: str) -> OpenHold | None:
        row = await self.driver.fetchrow(_OPEN, referral_id, party)
        return None if row is None else OpenHold(*row)

    async def acted(self, item: Item, clear: Contract, at: datetime) -> None:
        """Keep what an act of the agency asks for. Whatever it was, what had ended before is seen."""
        await self.driver.execute(_DONE, item.subject_id, item.party)
        match clear:
            case HoldPlacedClear():
                named = clear.act, item.party, item.subject_id, item.sender
                words = clear.scope.value, clear.basis.value, at, clear.not_after
                await self.driver.execute(_ASK, *named, *words)
            case HoldExtendedClear():
                await self.driver.execute(_MORE, clear.hold, item.party, clear.not_after, clear.basis.value)
            case _:
                pass  # a release is one once its origin says so

    async def heard(self, messages: Sequence[Received]) -> None:
        """Keep what origins have said. What has ended stays so, whatever comes after it."""
        for message in messages:
            match message.clear:
                case HoldActivatedClear() as said:
                    named = said.hold, message.recipient, message.sender
                    words = said.referral_id, said.scope.value, said.basis.value, message.sent_at, said.not_after
                    await self.driver.execute(_UNKNOWN, *named, *words)
                    await self.driver.execute(_ACTIVATED, *named, said.not_after, said.held, said.issued)
                case HoldTooLateClear() as said:
                    named = said.hold, message.recipient, message.sender
                    await self.driver.execute(_TOO_LATE, *named, said.issued_at, message.sent_at)
                case HoldEndedClear() as said:
                    named = said.hold, message.recipient, message.sender
                    await self.driver.execute(_ENDED, *named, said.end.value, message.sent_at)
                case _:
                    pass

    async def page(self, party: str, *, state: str | None, cursor: str | None, limit: int) -> HoldPage:
        above = (None, None) if cursor is None else read_place(cursor)[1:]
        rows = await self.driver.fetch(_PAGE, party, state, *above, limit + 1)
        items = tuple(AskedHold.model_validate(dict(row)) for row in rows[:limit])
        following = _following(rows[limit - 1]) if len(rows) > limit else None
        return HoldPage(items=items, next=following)


def _following(row: asyncpg.Record) -> str:
    return place_cursor((0, row["asked_at"], row["hold"]))


async def ended_holds(
    driver: asyncpg.Connection, party: str, above: Place, /, *, rank_max: int, limit: int
) -> list[Waits]:
    """Holds that have ended otherwise than by their agency, which has done nothing on the case since."""
    if rank_max < RANK_MAX:
        return []
    return [_waits(row) for row in await driver.fetch(_WAIT, party, *above.of_last_rank(), limit)]


def _waits(row: asyncpg.Record) -> Waits:
    told = {"kind": Subject.CASE, "subject": row["referral_id"], "party": row["origin"], "priority": row["priority"]}
    told |= {"reasons": (f"hold_{row['state']}",), "since": row["attention"]}
    waiting = Waiting.model_validate(told | {"mend": next_act(Subject.CASE, row["case_state"])})
    return Waits(Place(RANK_MAX, row["attention"], row["hold_id"]), waiting)
