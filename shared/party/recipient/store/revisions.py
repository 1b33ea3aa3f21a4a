"""What an amendment changes of an item in PostgreSQL: its record, and what stands in the place of what stood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import asyncpg

from shared.party.recipient.domain import Item


class Table(Protocol):
    """Of a table of items, what this needs: which items `keeps`, in SQL, have the record that is replaced stay."""

    @property
    def name(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def contents(self) -> str: ...
    @property
    def numbers(self) -> str: ...
    @property
    def keeps(self) -> str: ...


class NewRecord(Protocol):
    """A row of contents."""

    @property
    def subject_id(self) -> UUID: ...
    @property
    def party(self) -> str: ...
    @property
    def purpose(self) -> str: ...
    @property
    def edge(self) -> str: ...
    @property
    def content(self) -> bytes: ...
    @property
    def evidence(self) -> bytes: ...
    @property
    def wrapped_key(self) -> bytes: ...
    @property
    def priority(self) -> str | None: ...
    @property
    def revision(self) -> int: ...


async def revise(
    driver: asyncpg.Connection, table: Table, records: Sequence[NewRecord], *, items: Sequence[Item]
) -> None:
    """Have these records stand, one after another, and items stand as these do."""
    for each in records:
        await _replace(driver, table, each)
    for item in items:
        await _raise(driver, table, item)


async def _replace(driver: asyncpg.Connection, table: Table, new: NewRecord) -> None:
    """Record, edge and evidence for one purpose. Where the item keeps what it had, that stays in a row beside it."""
    of, content = (new.subject_id, new.party), (new.edge, new.content, new.evidence, new.wrapped_key, new.revision)
    one = f"{table.subject} = $1 AND party = $2"
    await driver.execute(f"UPDATE {table.name} SET priority = $3 WHERE {one}", *of, new.priority)
    if await driver.fetchval(f"SELECT {table.keeps} FROM {table.name} WHERE {one}", *of):
        statement = (
            f"INSERT INTO {table.contents} ({table.subject}, party, purpose, edge, content, evidence, wrapped_key, "
            "revision) VALUES ($1, $2, $3, $4::text::jsonb, $5, $6, $7, $8)"
        )
    else:
        statement = (
            f"UPDATE {table.contents} SET edge = $4::text::jsonb, content = $5, evidence = $6, wrapped_key = $7, "
            f"revision = $8 WHERE {one} AND purpose = $3"
        )
    await driver.execute(statement, *of, new.purpose, *content)


async def _raise(driver: asyncpg.Connection, table: Table, item: Item) -> None:
    numbers = ", numbers = $5::smallint[]" if table.numbers == "numbers" else ""
    values: list[object] = [item.subject_id, item.party, item.state, item.revision]
    await driver.execute(
        f"UPDATE {table.name} SET state = $3, revision = $4, changed_at = now(){numbers} "
        f"WHERE {table.subject} = $1 AND party = $2",
        *(values + [list(item.numbers)] * bool(numbers)),
    )
