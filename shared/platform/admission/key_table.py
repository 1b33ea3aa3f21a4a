"""All valid API keys of an instance, in memory: a request's key is looked up without a database query.

The table is read before the instance opens its port. A notification and a poll follow its changes. They have their own
connection, so the poll waits for no place in the pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from time import monotonic
from typing import Any, Final, NamedTuple

import asyncpg

from shared.core.authority import AccessScope, Role
from shared.core.errors import Defect, Unavailable
from shared.platform.admission.budgets import scope_of
from shared.platform.database.transactions import Database
from shared.platform.observability.health import raise_if_cancelling, until_turn
from shared.platform.observability.logs import log

#: Valid keys of one instance, at most. `keep_key` refuses one more.
KEYS_MAX: Final = 20_000
#: A revoked key opens nothing after this time, also if no notification arrives and the connection hangs once.
REVOKED_S: Final = 5.0
#: A table that could not be read for this time accepts no key.
OUTDATED_S: Final = 60.0
#: Rows of one query: reading them holds the event loop for a few milliseconds.
PAGE_ROWS: Final = 500
POLL_S: Final = 2.5
RETRY_S: Final = 0.5
#: A connection that gives no answer within this time is ended. One hang, then a new connection, then one read on it.
ANSWER_S_MAX: Final = (REVOKED_S - POLL_S - RETRY_S) / 3

CHANNEL: Final = "causeway_api_keys"
#: Notifies the processes of an instance that a key, or the role of a person with a key, has changed.
NOTIFY: Final = f"SELECT pg_notify('{CHANNEL}', '')"

#: A key is compared with its expiry at each use. An expired one stays here for a while, so that its holder is told so.
_HELD: Final = "k.revoked_at IS NULL AND k.expires_at > now() - interval '30 days'"
COUNT_KEYS: Final = f"SELECT count(*) FROM api_key AS k WHERE {_HELD}"
_VALID: Final = f"""
    SELECT k.key_hash, k.party, k.expires_at, coalesce(p.role, k.role) AS role, k.person,
           CASE WHEN k.person IS NULL THEN k.scope_jurisdictions ELSE p.scope_jurisdictions END AS scope_jurisdictions,
           CASE WHEN k.person IS NULL THEN k.scope_parties ELSE p.scope_parties END AS scope_parties
    FROM api_key AS k
    LEFT JOIN console_account AS p ON p.party = k.party AND p.actor = k.person AND p.ended_at IS NULL
    WHERE {_HELD} AND (k.person IS NULL OR p.actor IS NOT NULL)
"""
#: One snapshot for all pages.
_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_PAGE: Final = f"{_VALID} AND k.key_hash > $1 ORDER BY k.key_hash LIMIT $2"
#: One row for the whole table: equal values mean that no row has changed. Each row is hashed as text, because the hash
#: of a record is linear in its columns. The sum of two would stay equal if the two rows exchanged their roles.
_FINGERPRINT: Final = f"""
SELECT count(*) AS valid, coalesce(sum(hashtextextended(v::text, 0)), 0)::text AS content FROM ({_VALID}) AS v
"""


class KnownKey(NamedTuple):
    """The party, role, scope and expiry of a key, and its person if it belongs to one."""

    party: str
    role: Role
    scope: AccessScope | None
    person: str | None
    expires_at: datetime


class KeyTable:
    """The valid keys by their hash. `now_s` is a monotonic clock in seconds."""

    def __init__(self, database: Database, *, now_s: Callable[[], float] = monotonic) -> None:
        self._database = database
        self._now_s = now_s
        self._keys: dict[bytes, KnownKey] = {}
        self._fingerprint: object = None
        self._read_at_s: float | None = None
        self._changed = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    def find(self, hashed: bytes) -> KnownKey | None:
        """Return the key with this hash, or None if no valid key has it. This needs no query.

        Raises `Unavailable("keys_outdated")` if the table could not be read for `OUTDATED_S`.
        """
        if self._read_at_s is None or self._now_s() - self._read_at_s > OUTDATED_S:
            raise Unavailable("keys_outdated")
        return self._keys.get(hashed)

    async def open(self) -> None:
        """Read all keys, again until the database answers. Then follow changes until `close`."""
        while self._read_at_s is None:
            try:
                await self.refresh()
            except Unavailable:
                await asyncio.sleep(RETRY_S)
        self._following = asyncio.create_task(self._follow(), name="api keys")

    async def close(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])

    async def refresh(self) -> None:
        """Read the table if it has changed. Raises `Unavailable`, and `Defect("api_keys_too_many")`."""
        async with self._database.own_connection() as connection:
            await self._read(connection)

    async def _read(self, connection: asyncpg.Connection) -> None:
        began_s = self._now_s()
        if await _read_fingerprint(connection) != self._fingerprint:
            await _answer(connection.execute(_BEGIN))
            fingerprint = await _read_fingerprint(connection)
            if fingerprint[0] > KEYS_MAX:
                raise Defect("api_keys_too_many")
            self._keys, self._fingerprint = await _read_pages(connection), fingerprint
            await _answer(connection.execute("COMMIT"))
        self._read_at_s = began_s

    async def _follow(self) -> None:
        """Listen and poll. Any failure ends the connection, and following begins again on a new one."""
        while True:
            try:
                async with AsyncExitStack() as stack:
                    connection = await _answer(stack.enter_async_context(self._database.own_connection()))
                    await _answer(connection.add_listener(CHANNEL, lambda *_: self._changed.set()))
                    while True:
                        self._changed.clear()
                        await self._read(connection)
                        with suppress(TimeoutError):
                            async with asyncio.timeout(until_turn(POLL_S)):
                                await self._changed.wait()
            except (Exception, asyncio.CancelledError) as error:  # by its name only; the age of the table decides
                raise_if_cancelling()
                log("api_keys_unread", error=type(error).__name__)
            await asyncio.sleep(RETRY_S)


async def _read_fingerprint(connection: asyncpg.Connection) -> tuple[int, str]:
    [row] = await _answer(connection.fetch(_FINGERPRINT))
    return row["valid"], row["content"]


async def _read_pages(connection: asyncpg.Connection) -> dict[bytes, KnownKey]:
    found: dict[bytes, KnownKey] = {}
    last = b""
    while rows := await _answer(connection.fetch(_PAGE, last, PAGE_ROWS)):
        last = rows[-1]["key_hash"]
        found |= {row["key_hash"]: _known(row) for row in rows}
    return found


async def _answer(query: Awaitable[Any]) -> Any:
    """Wait for one answer of the server. Raises `TimeoutError` after `ANSWER_S_MAX` seconds."""
    async with asyncio.timeout(ANSWER_S_MAX):
        return await query


def _known(row: asyncpg.Record) -> KnownKey:
    scope = scope_of(row["scope_jurisdictions"], row["scope_parties"])
    return KnownKey(row["party"], Role(row["role"]), scope, row["person"], row["expires_at"])
