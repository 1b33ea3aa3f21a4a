"""Leases of cases in PostgreSQL. Rows are added and never changed: the one with the highest number counts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.act import Subject
from shared.kernel.authority import Role
from shared.party.recipient.records import UNCLAIMED, Lease
from shared.party.recipient.store.attention import items_waiting
from shared.party.waiting import P0_UNCLAIMED, Mend, Place, Waits

Now = Callable[[], datetime]

_NEWEST: Final = """
SELECT number, actor, until FROM case_lease WHERE referral_id = $1 AND party = $2 ORDER BY number DESC LIMIT 1
"""
_ADD: Final = """
INSERT INTO case_lease (referral_id, party, number, actor, until, by_actor, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
"""
#: By what people and keys of a party are told apart in facts about it: those that are one of these roles still.
_OFFICERS: Final = """
SELECT decode(actor, 'hex') AS whose FROM console_person WHERE party = $1 AND role = ANY($2) AND ended_at IS NULL
UNION SELECT coalesce(decode(person, 'hex'), key_hash) FROM api_key
WHERE party = $1 AND role = ANY($2) AND revoked_at IS NULL
"""


#: Cases that somebody has at $3.
_STANDING: Final = """
SELECT referral_id FROM (
    SELECT DISTINCT ON (referral_id) referral_id, actor, until FROM case_lease
    WHERE referral_id = ANY($1::uuid[]) AND party = $2 ORDER BY referral_id, number DESC
) AS newest WHERE actor IS NOT NULL AND until > $3
"""
#: The holder of a row of `received` by the lease that counts, and the end of that lease.
CLAIMED: Final = """,
(SELECT l.actor FROM case_lease AS l WHERE l.referral_id = received.subject AND l.party = received.party
 ORDER BY l.number DESC LIMIT 1) AS claimed_by,
(SELECT l.until FROM case_lease AS l WHERE l.referral_id = received.subject AND l.party = received.party
 ORDER BY l.number DESC LIMIT 1) AS claimed_until
"""

#: The cases that the person {claimed_by} of the party {party} has by the lease that counts.
MINE: Final = """subject IN (
    SELECT l.referral_id FROM case_lease AS l
    WHERE l.party = {party} AND l.actor = {claimed_by} AND l.until > now() AND NOT EXISTS (
        SELECT FROM case_lease AS m WHERE m.referral_id = l.referral_id AND m.party = l.party AND m.number > l.number)
)"""


async def cases_waiting(
    driver: asyncpg.Connection, party: str, above: Place, /, *, rank_max: int, limit: int, now: Now
) -> list[Waits]:
    """What is open and has a child at risk, as `items_waiting`; of what nobody has taken up or claimed it says so."""
    found = await items_waiting(driver, party, above, subject=Subject.CASE, rank_max=rank_max, limit=limit)
    offered = [waits.row.subject for waits in found if waits.row.mend is Mend.ACCEPT]
    held = {row["referral_id"] for row in await driver.fetch(_STANDING, offered, party, now())} if offered else set()
    nobodys = {each for each in offered if each not in held}
    return [_woken(waits) if waits.row.subject in nobodys else waits for waits in found]


def _woken(waits: Waits) -> Waits:
    update = {"reasons": (P0_UNCLAIMED, *waits.row.reasons), "mend": Mend.CLAIM}
    return waits._replace(row=waits.row.model_copy(update=update))


@dataclass(frozen=True, slots=True)
class PostgresLeases:
    """`Leases` within one transaction."""

    driver: asyncpg.Connection
    kek: KeyEncryptionKey

    async def newest(self, referral_id: UUID, party: str) -> Lease:
        row = await self.driver.fetchrow(_NEWEST, referral_id, party)
        return UNCLAIMED if row is None else Lease(*row)

    async def add(self, referral_id: UUID, party: str, lease: Lease, *, by: str, at: datetime) -> bool:
        values = lease.number, lease.actor, lease.until, by, at
        done: str = await self.driver.execute(_ADD, referral_id, party, *values)
        return done.endswith(" 1")

    async def is_officer(self, party: str, actor: str, roles: Collection[Role]) -> bool:
        rows = await self.driver.fetch(_OFFICERS, party, [role.value for role in roles])
        return any(self.kek.actor_id(party, row["whose"]) == actor for row in rows)
