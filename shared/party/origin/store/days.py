"""What parties have spent of their days, in PostgreSQL: one statement for all parties of a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from shared.party.origin.domain import Spent
from shared.party.stores import PartyStore
from shared.runtime.database.columns import Bound, Columns, Statement

SPENT: Final = Columns[str]({"party": "text", "record": "bigint", "hashes": "bigint"})
#: Adds what is `spent` to a day. A condition may stand between its two parts.
DEBIT: Final = """
INSERT INTO party_day AS d (party, day, record, hashes)
SELECT spent.party, {day}, spent.record, spent.hashes FROM {spent}
"""
#: Locked in the order of parties, by everyone, and until the commit: nobody grants what another has granted.
DEBIT_END: Final = """
ORDER BY spent.party
ON CONFLICT (party, day) DO UPDATE SET record = d.record + excluded.record, hashes = d.hashes + excluded.hashes
RETURNING party, record, hashes
"""
_DEBIT: Final = Statement(DEBIT + DEBIT_END, day="date", spent=SPENT)


class PostgresDays(PartyStore):
    """What parties have spent of their days."""

    async def debit(self, day: date, spent: Mapping[str, Spent]) -> Mapping[str, Spent]:
        rows = await self._driver.fetch(*_DEBIT.bind(day=day, spent=bind_spent(spent)))
        return {row["party"]: Spent(row["record"], row["hashes"]) for row in rows}


def bind_spent(spent: Mapping[str, Spent]) -> Bound[str]:
    """Bind what parties spend, or may spend, as rows of `SPENT`."""
    records, hashes = [each.record for each in spent.values()], [each.hashes for each in spent.values()]
    return Bound(SPENT, [list(spent), records, hashes])
