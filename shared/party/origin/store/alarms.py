"""Which alarms were raised, in PostgreSQL: one row a party, kind and day."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple

from shared.runtime.database.transactions import Database

_KEEP: Final = """
INSERT INTO alarm (party, kind, day, name) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING party
"""


class Raised(NamedTuple):
    """One alarm; `name` is opaque, the same for all of the party's at this instance."""

    party: str
    kind: StrEnum
    day: date
    name: str


async def keep_alarm(database: Database, raised: Raised) -> bool:
    """Keep an alarm; whether it is the first of its party, kind and day."""
    return bool(await database.fetch(_KEEP, raised.party, raised.kind.value, raised.day, raised.name))
