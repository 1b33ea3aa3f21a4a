"""Stored data keys are wrapped by the newest key; afterwards the first key opens none of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from deploy.operator.retention import BIND_PARTIES
from deploy.operator.rewrapping import WRAPPED, WrappedKeys, rewrap_stored
from deploy.site.endpoints import DatabaseEndpoint
from shared.core.envelope.datakeys import DataKey, KeyEncryptionKey, RowRef, unwrap, wrap
from shared.core.errors import Defect
from shared.core.ids import uuid7
from shared.platform.database.migrate import newest_schema
from shared.platform.database.transactions import Database
from tests.services.databases import connected
from tests.services.deliveries import offered
from tests.services.hotline.origin import Origin
from tests.services.law_enforcement.agency import Agencies
from tests.services.recipients import KEK
from tests.services.retention.conftest import SERVICES
from tests.services.retention.owners import as_owner, owned
from tests.support.exchange_world import world

OLD, NEW = bytes(range(32)), bytes(32)
NEWEST = KeyEncryptionKey(NEW)
_EXCEPTION = """
INSERT INTO exception (message_id, writer, incarnation, lane, number, chain, role, kind, acts, outcome, record,
                       "offset", broker_at, opened_at)
VALUES ($1, 'hotline', $1, 0, 1, '', 'state', 'x', '{}', 'refused', $2, 0, now(), now())
"""


async def stored(endpoint: DatabaseEndpoint) -> AsyncIterator[tuple[WrappedKeys, asyncpg.Record]]:
    """Yield each wrapped key of a database, with its column."""
    async with connected(endpoint.owner_url) as owner, owner.transaction():
        await owner.execute(BIND_PARTIES, "apply")
        for keys in WRAPPED:
            if await owner.fetchval("SELECT to_regclass($1)", keys.table):
                for row in await owner.fetch(keys.read):
                    if row["wrapped"] is not None:
                        yield keys, row


@pytest.mark.parametrize("service", SERVICES)
def test_every_column_of_wrapped_keys_is_rewrapped(service: str) -> None:
    found = [
        re.fullmatch(r"column (\w+\.(?:wrapped|reference)_key)", name) for name in newest_schema(service).catalogue
    ]
    assert {each[1] for each in found if each} <= {f"{keys.table}.{keys.column}" for keys in WRAPPED}


@pytest.mark.parametrize("service", ["hotline", "law_enforcement"])
async def test_the_newest_key_opens_what_the_first_one_wrapped(
    service: str, databases: dict[str, Database], endpoints: dict[str, DatabaseEndpoint]
) -> None:
    if service == "hotline":
        await Origin(databases[service], world()).file()
    else:
        case = uuid7()
        await Agencies(databases[service]).receive(offered(case))
        await Agencies(databases[service]).receive(offered(case, purpose="victim_identification"))
    held: UUID = uuid7()
    wrapped = wrap(DataKey.generate(), KEK, RowRef("exception", str(held), "hotline").column("key"))
    await as_owner(endpoints[service], _EXCEPTION, held, b"\x02" + wrapped + b"encrypted")
    before = [keys.table async for keys, _ in stored(endpoints[service])]
    assert {"exception", *({"referral"} if service == "hotline" else {"received", "received_edge"})} <= {*before}
    changed = await rewrap_stored(owned(endpoints, service), KeyEncryptionKey(OLD, NEW))
    assert sum(changed.values()) == len(before)
    async for keys, row in stored(endpoints[service]):
        unwrap(row["wrapped"], NEWEST, keys.aad(row))
        with pytest.raises(Defect, match="data_key_unreadable"):
            unwrap(row["wrapped"], KEK, keys.aad(row))
    again = await rewrap_stored(owned(endpoints, service), KeyEncryptionKey(OLD, NEW))
    assert sum(again.values()) == 0
    with pytest.raises(Defect, match="data_key_unreadable"):
        await rewrap_stored(owned(endpoints, service), KEK)
