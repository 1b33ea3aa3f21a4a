"""What an instance would send, read from its database as its relay reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shared.exchange.message import Draft
from shared.exchange.prepare import Documents
from shared.party.origin.use_cases.again import Law
from shared.runtime.database.transactions import Database
from shared.runtime.post.ports import Signed
from shared.runtime.post.segments import unpack
from shared.runtime.post.stamping import draft_of
from tests.services.deliveries import without_act


def _none(*_: object) -> Documents:
    raise AssertionError("nothing is decided here")


#: Of an instance that decides nothing.
NO_LAW = Law(now=_none, at=_none)
_HELD = """
SELECT o.message_id, o.lane, o.index, o.epoch, o.sequence, o.digest, s.packed
FROM outbox AS o JOIN segment AS s ON s.id = o.segment ORDER BY o.segment, o.index
"""


async def held(database: Database) -> list[Signed]:
    """All that is in the outbox, by transaction; of one, lane by lane in its order."""
    found = []
    for row in await database.fetch(_HELD):
        record = unpack(row["packed"])[row["index"]]
        assert record is not None
        draft = draft_of(record, row["lane"])
        found.append(Signed(draft, row["epoch"], row["sequence"], row["digest"], record))
    return found


async def about(database: Database, subject: UUID) -> list[Draft]:
    """What is said of one subject."""
    return [each.draft for each in await held(database) if each.draft.subject == str(subject)]


async def clear_parts(database: Database, subject: UUID) -> list[tuple[str, str, str, bool, dict[str, Any]]]:
    """(type, sender, recipient, exercise, clear part) of what is said of one subject."""
    return [
        (each.message.type, each.sender, each.recipient, each.exercise, without_act(json.loads(each.body)["clear"]))
        for each in await about(database, subject)
    ]


async def let_go(database: Database, message_ids: Sequence[UUID]) -> None:
    """These have left the outbox."""
    async with database.transaction() as session:
        await session.driver.execute("DELETE FROM outbox WHERE message_id = ANY($1::uuid[])", list(message_ids))
