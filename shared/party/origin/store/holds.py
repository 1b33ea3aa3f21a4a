"""Holds of an origin's referrals, planned notices and attention items, in PostgreSQL.

    hold     lock the planned notices · store the hold · answer · commit
    issue    lock the planned notices · read the holds · send or leave · commit

Both lock before they read, so the second one sees the result of the first.

Attention items come from edges, referrals and alarms. Each query walks along one index.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.core.acts.act import Subject
from shared.core.protocol.origin import UNFINISHED
from shared.core.vocabulary.preservation import HoldEnd
from shared.core.vocabulary.routing import WorkReason
from shared.party.attention_item import (
    ANSWERED_NO,
    CAME_BACK,
    HOLD_EXPIRED,
    P0_OPEN,
    UNCLAIMED,
    AttentionRow,
    ListPlace,
    mend_of,
    waits_of,
)
from shared.party.failure_isolation import ClaimedBatch
from shared.party.origin.records import Hold, HoldAct, IssuedNotices, PlannedNotice, StaleReferral
from shared.party.origin.store.edges import ALL, PostgresEdges
from shared.party.stores import PartyStore
from shared.platform.database.columns import Columns, Statement, insert
from shared.platform.database.transactions import Database

#: A restored origin lacks the latest holds. Agencies send them again; until then it sends no notice that an agency may
#: hold. A restore closes the incarnations of the own streams. Closed incarnations of peers have ends.
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
_OBJECTION: Final = "DELETE FROM no_objection WHERE referral_id = $1 AND agency = $2 AND party = $3"
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

    async def told(self, referral_id: UUID) -> Mapping[str, str]:
        """Return the answer so far of each recipient of the referral itself, including waiting edges."""
        return {row["recipient"]: row["answer"] for row in await self._driver.fetch(_TOLD, referral_id)}

    async def unobjecting(self, referral_id: UUID) -> Collection[str]:
        """Return the agencies that have stated that they do not hold the referral."""
        return {row["agency"] for row in await self._driver.fetch(_UNOBJECTING, referral_id)}

    async def object(self, referral_id: UUID, agency: str, party: str, *, at: datetime | None) -> None:
        """Store that the agency does not object, since `at`. With None, remove that statement."""
        if at is None:
            await self._driver.execute(_OBJECTION, referral_id, agency, party)
        else:
            await self._driver.execute(_NO_OBJECTION, referral_id, agency, party, at)

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


_REFERRALS: Final = """
SELECT referral_id AS id, priority_rank AS rank, accepted_at AS since, referral_id AS subject, external_ref,
       priority, unrouted_reason FROM referral WHERE party = $1 AND unrouted_reason IS NOT NULL AND state <> 'withdrawn'
  AND unrouted_reason || '' NOT IN ('deferred', 'waiting', 'parked', 'recipient_cannot_read')
  AND (priority_rank, accepted_at, referral_id) > ($2::smallint, $3, $4) AND priority_rank <= $5
ORDER BY priority_rank, accepted_at, referral_id LIMIT $6
"""
#: Edges that moved are sent again, and stale ones are decided again, so neither needs a person. As in
#: `attention_since`.
_STUCK: Final = (
    "e.receipt_outcome <> 'moved' AND coalesce(e.receipt_code, '') NOT IN ('decision_time_off', 'document_lapsed')"
)
_EDGES: Final = f"""
SELECT e.edge_id AS id, e.priority_rank AS rank, e.attention_since AS since, e.referral_id AS subject, r.external_ref,
       e.recipient AS party, e.notice_id, r.priority, e.state, e.is_unreadable, e.answer,
       CASE WHEN {_STUCK} THEN e.receipt_outcome END AS receipt,
       coalesce(CASE WHEN {_STUCK} THEN e.receipt_code END,
                CASE e.answer WHEN 'declined' THEN e.answer_detail ->> 'reason' END) AS code,
       jsonb_path_exists(e.answer_detail, '$.disowned[*].suggested') AS suggested
FROM edge AS e JOIN referral AS r USING (referral_id) WHERE e.party = $1 AND e.attention_since IS NOT NULL
  AND (e.priority_rank, e.attention_since, e.edge_id) > ($2::smallint, $3, $4) AND e.priority_rank <= $5
ORDER BY e.priority_rank, e.attention_since, e.edge_id LIMIT $6
"""
#: Cases that were returned to an agency after a referral, until it answers again. The index `edge_came_back` matches.
_CAME_BACK: Final = """
SELECT DISTINCT ON (r.priority_rank, e.answered_at, e.referral_id, e.recipient)
       e.referral_id AS id, r.priority_rank AS rank, e.answered_at AS since, e.referral_id AS subject, r.external_ref,
       e.recipient AS party, r.priority, e.answer_detail ->> 'code' AS code
FROM edge AS e JOIN referral AS r USING (referral_id)
WHERE e.party = $1 AND e.answer_detail ? 'stands' AND e.state = 'emitted' AND NOT e.is_retracted
  AND (r.priority_rank, e.answered_at, e.referral_id) > ($2::smallint, $3, $4) AND r.priority_rank <= $5
ORDER BY r.priority_rank, e.answered_at, e.referral_id, e.recipient LIMIT $6
"""

#: An unclaimed transfer makes one item for its referral.
_UNCLAIMED: Final = """
SELECT r.referral_id AS id, r.priority_rank AS rank, t.since, r.referral_id AS subject, r.external_ref,
       r.priority
FROM (
    SELECT referral_id, min(offered_at) AS since FROM transfer WHERE party = $1 AND claimed_at IS NULL
    GROUP BY referral_id
) AS t JOIN referral AS r USING (referral_id)
WHERE r.state IN ('routed', 'orphaned')
  AND (r.priority_rank, t.since, r.referral_id) > ($2::smallint, $3, $4) AND r.priority_rank <= $5
ORDER BY r.priority_rank, t.since, r.referral_id LIMIT $6
"""


async def unclaimed_waits(
    driver: asyncpg.Connection, party: str, above: ListPlace, *, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return the first `limit` transferred referrals after `above` that no hotline has claimed."""
    rows = await driver.fetch(_UNCLAIMED, party, *above, rank_max, limit)
    return [waits_of(row, UNCLAIMED, kind=Subject.REFERRAL) for row in rows]


async def origin_waits(
    driver: asyncpg.Connection, party: str, above: ListPlace, *, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return the first `limit` attention items after `above`. Outcomes of single messages count for their edges."""
    asked = party, *above, rank_max, limit
    rows = await driver.fetch(_REFERRALS, *asked)
    whole = [waits_of(row, row["unrouted_reason"], kind=Subject.REFERRAL) for row in rows]
    edges = [_edge(row) for row in await driver.fetch(_EDGES, *asked)]
    back = [waits_of(row, CAME_BACK, kind=Subject.REFERRAL) for row in await driver.fetch(_CAME_BACK, *asked)]
    return sorted([*whole, *edges, *back], key=lambda waits: waits.place)[:limit]


def _edge(row: asyncpg.Record) -> AttentionRow:
    reasons = _reasons(row)
    return waits_of(row, *reasons, kind=Subject.REFERRAL, mend=mend_of(reasons, suggested=bool(row["suggested"])))


def _reasons(row: asyncpg.Record) -> tuple[str, ...]:
    """Return the reasons why an edge needs a person, as in the column `attention_since`."""
    answered = row["answer"] if row["answer"] in ANSWERED_NO else None
    waits = row["state"] == "waiting" or row["is_unreadable"]
    first = WorkReason.RECIPIENT_CANNOT_READ if waits else row["receipt"] or answered
    p0 = row["rank"] == 0 and row["answer"] in UNFINISHED
    return tuple(reason for reason in (first, P0_OPEN if p0 else None) if reason is not None)


_KEEP: Final = """
INSERT INTO alarm (party, kind, day, name) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING party
"""


class RaisedAlarm(NamedTuple):
    """One alarm; `name` is opaque, the same for all alarms of the party at this instance."""

    party: str
    kind: StrEnum
    day: date
    name: str


async def keep_alarm(database: Database, raised: RaisedAlarm) -> bool:
    """Store an alarm. Return whether it is the first of its party, kind and day."""
    return bool(await database.fetch(_KEEP, raised.party, raised.kind.value, raised.day, raised.name))
