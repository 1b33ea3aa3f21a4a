"""Leases of cases in PostgreSQL. Rows are added and never changed: the one with the highest number counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.party.recipient.leasing import UNCLAIMED, Lease

_NEWEST: Final = """
SELECT number, actor, until FROM case_lease WHERE referral_id = $1 AND party = $2 ORDER BY number DESC LIMIT 1
"""
_ADD: Final = """
INSERT INTO case_lease (referral_id, party, number, actor, until, by_actor, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
"""


#: Who had a row of `case_file` by the lease that counts, and until when.
CLAIMED: Final = """,
(SELECT l.actor FROM case_lease AS l WHERE l.referral_id = case_file.referral_id AND l.party = case_file.party
 ORDER BY l.number DESC LIMIT 1) AS claimed_by,
(SELECT l.until FROM case_lease AS l WHERE l.referral_id = case_file.referral_id AND l.party = case_file.party
 ORDER BY l.number DESC LIMIT 1) AS claimed_until
"""


@dataclass(frozen=True, slots=True)
class PostgresLeases:
    """`Leases` within one transaction."""

    driver: asyncpg.Connection

    async def newest(self, referral_id: UUID, party: str) -> Lease:
        row = await self.driver.fetchrow(_NEWEST, referral_id, party)
        return UNCLAIMED if row is None else Lease(*row)

    async def add(self, referral_id: UUID, party: str, lease: Lease, *, by: str, at: datetime) -> bool:
        values = lease.number, lease.actor, lease.until, by, at
        done: str = await self.driver.execute(_ADD, referral_id, party, *values)
        return done.endswith(" 1")
