"""The migrated databases of all services on the shared server, with only the rows that a test inserts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.devstack.stack import DevStack
from deploy.site.access import prepare_databases
from shared.platform.database.migrate import upgrade
from shared.platform.database.transactions import Database
from tests.services.isolation.matrix import EACH_EFFECT
from tests.services.isolation.tables import AUTHORITIES


@dataclass(frozen=True, slots=True)
class Scratch:
    """One service's database: as its login role, bound by row-level security, and as a role that is not bound."""

    database: Database
    admin: asyncpg.Connection


@pytest.fixture(scope="session")
async def scratch(stack: DevStack) -> AsyncIterator[dict[str, Scratch]]:
    admin_url = stack.postgres.admin_url
    names = {service: f"isolation_{service}" for service in AUTHORITIES}
    made = prepare_databases(admin_url, names.values(), stack.state.password)
    async with AsyncExitStack() as opened:
        found = {}
        for service, name in names.items():
            await asyncio.to_thread(upgrade, service, made[name].owner_url)
            database = Database(made[name].service_url, pool_size=1)
            opened.push_async_callback(database.close)
            admin = await asyncpg.connect(urlsplit(admin_url)._replace(path=f"/causeway_{name}").geturl())
            opened.push_async_callback(admin.close)
            await admin.execute(EACH_EFFECT)
            found[service] = Scratch(database, admin)
        yield found
