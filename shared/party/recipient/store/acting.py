"""The effects of a party's acts on its rows of `received`: one statement for all acts of a transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.party.recipient.records import ItemAct
from shared.runtime.database.columns import Columns, Json, Statement


class Reference(NamedTuple):
    """The agency's own reference of a case: protected, its wrapped key, and the token by which it is found."""

    protected: bytes | None = None
    key: bytes | None = None
    token: bytes | None = None


class _Move(NamedTuple):
    """A row as an act found it, and as the act leaves it."""

    subject: UUID
    party: str
    present: str
    following: str
    acts: int
    revision: int
    said: Json
    case_reference: bytes | None
    reference_key: bytes | None
    reference_token: bytes | None


_MOVES: Final = Columns.of(_Move)
_MOVE: Final = Statement(
    """
WITH a AS MATERIALIZED (SELECT * FROM {moves}), held AS MATERIALIZED (
    SELECT t.subject, t.party FROM received AS t JOIN a USING (subject, party)
    WHERE t.state = a.present AND t.acts = a.acts AND t.revision = a.revision
    ORDER BY t.subject, t.party FOR UPDATE OF t
)
UPDATE received AS t
SET state = a.following, changed_at = now(), acts = t.acts + 1, said = a.said::jsonb,
    case_reference = coalesce(a.case_reference, t.case_reference),
    reference_key = coalesce(a.reference_key, t.reference_key),
    reference_token = coalesce(a.reference_token, t.reference_token)
FROM a JOIN held USING (subject, party)
WHERE t.subject = a.subject AND t.party = a.party RETURNING t.subject
""",
    moves=_MOVES,
)


async def move(
    driver: asyncpg.Connection,
    acts: Sequence[ItemAct],
    *,
    said: Sequence[Mapping[str, object]],
    references: Sequence[Reference],
) -> frozenset[UUID]:
    """Store the state and the words after each act; return the subjects of the rows that were moved.

    A row that another transaction has acted on or amended since it was found is not moved. All transactions lock rows
    in one order.
    """
    moves = [
        _Move(
            item.subject_id, item.party, item.state, act.following, item.acts, item.revision, json.dumps(words), *named
        )
        for act, words, named in zip(acts, said, references, strict=True)
        for item in (act.item,)
    ]
    rows = await driver.fetch(*_MOVE.bind(moves=_MOVES.rows(moves)))
    return frozenset(row["subject"] for row in rows)
