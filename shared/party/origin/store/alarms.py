"""Which alarms were raised, in PostgreSQL: one row a party, kind and day."""

from __future__ import annotations

from typing import Final

from shared.party.origin.use_cases.alarms import Raised
from shared.runtime.database.transactions import Database

_KEEP: Final = """
INSERT INTO alarm (party, kind, day, name) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING party
"""


async def keep_alarm(database: Database, raised: Raised) -> bool:
    """Keep an alarm; whether it is the first of its party, kind and day."""
    return bool(await database.fetch(_KEEP, raised.party, raised.kind.value, raised.day, raised.name))
