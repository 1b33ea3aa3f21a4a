"""The agencies' own tables: cases, and the edges on which each was offered.

Content is kept only under a data key per edge, and an agency's own reference under one per case.
Trust: whoever can write these tables can hide a case from its agency or misstate its progress here; origin and
audit still show that it was sent and receipted, and what was answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from services.law_enforcement.domain import CaseState
from services.law_enforcement.ports import Case, CaseKey, CaseNote
from shared.envelope.datakeys import DataKey, KeyEncryptionKey, protect, reveal, unwrap, wrap
from shared.exchange.message import Draft, Received
from shared.kernel.authority import state_forbids
from shared.kernel.clock import rfc3339
from shared.kernel.errors import not_found
from shared.party.recipient.store import change_states, item_columns
from shared.runtime.database.content import open_content
from shared.runtime.http.paging import next_cursor, read_cursor
from shared.runtime.post import outbox

_FIND = """
SELECT referral_id, party, origin, exercise, state,
       ARRAY(SELECT purpose FROM case_edge AS e WHERE e.referral_id = c.referral_id AND e.party = c.party) AS purposes
FROM case_file AS c WHERE referral_id = ANY($1::uuid[])
"""
#: Also locks them. Only whoever may change them sees them so: the instance itself, applying messages.
_LOCK = f"{_FIND} ORDER BY referral_id, party FOR UPDATE"
_ADD = """
INSERT INTO case_file (referral_id, party, origin, exercise, state)
SELECT i, p, o, e, 'offered' FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bool[]) AS a(i, p, o, e)
ON CONFLICT DO NOTHING
"""
_ADD_EDGES = """
INSERT INTO case_edge (referral_id, party, purpose, edge, content, wrapped_key)
SELECT i, p, u, d::jsonb, c, k
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[]) AS a(i, p, u, d, c, k)
"""
_CHANGE = """
UPDATE case_file AS c SET state = a.following
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS a(referral_id, party, present, following)
WHERE c.referral_id = a.referral_id AND c.party = a.party AND c.state = a.present
RETURNING c.referral_id
"""
_ACT = """
UPDATE case_file SET state = $4, accepted_at = coalesce($5, accepted_at),
    case_reference = coalesce($6, case_reference), reference_key = coalesce($7, reference_key),
    decline_reason = coalesce($8, decline_reason), outcome = coalesce($9, outcome),
    close_reason = coalesce($10, close_reason), child_identified = coalesce($11, child_identified),
    child_safeguarded = coalesce($12, child_safeguarded)
WHERE referral_id = $1 AND party = $2 AND state = $3 RETURNING referral_id
"""
_COLUMNS = """
SELECT referral_id, origin, exercise, state, received_at, accepted_at, case_reference, reference_key, decline_reason,
       outcome, close_reason, child_identified, child_safeguarded
FROM case_file"""
_PAGE = (
    _COLUMNS
    + """
WHERE ($1::text IS NULL OR state = $1) AND ($2::uuid IS NULL OR referral_id < $2)
ORDER BY referral_id DESC LIMIT $3
"""
)
_ONE = _COLUMNS + " WHERE referral_id = $1"
_EDGES = """
SELECT referral_id, purpose, edge, content, wrapped_key FROM case_edge WHERE referral_id = ANY($1::uuid[])
ORDER BY received_at, purpose
"""


class PostgresCases:
    """`Cases` within one transaction."""

    def __init__(self, driver: asyncpg.Connection, kek: KeyEncryptionKey) -> None:
        self._driver = driver
        self._kek = kek

    async def find(self, referral_ids: Sequence[UUID]) -> dict[CaseKey, Case]:
        return await self._cases(_FIND, referral_ids)

    async def lock(self, referral_ids: Sequence[UUID]) -> dict[CaseKey, Case]:
        return await self._cases(_LOCK, referral_ids)

    async def _cases(self, statement: str, referral_ids: Sequence[UUID]) -> dict[CaseKey, Case]:
        rows = await self._driver.fetch(statement, list(referral_ids))
        return {
            (row["referral_id"], row["party"]): Case(
                referral_id=row["referral_id"],
                party=row["party"],
                origin=row["origin"],
                exercise=row["exercise"],
                state=CaseState(row["state"]),
                purposes=frozenset(row["purposes"]),
            )
            for row in rows
        }

    async def add(self, messages: Sequence[Received]) -> None:
        if messages:
            ids, parties, origins, exercises, *edges = item_columns(messages, self._kek)
            await self._driver.execute(_ADD, ids, parties, origins, exercises)
            await self._driver.execute(_ADD_EDGES, ids, parties, *edges)

    async def change(self, changes: Mapping[CaseKey, tuple[CaseState, CaseState]]) -> None:
        await change_states(self._driver, _CHANGE, changes)

    async def act(self, case: Case, following: CaseState, note: CaseNote) -> None:
        report = note.report
        reference, key = self._protected(case.referral_id, note.case_reference)
        changed = await self._driver.fetchval(
            _ACT,
            case.referral_id,
            case.party,
            case.state.value,
            following.value,
            note.accepted_at,
            reference,
            key,
            note.decline_reason and note.decline_reason.value,
            report and report.outcome.value,
            report and report.close_reason and report.close_reason.value,
            report and report.child_identified.value,
            report and report.child_safeguarded.value,
        )
        if changed is None:
            raise state_forbids()

    async def send(self, drafts: Sequence[Draft]) -> None:
        await outbox.enqueue(self._driver, drafts)

    async def page(self, *, state: str | None, cursor: str | None, limit: int) -> dict[str, Any]:
        rows = await self._driver.fetch(_PAGE, state, read_cursor(cursor), limit + 1)
        edges = await self._edges([row["referral_id"] for row in rows[:limit]])
        items = [_case(row, edges[row["referral_id"]]) for row in rows[:limit]]
        return {"items": items, "next": next_cursor(rows, limit, "referral_id")}

    async def show(self, referral_id: UUID) -> dict[str, Any]:
        row = await self._driver.fetchrow(_ONE, referral_id)
        if row is None:
            raise not_found()
        edges = (await self._edges([referral_id]))[referral_id]
        first, *further = [open_content(e["content"], e["wrapped_key"], self._kek, subject=referral_id) for e in edges]
        shown = _case(row, edges) | {"case_reference": self._revealed(row), "record": first}
        shown["further"] = [each | {"record": record} for each, record in zip(shown["further"], further, strict=True)]
        return shown

    async def _edges(self, referral_ids: Sequence[UUID]) -> dict[UUID, list[asyncpg.Record]]:
        edges: dict[UUID, list[asyncpg.Record]] = {referral_id: [] for referral_id in referral_ids}
        for row in await self._driver.fetch(_EDGES, list(referral_ids)):
            edges[row["referral_id"]].append(row)
        return edges

    def _protected(self, referral_id: UUID, reference: str | None) -> tuple[bytes | None, bytes | None]:
        if reference is None:
            return None, None
        key, place = DataKey.generate(), _reference_place(referral_id)
        return protect(reference.encode(), key, place), wrap(key, self._kek, place)

    def _revealed(self, row: asyncpg.Record) -> str | None:
        if row["reference_key"] is None:
            return None
        place = _reference_place(row["referral_id"])
        return reveal(row["case_reference"], unwrap(row["reference_key"], self._kek, place), place).decode()


def _reference_place(referral_id: UUID) -> bytes:
    return b"case_reference/" + referral_id.bytes


def _case(row: asyncpg.Record, edges: Sequence[asyncpg.Record]) -> dict[str, Any]:
    """A case as its agency sees it: the edge it began with, and those for further purposes."""
    first, *further = edges
    return {
        "referral_id": str(row["referral_id"]),
        "origin": row["origin"],
        "purpose": first["purpose"],
        "state": row["state"],
        "exercise": row["exercise"],
        "received_at": rfc3339(row["received_at"]),
        "edge": first["edge"],
        "further": [{"purpose": each["purpose"], "edge": each["edge"]} for each in further],
        "accepted_at": rfc3339(row["accepted_at"]) if row["accepted_at"] else None,
        "decline_reason": row["decline_reason"],
        "outcome": row["outcome"],
        "close_reason": row["close_reason"],
        "child_identified": row["child_identified"],
        "child_safeguarded": row["child_safeguarded"],
    }
