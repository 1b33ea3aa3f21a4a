"""Ways in to what a site names: its Kafka as any principal, its databases as any role."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

import asyncpg
from confluent_kafka.admin import AdminClient

from deploy.site.endpoints import ADMIN, Endpoints, KafkaEndpoint
from shared.kernel.errors import CausewayError
from shared.runtime.kafka.access import KafkaAccess

CONNECT_S: Final = 5.0
ACCEPT_S: Final = 2.0
_Result = TypeVar("_Result")


def kafka_access(endpoints: Endpoints, principal: str) -> KafkaAccess:
    """Kafka as one principal of the manifest."""
    return access_to(endpoints.kafka, principal)


def access_to(kafka: KafkaEndpoint, principal: str = ADMIN) -> KafkaAccess:
    """Kafka as one principal: as the operator, who alone may publish documents, if none is named."""
    if kafka.open:
        return KafkaAccess(kafka.bootstrap_servers)
    username, password = kafka.username(principal), kafka.password(principal)
    return KafkaAccess(kafka.bootstrap_servers, username, password, tls=kafka.tls, ca_file=kafka.ca_file)


def admin_client(endpoint: KafkaEndpoint, principal: str = ADMIN) -> AdminClient:
    """A client that keeps its connection troubles to itself; `principal` may do with it what it may do."""
    return AdminClient({**endpoint.librdkafka_options(principal), "log_level": 0})


def answers(url: str) -> bool:
    """Whether the database server lets this role in and answers a query."""
    with suppress(OSError, asyncpg.PostgresError, TimeoutError):
        return in_own_thread(_select_one(url))
    return False


def in_own_thread(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to its end in a thread of its own: callers may or may not be inside an event loop."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()


def accepts(host: str, port: int) -> bool:
    """Whether anybody accepts connections there; who it is, it does not say."""
    try:
        with socket.create_connection((host, port), timeout=ACCEPT_S):
            return True
    except OSError:
        return False


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database, closed in the end."""
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
    """`what` was looked at; `code` is empty if it is well."""

    what: str
    code: str = ""
    advice: str = ""

    @property
    def well(self) -> bool:
        return not self.code

    def as_json(self) -> dict[str, Any]:
        return {"well": self.well} | asdict(self)


def asked(what: str, check: Callable[..., Iterable[Finding]], *arguments: object) -> list[Finding]:
    """The findings of `check(*arguments)`. One that ends in a coded error has found that."""
    try:
        return list(check(*arguments))
    except CausewayError as error:
        return [Finding(what, error.code, error.detail)]
