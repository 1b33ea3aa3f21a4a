"""Acts of a database's owner, outside its services."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from deploy.site.endpoints import DatabaseEndpoint, OwnedDatabase


def owned(endpoints: dict[str, DatabaseEndpoint], service: str = "hotline") -> OwnedDatabase:
    return OwnedDatabase(service, endpoints[service].owner_url)


async def as_owner(endpoint: DatabaseEndpoint, statement: str, *arguments: object, parties: Sequence[str] = ()) -> None:
    owner = await asyncpg.connect(endpoint.owner_url)
    try:
        async with owner.transaction():
            await owner.execute("SELECT set_config('causeway.parties', $1, true)", ",".join(parties))
            await owner.execute("SELECT set_config('causeway.role', 'service', true)")
            await owner.execute("SELECT set_config('causeway.action', 'apply', true)")
            await owner.execute(statement, *arguments)
    finally:
        await owner.close()
