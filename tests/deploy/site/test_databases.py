"""Databases on a server that somebody else runs, by what their addresses say."""

from __future__ import annotations

import asyncio

import pytest

from deploy.devstack.stack import DevStack
from deploy.site.databases import prepare_databases
from shared.kernel.errors import Refused
from shared.runtime.database.migrate import POSTGRES_MAJOR_MIN, look_at_schema, newest_schema, refuse_old, upgrade
from tests.support.running import rows_of

_OPEN = "SELECT has_database_privilege('public', 'postgres', 'CONNECT') AS may"


def test_migrations_take_what_an_address_says_of_tls(stack: DevStack) -> None:
    """Alembic's engine would hand `sslmode` to the driver as an argument that it does not know."""
    made = prepare_databases(stack.postgres.admin_url, ["hotline_tls"], lambda role: f"password of {role}")
    address = f"{made['hotline_tls'].owner_url}?sslmode=disable"
    upgrade("hotline", address)
    assert look_at_schema(address).revisions == newest_schema("hotline").revisions


def test_on_a_server_that_others_use_what_they_may_stays(stack: DevStack) -> None:
    admin = stack.postgres.admin_url
    asyncio.run(_grant(admin))
    prepare_databases(admin, ["hotline_tls"], lambda role: f"password of {role}", alone=False)
    assert asyncio.run(rows_of(admin, _OPEN))[0]["may"]
    prepare_databases(admin, ["hotline_tls"], lambda role: f"password of {role}")
    assert not asyncio.run(rows_of(admin, _OPEN))[0]["may"]


async def _grant(admin: str) -> None:
    await rows_of(admin, "GRANT CONNECT ON DATABASE postgres TO PUBLIC")


def test_a_server_that_is_too_old_is_said_to_be() -> None:
    refuse_old(POSTGRES_MAJOR_MIN)
    with pytest.raises(Refused, match="postgres_too_old"):
        refuse_old(POSTGRES_MAJOR_MIN - 1)
