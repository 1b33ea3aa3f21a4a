"""The officers who work on cases, and the cases that wait for one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.core.acts.act import Subject
from shared.core.authority import Role
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.features.attention.rules import P0_UNCLAIMED, AttentionRow, ListPlace, Remedy
from shared.features.cases.store.passed_cases import Now
from shared.features.received.rules import UNCLAIMED, CaseLease
from shared.features.received.store.listing import items_waiting

_NEWEST: Final = """
SELECT number, actor, expires_at FROM case_lease WHERE referral_id = $1 AND party = $2 ORDER BY number DESC LIMIT 1
"""
_ADD: Final = """
INSERT INTO case_lease (referral_id, party, number, actor, expires_at, assigned_by, at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
"""
#: The keys from which actor ids are derived, of the people and API keys of a party that still have one of these roles.
_OFFICERS: Final = """
SELECT decode(actor, 'hex') AS whose FROM console_account WHERE party = $1 AND role = ANY($2) AND ended_at IS NULL
UNION SELECT coalesce(decode(person, 'hex'), key_hash) FROM api_key
WHERE party = $1 AND role = ANY($2) AND revoked_at IS NULL
"""


#: Cases that an officer holds at the time $3.
_STANDING: Final = """
SELECT referral_id FROM (
    SELECT DISTINCT ON (referral_id) referral_id, actor, expires_at FROM case_lease
    WHERE referral_id = ANY($1::uuid[]) AND party = $2 ORDER BY referral_id, number DESC
) AS newest WHERE actor IS NOT NULL AND expires_at > $3
"""
#: The holder of a row of `received` by the newest lease, and the end of that lease.
CLAIMED: Final = """,
(SELECT l.actor FROM case_lease AS l WHERE l.referral_id = received.subject AND l.party = received.party
 ORDER BY l.number DESC LIMIT 1) AS claimed_by,
(SELECT l.expires_at FROM case_lease AS l WHERE l.referral_id = received.subject AND l.party = received.party
 ORDER BY l.number DESC LIMIT 1) AS claimed_until
"""

#: The cases that the person {claimed_by} of the party {party} holds by the newest lease.
MINE: Final = """subject IN (
    SELECT l.referral_id FROM case_lease AS l
    WHERE l.party = {party} AND l.actor = {claimed_by} AND l.expires_at > now() AND NOT EXISTS (
        SELECT FROM case_lease AS m WHERE m.referral_id = l.referral_id AND m.party = l.party AND m.number > l.number)
)"""


async def cases_waiting(
    driver: asyncpg.Connection, party: str, above: ListPlace, /, *, rank_max: int, limit: int, now: Now
) -> list[AttentionRow]:
    """Return open cases with a child at risk, as `items_waiting`. Unanswered cases without a lease are marked so."""
    found = await items_waiting(driver, party, above, subject=Subject.CASE, rank_max=rank_max, limit=limit)
    offered = [waits.row.subject for waits in found if waits.row.mend is Remedy.ACCEPT]
    held = {row["referral_id"] for row in await driver.fetch(_STANDING, offered, party, now())} if offered else set()
    nobodys = {each for each in offered if each not in held}
    return [_woken(waits) if waits.row.subject in nobodys else waits for waits in found]


def _woken(waits: AttentionRow) -> AttentionRow:
    update = {"reasons": (P0_UNCLAIMED, *waits.row.reasons), "mend": Remedy.CLAIM}
    return waits._replace(row=waits.row.model_copy(update=update))


@dataclass(frozen=True, slots=True)
class PostgresLeases:
    """The leases of an agency's cases, within one transaction."""

    driver: asyncpg.Connection
    kek: KeyEncryptionKey

    async def newest(self, referral_id: UUID, party: str) -> CaseLease:
        row = await self.driver.fetchrow(_NEWEST, referral_id, party)
        return UNCLAIMED if row is None else CaseLease(*row)

    async def add(self, referral_id: UUID, party: str, lease: CaseLease, *, by: str, at: datetime) -> bool:
        values = lease.number, lease.actor, lease.until, by, at
        done: str = await self.driver.execute(_ADD, referral_id, party, *values)
        return done.endswith(" 1")

    async def is_officer(self, party: str, actor: str, roles: Collection[Role]) -> bool:
        rows = await self.driver.fetch(_OFFICERS, party, [role.value for role in roles])
        return any(self.kek.actor_id(party, row["whose"]) == actor for row in rows)
