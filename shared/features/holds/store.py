"""Holds in PostgreSQL: at the origin, whose notices wait, and at the agency that requested them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.core.acts.act import Subject
from shared.core.contracts import holds
from shared.core.contracts.base import Contract
from shared.core.protocol.message import Received
from shared.core.vocabulary.preservation import HoldEnd
from shared.features.attention.rules import HOLD_EXPIRED, RANK_MAX, AttentionRow, ListPlace, next_act, waits_of
from shared.features.filing.ports import StaleReferral
from shared.features.filing.store.edges import ALL, PostgresEdges
from shared.features.holds.ports import Hold, HoldAct, IssuedNotices, PlannedNotice
from shared.features.received.rules import HeldItem, HoldPage, OpenHold, RequestedHold
from shared.features.record_access.store import PartyStore
from shared.platform.database.columns import Columns, Statement, insert
from shared.platform.database.failure_isolation import ClaimedBatch
from shared.platform.database.pages import place_cursor, read_place

#: A restored origin lacks the latest holds. Agencies send them again; until then it sends no notice that an agency may
#: hold. After a restore, `incarnation` has rows of the own streams without an end (`urgent_through` is null); the rows
#: of peers have one.
_KNOWS_HOLDS: Final = """
NOT EXISTS (SELECT FROM incarnation WHERE urgent_through IS NULL AND closed_at > $1 - interval '1 hour')
"""
_DUE: Final = f"""
{ALL} WHERE e.state = 'planned' AND e.issue_due_at <= $1 AND {_KNOWS_HOLDS} AND r.referral_id <> ALL($3::uuid[])
ORDER BY e.issue_due_at, e.edge_id LIMIT $2 FOR UPDATE OF e, r SKIP LOCKED
"""
_HELD_ON: Final = f"""
{ALL} WHERE e.state = 'planned' AND e.issue_due_at > $1 AND {_KNOWS_HOLDS} AND r.referral_id <> ALL($4::uuid[])
  AND EXISTS ( SELECT FROM hold AS h WHERE h.referral_id = e.referral_id AND h.state = 'active' AND h.expires_at <= $2)
ORDER BY e.edge_id LIMIT $3 FOR UPDATE OF e SKIP LOCKED
"""
_LOCK: Final = """
SELECT edge_id, referral_id, hold_window_ends_at, rules FROM edge
WHERE referral_id = ANY($1::uuid[]) AND state = 'planned' ORDER BY edge_id FOR UPDATE
"""
_ISSUED: Final = """
SELECT count(*) AS count, max(decided_at) AS last_at FROM edge
WHERE referral_id = $1 AND state = 'emitted' AND notice_id IS NOT NULL
"""
_ACTIVE: Final = """
SELECT hold_id, referral_id, agency, party, scope, basis, placed_at, expires_at, state, exercise FROM hold
WHERE referral_id = ANY($1::uuid[]) AND state = 'active' ORDER BY referral_id, hold_id
"""
_FIND: Final = """
SELECT hold_id, referral_id, agency, party, scope, basis, placed_at, expires_at, state, exercise FROM hold
WHERE referral_id = $1 AND hold_id = $2 LIMIT 1
"""
_TOLD: Final = """
SELECT DISTINCT ON (recipient) recipient, answer FROM edge
WHERE referral_id = $1 AND notice_id IS NULL AND state IN ('emitted', 'referred', 'waiting') AND NOT is_retracted
ORDER BY recipient, state
"""
_UNOBJECTING: Final = "SELECT agency FROM no_objection WHERE referral_id = $1"
_NO_OBJECTION: Final = """
INSERT INTO no_objection (referral_id, agency, party, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""
_DROP_NO_OBJECTION: Final = "DELETE FROM no_objection WHERE referral_id = $1 AND agency = $2 AND party = $3"
_HOLD: Final = Columns.of(Hold)
_PLACE: Final = Statement(
    """
INSERT INTO hold ({rows.names}, priority_rank) SELECT {rows.values}, r.priority_rank FROM {rows}
  JOIN referral AS r USING (referral_id) ON CONFLICT DO NOTHING
""",
    rows=_HOLD,
)
_EXPIRED: Final = """
SELECT h.hold_id AS id, h.priority_rank AS rank, h.ended_at AS since, h.referral_id AS subject, h.agency AS party,
       r.external_ref, r.priority FROM hold AS h JOIN referral AS r USING (referral_id)
WHERE h.party = $1 AND h.state = 'expired' AND (h.priority_rank, h.ended_at, h.hold_id) > ($2::smallint, $3, $4)
  AND h.priority_rank <= $5
  AND EXISTS (SELECT FROM edge AS e WHERE e.referral_id = h.referral_id AND e.state = 'emitted'
                AND e.notice_id IS NOT NULL AND e.answer = 'none' AND NOT e.is_retracted)
ORDER BY h.priority_rank, h.ended_at, h.hold_id LIMIT $6
"""
_EXTEND: Final = """
UPDATE hold SET expires_at = $4 WHERE referral_id = $1 AND agency = $2 AND hold_id = $3 AND state = 'active'
"""
_LEAVE: Final = """
UPDATE edge AS e SET hold_window_ends_at = k.hold_window_ends_at
FROM unnest($1::uuid[], $2::timestamptz[]) AS k (edge_id, hold_window_ends_at)
WHERE e.edge_id = k.edge_id AND e.state = 'planned'
"""
_END: Final = """
UPDATE hold AS h SET state = $4, ended_at = $5
FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS k (referral_id, agency, hold_id)
WHERE h.referral_id = k.referral_id AND h.agency = k.agency AND h.hold_id = k.hold_id AND h.state = 'active'
"""
_PROPOSED: Final = """
SELECT actor FROM hold_act WHERE referral_id = $1 AND agency = $2 AND hold_id = $3 AND act = 'override_proposed'
"""
_PLAN: Final = """
UPDATE edge AS e SET issue_due_at = k.issue_due_at
FROM unnest($1::uuid[], $2::timestamptz[]) AS k (edge_id, issue_due_at)
WHERE e.edge_id = k.edge_id AND e.state = 'planned'
"""


@dataclass(frozen=True, slots=True)
class _ActRow:
    referral_id: UUID
    agency: str
    hold_id: UUID
    party: str
    act: str
    at: datetime
    expires_at: datetime | None
    basis: str | None
    actor: str | None


_ACT: Final = Columns.of(_ActRow)
_ADD_ACT: Final = insert("hold_act", _ACT)


class PostgresHolds(PartyStore):
    """Holds and planned notices. A caller that decides about either locks the notices first."""

    async def lock(self, referral_ids: Collection[UUID]) -> Mapping[UUID, Sequence[PlannedNotice]]:
        """Lock the planned notices of these referrals, in the order of their ids. Return them by referral."""
        found: dict[UUID, list[PlannedNotice]] = {}
        for row in await self._driver.fetch(_LOCK, list(referral_ids)):
            found.setdefault(row["referral_id"], []).append(PlannedNotice(*row))
        return found

    async def issued(self, referral_id: UUID) -> IssuedNotices:
        return IssuedNotices(*await self._driver.fetchrow(_ISSUED, referral_id))

    async def active(self, referral_ids: Collection[UUID]) -> Mapping[UUID, Sequence[Hold]]:
        """Return the active holds by referral: all that were committed before this query."""
        found: dict[UUID, list[Hold]] = {}
        for row in await self._driver.fetch(_ACTIVE, list(referral_ids)):
            found.setdefault(row["referral_id"], []).append(Hold(**dict(row)))
        return found

    async def find(self, referral_id: UUID, hold_id: UUID) -> Hold | None:
        """Return one hold of a referral in any state."""
        row = await self._driver.fetchrow(_FIND, referral_id, hold_id)
        return None if row is None else Hold(**dict(row))

    async def load_answers(self, referral_id: UUID) -> Mapping[str, str]:
        """Return the answer so far of each recipient of the referral itself, including waiting edges."""
        return {row["recipient"]: row["answer"] for row in await self._driver.fetch(_TOLD, referral_id)}

    async def unobjecting(self, referral_id: UUID) -> Collection[str]:
        """Return the agencies that have stated that they do not hold the referral."""
        return {row["agency"] for row in await self._driver.fetch(_UNOBJECTING, referral_id)}

    async def note_no_objection(self, referral_id: UUID, agency: str, party: str, *, at: datetime) -> None:
        """Store that the agency does not object, since `at`."""
        await self._driver.execute(_NO_OBJECTION, referral_id, agency, party, at)

    async def drop_no_objection(self, referral_id: UUID, agency: str, party: str) -> None:
        """Remove the agency's statement that it does not object."""
        await self._driver.execute(_DROP_NO_OBJECTION, referral_id, agency, party)

    async def place(self, hold: Hold) -> None:
        """Store a hold. An existing one stays unchanged."""
        await self._driver.execute(*_PLACE.bind(rows=_HOLD.rows([hold])))

    async def extend(self, hold: Hold, expires_at: datetime) -> None:
        await self._driver.execute(_EXTEND, *_key(hold), expires_at)

    async def leave_to(self, window_ends: Mapping[UUID, datetime]) -> None:
        """Set the ends of the windows of planned notices, by edge id."""
        await self._driver.execute(_LEAVE, list(window_ends), list(window_ends.values()))

    async def end(self, holds: Collection[Hold], end: HoldEnd, at: datetime) -> None:
        keys = [_key(hold) for hold in holds]
        columns = [list(column) for column in zip(*keys, strict=True)] or [[], [], []]
        await self._driver.execute(_END, *columns, end.value, at)

    async def note_act(self, hold: Hold, act: HoldAct) -> None:
        """Store an act of a hold."""
        row = _ActRow(
            *_key(hold), hold.party, act.act, act.at, expires_at=act.expires_at, basis=act.basis, actor=act.actor
        )
        await self._driver.execute(*_ADD_ACT.bind(rows=_ACT.rows([row])))

    async def proposed_by(self, hold: Hold) -> frozenset[str]:
        """Return the actors that have proposed to override the hold."""
        return frozenset(row["actor"] for row in await self._driver.fetch(_PROPOSED, *_key(hold)))

    async def plan(self, issue_at: Mapping[UUID, datetime]) -> None:
        """Set the slots of planned notices, by edge id."""
        if issue_at:
            await self._driver.execute(_PLAN, list(issue_at), list(issue_at.values()))


async def expired_holds(
    driver: asyncpg.Connection, party: str, above: ListPlace, /, *, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return expired holds after `above` for which some provider with a notice has not answered yet."""
    rows = await driver.fetch(_EXPIRED, party, *above, rank_max, limit)
    return [waits_of(row, HOLD_EXPIRED, kind=Subject.REFERRAL) for row in rows]


class PostgresPlanned(PostgresHolds):
    """Holds and planned notices, for the sending of due notices; `edges` belong to the same transaction."""

    def __init__(self, driver: asyncpg.Connection, edges: PostgresEdges) -> None:
        super().__init__(driver)
        self._edges = edges

    async def due(self, at: datetime, taking: ClaimedBatch) -> list[StaleReferral]:
        """Return referrals with due planned notices, earliest first, locked. Rows locked elsewhere are skipped."""
        rows = await self._driver.fetch(_DUE, at, taking.limit, taking.passed_over)
        return self._edges.stale_of_all(taking.take(rows))

    async def over(self, before: datetime, at: datetime, taking: ClaimedBatch) -> list[Hold]:
        """Return active holds that end by `before`, of notices that others still hold. The notices are locked."""
        rows = await self._driver.fetch(_HELD_ON, at, before, taking.limit, taking.passed_over)
        active = await self.active({row["referral_id"] for row in taking.take(rows)})
        return [hold for holds in active.values() for hold in holds if hold.expires_at <= before]


def _key(hold: Hold) -> tuple[UUID, str, UUID]:
    return hold.referral_id, hold.agency, hold.hold_id


_OPEN: Final = """
SELECT hold_id, coalesce(expires_at, requested_until) AS ends FROM hold
WHERE referral_id = $1 AND party = $2 AND state IN ('asked', 'active') ORDER BY requested_at DESC LIMIT 1
"""
_ASK: Final = """
INSERT INTO hold (hold_id, party, referral_id, origin, scope, basis, requested_at, requested_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_MORE: Final = "UPDATE hold SET requested_until = $3, basis = $4 WHERE hold_id = $1 AND party = $2"
_DONE: Final = """
UPDATE hold SET attention_since = NULL WHERE referral_id = $1 AND party = $2 AND attention_since IS NOT NULL
"""
_ACTIVATED: Final = """
UPDATE hold SET state = 'active', expires_at = $4, held_notice_count = $5, issued_notice_count = $6
WHERE hold_id = $1 AND party = $2 AND origin = $3 AND state IN ('asked', 'active')
"""
#: A hold without a row was placed by the agency's former instance or lost in a restore. The origin's statement counts.
_UNKNOWN: Final = """
INSERT INTO hold (hold_id, party, origin, referral_id, scope, basis, requested_at, requested_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
"""
_TOO_LATE: Final = """
UPDATE hold SET state = 'too_late', issued_at = $4, attention_since = $5
WHERE hold_id = $1 AND party = $2 AND origin = $3 AND state IN ('asked', 'active')
"""
_ENDED: Final = """
UPDATE hold SET state = $4::text, ended_at = $5::timestamptz,
       attention_since = CASE WHEN $4::text = 'released' THEN NULL ELSE $5::timestamptz END
WHERE hold_id = $1 AND party = $2 AND origin = $3 AND state IN ('asked', 'active')
"""
_WAIT: Final = """
SELECT h.hold_id, h.attention_since, h.referral_id, h.origin, h.state, c.state AS case_state, c.priority
FROM hold AS h JOIN received AS c ON c.subject = h.referral_id AND c.party = h.party
WHERE h.party = $1 AND h.attention_since IS NOT NULL AND (h.attention_since, h.hold_id) > ($2, $3)
ORDER BY h.attention_since, h.hold_id LIMIT $4
"""
_PAGE: Final = """
SELECT hold_id AS hold, referral_id, origin, scope, basis, requested_at AS asked_at,
       requested_until AS asked_until, state, expires_at AS not_after, held_notice_count AS held,
       issued_notice_count AS issued, issued_at, ended_at
FROM hold WHERE party = $1 AND ($2::text IS NULL OR state = $2)
  AND ($3::timestamptz IS NULL OR (requested_at, hold_id) < ($3, $4::uuid))
ORDER BY requested_at DESC, hold_id DESC LIMIT $5
"""


@dataclass(frozen=True, slots=True)
class RequestedHolds:
    """The holds of agencies within one transaction."""

    driver: asyncpg.Connection

    async def open(self, referral_id: UUID, party: str) -> OpenHold | None:
        row = await self.driver.fetchrow(_OPEN, referral_id, party)
        return None if row is None else OpenHold(*row)

    async def store_act(self, item: HeldItem, clear: Contract, at: datetime) -> None:
        """Store the hold that an act of the agency requests. Any act marks holds that ended before as seen."""
        await self.driver.execute(_DONE, item.subject_id, item.party)
        match clear:  # a hold is released only when its origin confirms it
            case holds.HoldPlacedClear():
                named = clear.act, item.party, item.subject_id, item.sender
                words = clear.scope.value, clear.basis.value, at, clear.not_after
                await self.driver.execute(_ASK, *named, *words)
            case holds.HoldExtendedClear():
                await self.driver.execute(_MORE, clear.hold, item.party, clear.not_after, clear.basis.value)

    async def apply_statements(self, messages: Sequence[Received]) -> None:
        """Store the statements of origins. A hold that has ended does not change any more."""
        for message in messages:
            of = message.recipient, message.sender
            match message.clear:
                case holds.HoldActivatedClear() as said:
                    words = said.referral_id, said.scope.value, said.basis.value, message.sent_at, said.not_after
                    await self.driver.execute(_UNKNOWN, said.hold, *of, *words)
                    await self.driver.execute(_ACTIVATED, said.hold, *of, said.not_after, said.held, said.issued)
                case holds.HoldTooLateClear() as said:
                    await self.driver.execute(_TOO_LATE, said.hold, *of, said.issued_at, message.sent_at)
                case holds.HoldEndedClear() as said:
                    await self.driver.execute(_ENDED, said.hold, *of, said.end.value, message.sent_at)

    async def page(self, party: str, *, state: str | None, cursor: str | None, limit: int) -> HoldPage:
        above = (None, None) if cursor is None else read_place(cursor)[1:]
        rows = await self.driver.fetch(_PAGE, party, state, *above, limit + 1)
        items = tuple(RequestedHold.model_validate(dict(row)) for row in rows[:limit])
        places = [(0, row["asked_at"], row["hold"]) for row in rows]
        return HoldPage(items=items, next=place_cursor(places[limit - 1]) if len(rows) > limit else None)


async def ended_holds(
    driver: asyncpg.Connection, party: str, above: ListPlace, /, *, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return holds that did not end by a release, if their agency has not acted on the case since."""
    if rank_max < RANK_MAX:
        return []
    return [_waits(row) for row in await driver.fetch(_WAIT, party, *above.of_last_rank(), limit)]


def _waits(row: asyncpg.Record) -> AttentionRow:
    columns = {"id": row["hold_id"], "subject": row["referral_id"], "party": row["origin"], "priority": row["priority"]}
    columns |= {"since": row["attention_since"]}
    return waits_of(columns, f"hold_{row['state']}", kind=Subject.CASE, mend=next_act(Subject.CASE, row["case_state"]))
