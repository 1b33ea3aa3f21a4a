"""Putting records into quarantine: a row for each authentic message, and one that counts for each kind of junk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import asyncpg

from shared.envelope.datakeys import KeyEncryptionKey
from shared.runtime.database.columns import Columns, insert
from shared.runtime.post.arrivals import Parked
from shared.runtime.post.kept_record import encrypt_record

#: The table, and what a body that is kept in it is bound to.
QUARANTINE: Final = "quarantine"

_PARKED = Columns.of(Parked, without=("record", "topic_id"), body="bytea", count="bigint")
#: One that was replayed and is parked again waits again. `xmax` is 0 in a row that was not there before.
_PARK = insert(
    QUARANTINE,
    _PARKED,
    end="""
ON CONFLICT (same) DO UPDATE SET count = quarantine.count + excluded.count, reason = excluded.reason, last_at = now(),
    body = coalesce(quarantine.body, excluded.body), replayed_at = NULL
RETURNING same, xmax = 0 AS new
""",
)


async def park(driver: asyncpg.Connection, parked: Sequence[Parked], *, kek: KeyEncryptionKey) -> list[Parked]:
    """See `Unit.park`."""
    if not parked:
        return []
    firsts: dict[str, Parked] = {}
    for each in parked:
        firsts.setdefault(each.same, each)
    counts = Counter(each.same for each in parked)
    rows = list(firsts.values())
    bodies = [None if row.record is None else encrypt_record(row.record, kek, table=QUARANTINE) for row in rows]
    bound = _PARKED.rows(rows, body=bodies, count=[counts[row.same] for row in rows])
    new = {row["same"] for row in await driver.fetch(*_PARK.bind(rows=bound)) if row["new"]}
    return [row for row in rows if row.same in new]
