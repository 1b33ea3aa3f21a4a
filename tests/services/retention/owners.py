"""Acts of a database's owner, outside its services."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.site.endpoints import DatabaseEndpoint, OwnedDatabase
from tests.services.databases import connected


def owned(endpoints: dict[str, DatabaseEndpoint], service: str = "hotline") -> OwnedDatabase:
    return OwnedDatabase(service, endpoints[service].owner_url)


async def as_owner(endpoint: DatabaseEndpoint, statement: str, *arguments: object, parties: Sequence[str] = ()) -> None:
    async with connected(endpoint.owner_url) as owner, owner.transaction():
        await owner.execute("SELECT set_config('causeway.parties', $1, true)", ",".join(parties))
        await owner.execute("SELECT set_config('causeway.role', 'service', true)")
        await owner.execute("SELECT set_config('causeway.action', 'apply', true)")
        await owner.execute(statement, *arguments)
