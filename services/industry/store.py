"""The providers' own table: notices issued to them. Content is kept only under a data key per notice and party.

Trust: whoever can write this table can hide a notice from its provider or misstate its progress here; the notifier
and audit still show that it was sent and receipted, and what was answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from services.industry.domain import NoticeState
from services.industry.ports import Notice, NoticeKey, NoticeNote
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Draft, Received
from shared.kernel.authority import state_forbids
from shared.kernel.clock import rfc3339
from shared.kernel.errors import not_found
from shared.party.recipient.store import change_states, item_columns
from shared.runtime.database.content import open_content
from shared.runtime.http.paging import next_cursor, read_cursor
from shared.runtime.post import outbox

_FIND = "SELECT notice_id, party, contact, exercise, state FROM notice WHERE notice_id = ANY($1::uuid[])"
#: Also locks them. Only whoever may change them sees them so: the instance itself, applying messages.
_LOCK = f"{_FIND} ORDER BY notice_id, party FOR UPDATE"
_ADD = """
INSERT INTO notice (notice_id, party, contact, exercise, state, purpose, edge, content, wrapped_key, language)
SELECT i, p, s, e, 'issued', u, d::jsonb, c, k, l
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bool[], $5::text[], $6::text[], $7::bytea[], $8::bytea[],
            $9::text[]) AS a(i, p, s, e, u, d, c, k, l)
"""
_CHANGE = """
UPDATE notice AS n SET state = a.following
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS a(notice_id, party, present, following)
WHERE n.notice_id = a.notice_id AND n.party = a.party AND n.state = a.present
RETURNING n.notice_id
"""
_ACT = """
UPDATE notice SET state = $4, actions = coalesce($5, actions), effective_at = coalesce($6, effective_at),
    rejection = coalesce($7, rejection), suggested = coalesce($8, suggested)
WHERE notice_id = $1 AND party = $2 AND state = $3 RETURNING notice_id
"""
_PAGE = """
SELECT notice_id, contact, exercise, state, purpose, language, edge, received_at, actions, effective_at, rejection,
       suggested
FROM notice
WHERE ($1::text IS NULL OR state = $1) AND ($2::uuid IS NULL OR notice_id < $2)
ORDER BY notice_id DESC LIMIT $3
"""
_ONE = """
SELECT notice_id, contact, exercise, state, purpose, language, edge, received_at, actions, effective_at, rejection,
       suggested, content, wrapped_key
FROM notice WHERE notice_id = $1
"""


class PostgresNotices:
    """`Notices` within one transaction."""

    def __init__(self, driver: asyncpg.Connection, kek: KeyEncryptionKey) -> None:
        self._driver = driver
        self._kek = kek

    async def find(self, notice_ids: Sequence[UUID]) -> dict[NoticeKey, Notice]:
        return await self._notices(_FIND, notice_ids)

    async def lock(self, notice_ids: Sequence[UUID]) -> dict[NoticeKey, Notice]:
        return await self._notices(_LOCK, notice_ids)

    async def _notices(self, statement: str, notice_ids: Sequence[UUID]) -> dict[NoticeKey, Notice]:
        rows = await self._driver.fetch(statement, list(notice_ids)) if notice_ids else []
        return {
            (row["notice_id"], row["party"]): Notice(
                notice_id=row["notice_id"],
                party=row["party"],
                contact=row["contact"],
                exercise=row["exercise"],
                state=NoticeState(row["state"]),
            )
            for row in rows
        }

    async def add(self, messages: Sequence[Received]) -> None:
        if messages:
            languages = [message.clear.language for message in messages]  # type: ignore[attr-defined]
            await self._driver.execute(_ADD, *item_columns(messages, self._kek), languages)

    async def change(self, changes: Mapping[NoticeKey, tuple[NoticeState, NoticeState]]) -> None:
        await change_states(self._driver, _CHANGE, changes)

    async def act(self, notice: Notice, following: NoticeState, note: NoticeNote) -> None:
        changed = await self._driver.fetchval(
            _ACT,
            notice.notice_id,
            notice.party,
            notice.state.value,
            following.value,
            [action.value for action in note.actions] if note.actions else None,
            note.effective_at,
            note.rejection and note.rejection.value,
            note.suggested,
        )
        if changed is None:
            raise state_forbids()

    async def send(self, drafts: Sequence[Draft]) -> None:
        await outbox.enqueue(self._driver, drafts)

    async def page(self, *, state: str | None, cursor: str | None, limit: int) -> dict[str, Any]:
        rows = await self._driver.fetch(_PAGE, state, read_cursor(cursor), limit + 1)
        return {"items": [_notice(row) for row in rows[:limit]], "next": next_cursor(rows, limit, "notice_id")}

    async def show(self, notice_id: UUID) -> dict[str, Any]:
        row = await self._driver.fetchrow(_ONE, notice_id)
        if row is None:
            raise not_found()
        record = open_content(row["content"], row["wrapped_key"], self._kek, subject=notice_id)
        return _notice(row) | {"record": record}


def _notice(row: asyncpg.Record) -> dict[str, Any]:
    """A notice as its provider sees it. Whether its rule lets police hold notices back is not shown."""
    edge = {name: value for name, value in row["edge"].items() if name != "hold_gate"}
    return {
        "notice_id": str(row["notice_id"]),
        "contact": row["contact"],
        "purpose": row["purpose"],
        "state": row["state"],
        "exercise": row["exercise"],
        "received_at": rfc3339(row["received_at"]),
        "language": row["language"],
        "edge": edge,
        "actions": row["actions"],
        "effective_at": rfc3339(row["effective_at"]) if row["effective_at"] else None,
        "rejection": row["rejection"],
        "suggested": row["suggested"],
    }
