"""Databases on a server of another operator, as their addresses say."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.devstack.stack import DevStack
from deploy.operator.state import check_schemas, migrate_schemas
from deploy.site.access import READER_CONNECTIONS_MAX, SERVICE_PART, kafka_access, prepare_databases
from deploy.site.endpoints import DatabaseEndpoint, Endpoints, KafkaEndpoint, OwnedDatabase, load
from shared.core.errors import Refused, Unavailable
from shared.core.ids import uuid7
from shared.platform.database.migrate import POSTGRES_MAJOR_MIN, look_at_schema, newest_schema, refuse_old, upgrade
from tests.services.databases import connected, running_postgres
from tests.support.privileges import may_not
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
def test_a_database_that_was_made_otherwise_is_named_with_the_mend(stack: DevStack, otherwise: str, named: str) -> None:
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


# -- The limits of the roles that a site makes, on a real server.


LARGE_OBJECTS = ("SELECT lo_from_bytea(0, 'content')", "SELECT lo_create(0)", "SELECT lo_creat(-1)")
#: Earlier, an accountant could stop the looks of an auditor, or fill the lock table of the server.
LOCKS = (
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock_shared(1, 2)",
    "SELECT pg_try_advisory_xact_lock(1)",
)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with running_postgres(tmp_path_factory.mktemp("roles"), "hotline") as made:
        yield made


@pytest.mark.parametrize(
    ("role", "more"),
    [
        ("accountant_url", ("CREATE TEMPORARY TABLE kept (content bytea)", "SELECT pg_advisory_xact_lock(1)")),
        ("service_url", ("CREATE TEMPORARY TABLE kept (content bytea)",)),
        ("owner_url", ()),
    ],
)
async def test_no_role_stores_objects_of_no_table_or_takes_a_lasting_lock(
    role: str, more: tuple[str, ...], endpoint: DatabaseEndpoint
) -> None:
    async with connected(getattr(endpoint, role)) as connection:
        await may_not(connection, *LARGE_OBJECTS, *LOCKS, *more)


async def test_a_reader_reads_by_default_and_for_a_limited_time(endpoint: DatabaseEndpoint) -> None:
    connection = await asyncpg.connect(endpoint.accountant_url)
    shown = {
        name: await connection.fetchval("SELECT current_setting($1)", name)
        for name in (
            "default_transaction_read_only",
            "statement_timeout",
            "lock_timeout",
            "idle_in_transaction_session_timeout",
        )
    }
    await connection.close()
    assert list(shown.values()) == ["on", "10min", "10s", "10min"]


async def test_a_reader_takes_no_more_than_its_connections(endpoint: DatabaseEndpoint) -> None:
    held = [await asyncpg.connect(endpoint.accountant_url) for _ in range(READER_CONNECTIONS_MAX)]
    with pytest.raises(asyncpg.TooManyConnectionsError):
        await asyncpg.connect(endpoint.accountant_url)
    service = await asyncpg.connect(endpoint.service_url)
    assert await service.fetchval("SHOW statement_timeout") == "10min"
    for each in (*held, service):
        await each.close()


async def test_a_service_takes_no_more_than_its_part_of_the_connections(endpoint: DatabaseEndpoint) -> None:
    owner = await asyncpg.connect(endpoint.owner_url)
    most = int(await owner.fetchval("SHOW max_connections")) // SERVICE_PART
    held = [await asyncpg.connect(endpoint.service_url) for _ in range(most)]
    with pytest.raises(asyncpg.TooManyConnectionsError):
        await asyncpg.connect(endpoint.service_url)
    for each in (*held, owner, await asyncpg.connect(endpoint.accountant_url)):
        await each.close()


# -- The endpoints file: it is read as it was written, by its owner only.


ENDPOINTS = Endpoints(
    kafka=KafkaEndpoint(
        bootstrap_servers="kafka.example:9092", security_protocol="SASL_PLAINTEXT", passwords={"hotline": "sesame"}
    ),
    databases={
        "hotline": DatabaseEndpoint(
            service_url="postgresql://a:sesame@db.example/x",
            owner_url="postgresql://b:sesame@db.example/x",
            accountant_url="postgresql://c:sesame@db.example/x",
        )
    },
    database_admin_url="postgresql://admin:sesame@db.example/postgres",
    http={"hotline": "http://hotline.example"},
    pids={"supervisor": 1},
)


def test_endpoints_are_read_as_they_were_written_by_their_owner_alone(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="causeway dev up"):
        load(tmp_path)
    file = tmp_path / "endpoints.json"
    file.write_text("{}")
    file.chmod(0o644)
    ENDPOINTS.save(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load(tmp_path) == ENDPOINTS
    assert ("sesame" in repr(ENDPOINTS), "sesame" in file.read_text()) == (False, True)


def test_a_file_of_another_version_is_reported_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "endpoints.json").write_text('{"secret": "sesame"}')
    with pytest.raises(Unavailable, match="endpoints_unreadable") as caught:
        load(tmp_path)
    assert "sesame" not in str(caught.value)


def test_an_open_cluster_is_reached_without_credentials() -> None:
    kafka = KafkaEndpoint(bootstrap_servers="kafka.example:9092", security_protocol="PLAINTEXT")
    access = kafka_access(ENDPOINTS.model_copy(update={"kafka": kafka}), "hotline")
    assert (access.username, access.password, access.tls) == (None, None, False)
    assert kafka.librdkafka_options("hotline").keys() == {"bootstrap.servers", "security.protocol"}
