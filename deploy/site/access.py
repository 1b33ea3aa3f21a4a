"""Access to the servers of a site: its Kafka as any principal, its databases as any role.

One database and three login roles per instance, made with an administrator's URL; a second run changes nothing.

    causeway_<instance>              the service: owns nothing, cannot bypass row-level security
    causeway_<instance>_owner        owns the database and runs migrations
    causeway_<instance>_accountant   reads the objects that migrations grant it, to reconcile all databases

A process with the administrator's URL can read and change everything in all of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import asyncpg
from confluent_kafka.admin import AdminClient

from deploy.site.endpoints import ADMIN, DatabaseEndpoint, Endpoints, KafkaEndpoint
from shared.core.errors import CausewayError, Unavailable
from shared.platform.kafka.access import KafkaAccess

CONNECT_S: Final = 5.0
ACCEPT_S: Final = 2.0
_Result = TypeVar("_Result")


def kafka_access(endpoints: Endpoints, principal: str) -> KafkaAccess:
    """Return Kafka's access data for one principal of the manifest."""
    return access_to(endpoints.kafka, principal)


def access_to(kafka: KafkaEndpoint, principal: str = ADMIN) -> KafkaAccess:
    """Return Kafka's access data for one principal.

    The default is the operator, who alone may publish documents.
    """
    if kafka.open:
        return KafkaAccess(kafka.bootstrap_servers)
    username, password = kafka.username(principal), kafka.password(principal)
    return KafkaAccess(kafka.bootstrap_servers, username, password, tls=kafka.tls, ca_file=kafka.ca_file)


def admin_client(endpoint: KafkaEndpoint, principal: str = ADMIN) -> AdminClient:
    """Return a client of `principal` that does not log its connection errors."""
    return AdminClient({**endpoint.librdkafka_options(principal), "log_level": 0})


def answers(url: str) -> bool:
    """Return whether the database server accepts this role and answers a query."""
    with suppress(OSError, asyncpg.PostgresError, TimeoutError):
        return in_own_thread(_select_one(url))
    return False


def in_own_thread(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to its end in a separate thread: callers may or may not be inside an event loop."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()


def accepts(host: str, port: int) -> bool:
    """Return whether any process accepts connections there; it need not be the expected one."""
    try:
        with socket.create_connection((host, port), timeout=ACCEPT_S):
            return True
    except OSError:
        return False


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection to a database, and close it in the end."""
    connection = await asyncpg.connect(url, timeout=CONNECT_S)
    try:
        yield connection
    finally:
        await connection.close()


async def _select_one(url: str) -> bool:
    async with connected(url) as connection:
        return bool(await connection.fetchval("SELECT 1") == 1)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check of `what`; `code` is empty without a fault."""

    what: str
    code: str = ""
    advice: str = ""

    @property
    def well(self) -> bool:
        return not self.code

    def as_json(self) -> dict[str, Any]:
        return {"well": self.well} | asdict(self)


def asked(what: str, check: Callable[..., Iterable[Finding]], *arguments: object) -> list[Finding]:
    """Return the findings of `check(*arguments)`. A coded error in it becomes a finding."""
    try:
        return list(check(*arguments))
    except CausewayError as error:
        return [Finding(what, error.code, error.detail)]


#: The databases that PostgreSQL makes itself, and that every role may enter.
OF_EVERY_SERVER: Final = ("postgres", "template1")
#: Take no defaults from the cluster, because they cannot be changed afterwards: UTF-8 makes lengths count characters,
#: and this locale keeps the order of keys when the system's locales change. Other databases are refused (`catalogue`).
_MAKE: Final = "ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C' TEMPLATE template0"
_SCRAM_ITERATIONS = 4096
#: A session that waits in an open transaction, and a statement, end after this time.
_TIMEOUTS: Final = {"statement_timeout": "10min", "idle_in_transaction_session_timeout": "10min"}
#: The accountant only reads, and must not block the service. A session can change these settings; it cannot change the
#: connection limit and the missing privileges.
_OF_READERS: Final = _TIMEOUTS | {"lock_timeout": "10s", "default_transaction_read_only": "on"}
#: The connections of one accountant: a server has 100 by default, for several instances.
READER_CONNECTIONS_MAX: Final = 10
#: One service has at most this part of a server's connections, so that others can connect too: 50 of 100 are the pools
#: (`DATABASE_POOL_SIZE`, 8) of six processes.
SERVICE_PART: Final = 2
#: The functions that store a large object or take an advisory lock. PostgreSQL lets every role call them by default.
_FORBIDDEN: Final = "^(lo_(creat|create|from_bytea)|pg_(try_)?advisory_(xact_)?lock(_shared)?)$"


def prepare_databases(
    admin_url: str, instances: Iterable[str], password: Callable[[str], str], *, alone: bool = True
) -> dict[str, DatabaseEndpoint]:
    """Make missing databases and roles, and set each role's password to `password(role)`.

    `alone`: the server has no other users, so PostgreSQL's own databases are closed to all roles.

    The administrator needs only CREATEDB, CREATEROLE and access to the database in its URL. Only a superuser can
    prevent the roles from storing large objects and from taking the service's advisory locks. Raises `Unavailable`
    without that access or those rights.
    """
    return in_own_thread(_prepare(admin_url, list(instances), password, alone=alone))


async def _prepare(
    admin_url: str, instances: list[str], password: Callable[[str], str], *, alone: bool
) -> dict[str, DatabaseEndpoint]:
    try:
        async with connected(admin_url) as connection:
            made = {name: await _prepare_one(connection, admin_url, name, password=password) for name in instances}
            if alone:
                await _close_the_servers_own(connection)
            return made
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        code = getattr(error, "sqlstate", None) or type(error).__name__
        what = f"the admin URL cannot make the databases: {code}"
        raise Unavailable("database_admin_failed", what) from None


async def _close_the_servers_own(connection: asyncpg.Connection) -> None:
    """Let each role enter only its own database: by default every role may enter those that every server has.

    Only their owner can close them; an administrator who does not own them leaves them unchanged.
    """
    owned = await connection.fetch(
        "SELECT d.datname FROM pg_database AS d JOIN pg_roles AS me ON me.rolname = current_user"
        " WHERE d.datname = ANY($1) AND (me.rolsuper OR d.datdba = me.oid)",
        list(OF_EVERY_SERVER),
    )
    for row in owned:
        await connection.execute(f'REVOKE ALL ON DATABASE "{row["datname"]}" FROM PUBLIC')


async def _prepare_one(
    connection: asyncpg.Connection, admin_url: str, instance: str, *, password: Callable[[str], str]
) -> DatabaseEndpoint:
    database = f"causeway_{instance}"
    service, owner, accountant = database, f"{database}_owner", f"{database}_accountant"
    for role in (service, owner, accountant):
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
            await connection.execute(f'CREATE ROLE "{role}" LOGIN')
        await connection.execute(f"ALTER ROLE \"{role}\" PASSWORD '{scram_verifier(password(role))}'")
    # Only a member of a role, or a superuser, may act for it: the administrator is a member for these statements.
    await connection.execute(f'GRANT "{owner}" TO CURRENT_USER')
    if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
        await connection.execute(f'CREATE DATABASE "{database}" OWNER "{owner}" {_MAKE}')
    await connection.execute(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC')
    await connection.execute(f'GRANT CONNECT ON DATABASE "{database}" TO "{service}", "{accountant}"')
    await connection.execute(f'REVOKE "{owner}" FROM CURRENT_USER')
    await _limit(connection, service, accountant)
    if await connection.fetchval("SELECT current_setting('is_superuser')::boolean"):
        await _forbid(urlsplit(admin_url)._replace(path=f"/{database}").geturl(), service)

    urls = (_url(admin_url, role, password(role), database=database) for role in (service, owner, accountant))
    return DatabaseEndpoint(**dict(zip(("service_url", "owner_url", "accountant_url"), urls, strict=True)))


async def _limit(connection: asyncpg.Connection, service: str, accountant: str) -> None:
    """Limit the server resources of a session and of both roles."""
    service_max = await connection.fetchval("SELECT current_setting('max_connections')::int") // SERVICE_PART
    for role, most in ((service, service_max), (accountant, READER_CONNECTIONS_MAX)):
        await connection.execute(f'ALTER ROLE "{role}" CONNECTION LIMIT {most}')
    for role, settings in ((service, _TIMEOUTS), (accountant, _OF_READERS)):
        for name, value in settings.items():
            await connection.execute(f"ALTER ROLE \"{role}\" SET {name} = '{value}'")


async def _forbid(url: str, service: str) -> None:
    """Forbid all roles but superusers to store large objects, which no grant and no retention here covers.

    Only the service may take advisory locks, and only until its transaction ends.
    """
    async with connected(url) as connection:
        for one in await connection.fetch("SELECT oid::regprocedure::text FROM pg_proc WHERE proname ~ $1", _FORBIDDEN):
            await connection.execute(f"REVOKE EXECUTE ON FUNCTION {one['oid']} FROM PUBLIC")
        await connection.execute(f'GRANT EXECUTE ON FUNCTION pg_advisory_xact_lock(bigint) TO "{service}"')


def scram_verifier(password: str) -> str:
    """Return PostgreSQL's stored form of a `password` (RFC 5802 §3), for statements and logs without it."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _SCRAM_ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    parts = (b64encode(part).decode() for part in (salt, stored_key, server_key))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_SCRAM_ITERATIONS, *parts)


def _url(admin_url: str, role: str, password: str, *, database: str) -> str:
    parts = urlsplit(admin_url)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{role}:{quote(password, safe='')}@{place}", path=f"/{database}").geturl()
