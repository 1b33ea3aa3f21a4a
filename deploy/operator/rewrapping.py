"""The data keys of stored records, wrapped again by the newest key-encryption key of an instance.

A leaked key then opens no record that the database still has. It still opens records in older backups, and as the first
key of the file it still gives search tokens and the ids of actors.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import asyncpg

from deploy.operator.retention import BIND_PARTIES
from deploy.site.access import connected
from deploy.site.endpoints import OwnedDatabase
from shared.core.envelope.datakeys import KeyEncryptionKey, RowRef, rewrap

#: Number of rows that are written at once.
ROWS: Final = 1_000
_COLUMN: Final = "SELECT true FROM information_schema.columns WHERE table_name = $1 AND column_name = $2"


class WrappedKeys(NamedTuple):
    """A column of wrapped data keys, in SQL: its table, and the id, place and party of its rows.

    `name` completes the place, which may be that of another `place_table`. `value` is the wrapped key if the column
    holds more, and `assigned` the column's new value.
    """

    table: str
    id: str
    place: str
    name: str = "wrapped_key"
    column: str = "wrapped_key"
    party: str = "party"
    value: str = ""
    assigned: str = "a.new"
    place_table: str = ""

    def aad(self, row: asyncpg.Record) -> bytes:
        """Return the place of a wrapped key, to which it is bound."""
        return RowRef(self.place_table or self.table, row["place"], row["party"]).column(self.name)

    @property
    def read(self) -> str:
        columns = (
            f"{self.id} AS id, {self.place} AS place, {self.party} AS party, {self.value or self.column} AS wrapped"
        )
        return f"SELECT {columns} FROM {self.table}"  # noqa: S608 - our own constants

    @property
    def write(self) -> str:
        rows = "unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS a (id, old, new)"
        found = f"{self.id} = a.id AND {self.value or self.column} = a.old"
        return f"UPDATE {self.table} SET {self.column} = {self.assigned} FROM {rows} WHERE {found}"  # noqa: S608 - likewise


WRAPPED: Final = (
    WrappedKeys("referral", "referral_id", "referral_id::text"),
    # A party may have a record for several purposes, so the purpose is part of its place.
    WrappedKeys("received", "subject", "subject || '.' || purpose"),
    WrappedKeys("received_edge", "subject", "subject || '.' || purpose", place_table="received"),
    WrappedKeys("received", "subject", "subject::text", name="reference_key", column="reference_key"),
    WrappedKeys("preservation", "preservation_id", "preservation_id::text"),
    WrappedKeys("webhook", "webhook_id", "webhook_id::text"),
    # Its record begins with a version byte and the wrapped key.
    WrappedKeys(
        "exception",
        "message_id",
        "message_id::text",
        name="key",
        column="record",
        party="writer",
        value="CASE get_byte(record, 0) WHEN 2 THEN substring(record FROM 2 FOR 60) END",
        assigned="overlay(record PLACING a.new FROM 2)",
    ),
)


async def rewrap_stored(database: OwnedDatabase, kek: KeyEncryptionKey) -> dict[str, int]:
    """Wrap each stored data key with the newest key; return the number of changed rows by table and column.

    A row that is erased or written meanwhile stays as it is. Raises `Defect("data_key_unreadable")` for a key that none
    of the instance's keys wraps.
    """
    changed = dict[str, int]()
    async with connected(database.owner_url) as reader, connected(database.owner_url) as writer:
        for keys in WRAPPED:
            if await reader.fetchval(_COLUMN, keys.table, keys.column):
                changed[f"{keys.table}.{keys.column}"] = await _rewrap(keys, reader, writer, kek=kek)
    return changed


async def _rewrap(
    keys: WrappedKeys, reader: asyncpg.Connection, writer: asyncpg.Connection, *, kek: KeyEncryptionKey
) -> int:
    changed = 0
    async with reader.transaction():
        await reader.execute(BIND_PARTIES, "apply")
        cursor = await reader.cursor(keys.read)
        while rows := await cursor.fetch(ROWS):
            old = [row for row in rows if row["wrapped"] is not None]
            new = [rewrap(row["wrapped"], kek, keys.aad(row)) for row in old]
            found = [(row["id"], row["wrapped"], each) for row, each in zip(old, new, strict=True) if each is not None]
            if found:
                async with writer.transaction():
                    await writer.execute(BIND_PARTIES, "apply")
                    await writer.execute(keys.write, *zip(*found, strict=True))
            changed += len(found)
    return changed
