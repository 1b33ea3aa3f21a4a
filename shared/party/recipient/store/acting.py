"""What acts make of items, in PostgreSQL: all acts of a transaction that are of one kind go in one statement."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

import asyncpg

from shared.party.recipient.ports import ItemAct


class Table(Protocol):
    """Of a table of items, what this needs: `beside` are columns of bytes that an act sets where it says something."""

    @property
    def name(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def beside(self) -> Sequence[str]: ...


async def move(
    driver: asyncpg.Connection,
    table: Table,
    acts: Sequence[ItemAct],
    *,
    said: Sequence[Mapping[str, object]],
    beside: Sequence[Sequence[bytes | None]] = (),
) -> frozenset[UUID]:
    """Have each item stand where its act leads and keep all that was `said`; the subjects of those that were moved.

    Nobody has acted on or amended it meanwhile, or it is not moved: so all is what it was when it was found. They are
    locked in one order by everybody.
    """
    items = [each.item for each in acts]
    columns = (
        [item.subject_id for item in items],
        [item.party for item in items],
        [item.state for item in items],
        [each.following for each in acts],
        [item.acts for item in items],
        [item.revision for item in items],
        [json.dumps(words) for words in said],
    )
    rows = await driver.fetch(_statement(table), *columns, *beside)
    return frozenset(row["subject"] for row in rows)


def _statement(table: Table) -> str:
    further = "".join(f", ${place}::bytea[]" for place in range(8, 8 + len(table.beside)))
    names = "".join(f", {name}" for name in table.beside)
    kept = "".join(f", {name} = coalesce(a.{name}, t.{name})" for name in table.beside)
    return f"""
WITH a AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::int[], $7::text[]{further})
        AS a (subject, party, present, following, acts, revision, said{names})
), held AS MATERIALIZED (
    SELECT t.{table.subject} AS subject, t.party FROM {table.name} AS t
    JOIN a ON a.subject = t.{table.subject} AND a.party = t.party
    WHERE t.state = a.present AND t.acts = a.acts AND t.revision = a.revision
    ORDER BY t.{table.subject}, t.party FOR UPDATE OF t
)
UPDATE {table.name} AS t
SET state = a.following, changed_at = now(), acts = t.acts + 1, said = a.said::jsonb{kept}
FROM a JOIN held USING (subject, party)
WHERE t.{table.subject} = a.subject AND t.party = a.party RETURNING t.{table.subject} AS subject
"""
