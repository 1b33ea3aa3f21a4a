"""Databases on a server of another operator, as their addresses say."""

from __future__ import annotations

import asyncio

import pytest

from deploy.devstack.stack import DevStack
from deploy.operator.state import check_schemas, migrate_schemas
from deploy.site.access import prepare_databases
from deploy.site.endpoints import OwnedDatabase
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid7
from shared.runtime.database.migrate import POSTGRES_MAJOR_MIN, look_at_schema, newest_schema, refuse_old, upgrade
from tests.support.running import rows_of

#: Lengths are in characters, and capitals and digits are known beyond ASCII.
_TEXTS = "SELECT length(repeat('\u00e9', 60)) AS characters, upper('\u00e9') AS capital, 'Z' < 'a' AS by_code_point"
_LOCALE = "SELECT datlocprovider::text AS of, datlocale AS locale FROM pg_database WHERE datname = current_database()"
_OPEN = "SELECT has_database_privilege('public', 'postgres', 'CONNECT') AS may"


def test_migrations_take_what_an_address_says_of_tls(stack: DevStack) -> None:
    """Alembic's engine would pass `sslmode` to the driver as an argument that it does not know."""
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


def test_a_database_is_made_alike_whatever_its_cluster_is(stack: DevStack) -> None:
    """The stack's own cluster uses bytes without a locale, and the database inherits nothing of it."""
    made = prepare_databases(stack.postgres.admin_url, ["hotline_tls"], lambda role: f"password of {role}")
    [cluster] = asyncio.run(rows_of(stack.postgres.admin_url, "SHOW server_encoding"))
    [locale] = asyncio.run(rows_of(made["hotline_tls"].service_url, _LOCALE))
    [texts] = asyncio.run(rows_of(made["hotline_tls"].service_url, _TEXTS))
    assert cluster["server_encoding"] == "SQL_ASCII"
    assert dict(locale) == {"of": "b", "locale": "C.UTF-8"}
    assert dict(texts) == {"characters": 60, "capital": "\u00c9", "by_code_point": True}


@pytest.mark.parametrize(
    ("otherwise", "named"),
    [
        ("ENCODING 'SQL_ASCII' LOCALE 'C'", "encoding SQL_ASCII, locale C of libc"),
        ("ENCODING 'UTF8' LOCALE 'C.UTF-8'", "encoding UTF8, locale C.UTF-8 of libc"),
        ("ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C' LOCALE 'C'", "encoding UTF8, locale C of builtin"),
    ],
)
def test_a_database_that_was_made_otherwise_is_named_with_the_mend_and_gets_no_tables(
    stack: DevStack, otherwise: str, named: str
) -> None:
    name, admin = f"otherwise_{uuid7().hex}", stack.postgres.admin_url
    asyncio.run(rows_of(admin, f"CREATE DATABASE causeway_{name} {otherwise} TEMPLATE template0"))
    made = prepare_databases(admin, [name], lambda role: f"password of {role}")[name]
    asyncio.run(rows_of(admin, f"ALTER DATABASE causeway_{name} OWNER TO causeway_{name}_owner"))
    owned = {name: OwnedDatabase("hotline", made.owner_url)}
    for refusing in (check_schemas, migrate_schemas, lambda owned: upgrade(*owned[name], whose=name)):
        with pytest.raises(Refused, match="database_made_otherwise") as refused:
            refusing(owned)
        assert str(refused.value.detail).startswith(f"{name}: {named}, not encoding UTF8, locale C.UTF-8 of builtin;")
        assert "give the instance a new, empty database" in str(refused.value.detail)
    assert look_at_schema(made.owner_url).revisions == ()
