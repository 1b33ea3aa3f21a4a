"""A restored instance: say that its database is an older state, and what of it has come back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from deploy.parties import built_at_once
from deploy.site.kinds import AUDIT as AUDIT_KIND
from shared.exchange.origin import ANSWERS
from shared.exchange.topics import AUDIT
from shared.kernel.errors import Refused
from shared.runtime.database.catalogue import refuse_strange_database
from shared.runtime.database.transactions import Database
from shared.runtime.instance.machinery import Machinery
from shared.runtime.instance.settings import RuntimeSettings
from shared.runtime.post.talk_loop import peers_of
from shared.runtime.watch.logs import configure_logs

#: No database has this id: every epoch ends with the next number, the instance asks its peers at its next turn, and
#: nobody is signed in from its start on.
_BEGIN: Final = (
    "UPDATE pair_sequence SET system_id = 0",
    "UPDATE life SET system_id = 0, began_at = now()",
    "UPDATE erasure_place SET system_id = 0",
)
#: What no peer and no journal gives back, and the verb that does.
FORGOTTEN: Final = (
    ("API keys that were issued since the backup", "causeway key issue"),
    ("roles that were given since the backup, or changed", "causeway person permit"),
    ("keys that were revoked, and roles that ended, while the instance was down", "causeway key revoke, person end"),
    ("addresses that parties registered since the backup", "causeway webhook add"),
    ("secrets of addresses that parties rotated since the backup", "causeway webhook rotate"),
)
_BEGAN: Final = "SELECT began_at, coalesce(system_id, 0) <> 0 AS noticed FROM life"
# `lost`: what an epoch that has ended since is known to have given out, and this database has nothing of.
_PEERS: Final = """
WITH ended AS (
    SELECT sender, recipient, lane, epoch, last FROM closed_epoch, life WHERE closed_at >= began_at
    UNION ALL SELECT sender, recipient, lane, epoch, last FROM pair_sequence WHERE system_id = 0
)
SELECT p.instance,
       coalesce(p.stood_at >= life.began_at AND p.stand_above IS NULL AND NOT p.stand_due, false) AS told,
       (SELECT count(*) FROM inbox AS i
        WHERE i.sender_instance = p.instance AND i.received_at >= life.began_at) AS taken,
       (SELECT coalesce(sum(e.last - (
            SELECT count(*) FROM outbox AS o WHERE (o.sender, o.recipient, o.epoch) = (e.sender, e.recipient, e.epoch)
        ) - (
            SELECT count(*) FROM settled AS s WHERE (s.sender, s.recipient, s.epoch) = (e.sender, e.recipient, e.epoch)
        )), 0)
        FROM ended AS e WHERE e.lane = p.instance)::bigint AS lost
FROM peer AS p, life WHERE p.instance = ANY($1::text[]) ORDER BY p.instance
"""
_EDGES: Final = """
SELECT instance, count(*) AS missing, 0 AS strays FROM edge WHERE missing GROUP BY 1
UNION ALL SELECT instance, 0, count(*) FROM stray GROUP BY 1
"""
_WORK: Final = """
SELECT work_reason AS reason, count(*) AS referrals FROM referral
WHERE work_reason IS NOT NULL AND state <> 'withdrawn' GROUP BY 1 ORDER BY 1
"""
#: What an origin takes for an act that it knows under this number already, or that has no case there any more.
_REFUSED: Final = """
SELECT sender AS party, subject, code FROM (
    SELECT sender, subject, code, outcome, type FROM outbox UNION ALL
    SELECT sender, subject, code, outcome, type FROM settled, life WHERE settled_at >= life.began_at) AS sent
WHERE outcome = 'refused' AND type = ANY($1::text[]) ORDER BY 1, 2, 3 LIMIT 200
"""


@dataclass(slots=True)
class Recovered:
    """How far one peer and we have come since the recovery began.

    `told`: it knows what we hold of its edges. `taken` messages of its have come since. Of what we had sent to it,
    `lost` numbers are not here any more; it holds `strays`, edges that are not here either, and lacks `missing`, which
    are being issued anew.
    """

    peer: str
    told: bool
    taken: int
    lost: int
    missing: int = 0
    strays: int = 0


@dataclass(frozen=True, slots=True)
class RefusedAct:
    """An act of a party on one of its subjects that the origin has refused: what the party said stands here alone."""

    party: str
    subject: str
    code: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """What has come back since `began_at`, and what waits for a person, by reason. `noticed`: the instance runs.

    `refused` are acts that origins have refused since then, the first 200.
    """

    began_at: datetime | None
    noticed: bool
    peers: list[Recovered]
    work: dict[str, int]
    refused: list[RefusedAct]

    @property
    def over(self) -> bool:
        return self.noticed and all(each.told and not each.missing for each in self.peers)


@asynccontextmanager
async def restored(kind: str, instance: str, settings: dict[str, str]) -> AsyncIterator[Machinery]:
    """The machinery of an instance that may be running elsewhere.

    Raises `Refused("instance_recovers_itself")` for one that holds nobody's edges: it reads on from its own cursors.
    """
    _refuse_audit(kind)
    configure_logs(instance=instance)
    app = await built_at_once(kind, instance, **settings)
    try:
        yield app.machinery
    finally:
        await app.machinery.close()


async def begin(kind: str, instance: str, settings: dict[str, str]) -> None:
    """Have the instance take its database for another one: new epochs, every peer asked, every origin told.

    Before its machinery is made: that applies the journal of erasures by whether it is another one. Raises as
    `restored` does, `Refused` where the database is none of this instance's, and `Unavailable`.
    """
    _refuse_audit(kind)
    database = Database(RuntimeSettings.of(instance, **settings).database_url.get_secret_value())
    try:
        await refuse_strange_database(database, whose=instance)
        await take_for_another(database)
    finally:
        await database.close()


async def take_for_another(database: Database) -> None:
    """Note that it is not known which database this is."""
    async with database.transaction() as session:
        for statement in _BEGIN:
            await session.driver.execute(statement)


def _refuse_audit(kind: str) -> None:
    if kind == AUDIT_KIND:
        raise Refused("instance_recovers_itself", "start it: it reads on from its own cursors", status=400)


async def look(machinery: Machinery, *, originates: bool) -> Recovery:
    """How far it has come. Raises `Unavailable` before the instance has any directory."""
    others = [each for each in peers_of(machinery.instance, machinery.directory()) if each != AUDIT]
    async with machinery.database.transaction(machinery.service_scope()) as session:
        driver = session.driver
        began = await driver.fetchrow(_BEGAN)
        peers = {row["instance"]: Recovered(*row) for row in await driver.fetch(_PEERS, others)}
        if originates:
            await _add_edges(driver, peers)
        work = {row["reason"]: row["referrals"] for row in await driver.fetch(_WORK)} if originates else {}
        refused = await refused_acts(driver)
    return Recovery(began["began_at"], began["noticed"], list(peers.values()), work, refused)


async def refused_acts(driver: asyncpg.Connection) -> list[RefusedAct]:
    """The acts of this instance's parties that origins have refused since the recovery began."""
    return [RefusedAct(*row) for row in await driver.fetch(_REFUSED, sorted(message.type for message in ANSWERS))]


async def _add_edges(driver: asyncpg.Connection, peers: dict[str, Recovered]) -> None:
    for row in await driver.fetch(_EDGES):
        peer = peers.setdefault(row["instance"], Recovered(row["instance"], False, 0, 0))
        peer.missing += row["missing"]
        peer.strays += row["strays"]
