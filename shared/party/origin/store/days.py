"""What parties have spent of their days, in PostgreSQL: one statement for all parties of a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from shared.party.origin.domain import Spent
from shared.party.stores import PartyStore

#: Locked in the order of parties, by everyone, and until the commit: nobody grants what another has granted.
_DEBIT: Final = """
INSERT INTO party_day AS d (party, day, record, hashes)
SELECT s.party, $1, s.record, s.hashes FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS s(party, record, hashes)
ORDER BY s.party
ON CONFLICT (party, day) DO UPDATE SET record = d.record + excluded.record, hashes = d.hashes + excluded.hashes
RETURNING party, record, hashes
"""


class PostgresDays(PartyStore):
    """What parties have spent of their days."""

    async def debit(self, day: date, spent: Mapping[str, Spent]) -> Mapping[str, Spent]:
        """Add this to what each party has spent of `day`, and say how much that is now.

        Until the transaction ends nobody else does. What is given back is negative.
        """
        records, hashes = [each.record for each in spent.values()], [each.hashes for each in spent.values()]
        rows = await self._driver.fetch(_DEBIT, day, list(spent), records, hashes)
        return {row["party"]: Spent(row["record"], row["hashes"]) for row in rows}
