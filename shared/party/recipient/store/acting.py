"""The effects of a party's acts on its rows of `received`: one statement for all acts of a transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.party.recipient.ports import ItemAct

_MOVE: Final = """
WITH a AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::int[], $7::text[],
                         $8::bytea[], $9::bytea[], $10::bytea[])
        AS a (subject, party, present, following, acts, revision, said, case_reference, reference_key, reference_token)
), held AS MATERIALIZED (
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
"""


class Reference(NamedTuple):
    """The agency's own reference of a case: protected, its wrapped key, and the token by which it is found."""

    protected: bytes | None = None
    key: bytes | None = None
    token: bytes | None = None


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
    items = [each.item for each in acts]
    rows = await driver.fetch(
        _MOVE,
        [item.subject_id for item in items],
        [item.party for item in items],
        [item.state for item in items],
        [each.following for each in acts],
        [item.acts for item in items],
        [item.revision for item in items],
        [json.dumps(words) for words in said],
        *([each[place] for each in references] for place in range(3)),
    )
    return frozenset(row["subject"] for row in rows)
