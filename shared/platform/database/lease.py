"""The lease of a task that only one process may do: a row that only the service's role can write, with a rising fence.

Any login that may connect could take an advisory lock; the accountant could then stop the relay or audit's reader. The
relay's writes count only under the newest fence, so a process that was presumed dead changes nothing when it resumes.
"""

from __future__ import annotations

import asyncio
from typing import Final, Literal
from uuid import UUID

import asyncpg

from shared.core.errors import Unavailable
from shared.core.ids import uuid4
from shared.platform.database.transactions import Database
from shared.platform.observability.health import until_turn
from shared.platform.observability.logs import log

#: The tasks that only one process does: publishing, and reading of topics.
Sole = Literal["relay", "reader"]

#: The duration of a lease without renewal, the interval of renewals, and of attempts to take it.
LEASE_S: Final = 6.0
RENEW_S: Final = 2.5
TAKE_S: Final = 1.0

#: A lease that ends later than possible was stored before the database's clock was set back, so it has no holder.
_TAKE: Final = f"""
INSERT INTO process_lease AS l (name, holder, fencing_token, expires_at)
VALUES ($1, $2, 1, now() + interval '{LEASE_S} s')
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fencing_token = l.fencing_token + 1,
    expires_at = excluded.expires_at
WHERE l.expires_at < now() OR l.expires_at > clock_timestamp() + interval '{2 * LEASE_S} s' RETURNING fencing_token
"""
_RENEW: Final = f"""
UPDATE process_lease SET expires_at = now() + interval '{LEASE_S} s' WHERE name = $1 AND holder = $2
  AND fencing_token = $3 RETURNING fencing_token
"""
_RELEASE: Final = "UPDATE process_lease SET expires_at = now() WHERE name = $1 AND holder = $2"


class ProcessLease:
    """One process's access to the lease of this name."""

    def __init__(self, database: Database, name: Sole) -> None:
        self._database = database
        self._name = name
        self._holder: UUID = uuid4()

    async def take(self) -> int | None:
        """Take the lease and return its fence; None while another process has it. Raises `Unavailable`."""
        rows = await self._database.fetch(_TAKE, self._name, self._holder)
        return int(rows[0]["fencing_token"]) if rows else None

    async def wait(self) -> int:
        """Wait until this process has the lease, and return the fence."""
        while not (rows := await self._try(_TAKE)):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(TAKE_S)
        return int(rows[0]["fencing_token"])

    async def keep(self, fence: int) -> None:
        """Renew the lease until another process has taken it: then raises `Unavailable("lease_lost")`.

        An unavailable database does not end the lease; the renewal is tried again.
        """
        while True:
            await asyncio.sleep(until_turn(RENEW_S))
            if await self._try(_RENEW, fence) == []:
                raise Unavailable("lease_lost")

    async def release(self) -> None:
        """Let another process take it at once."""
        await self._try(_RELEASE)

    async def _try(self, statement: str, *arguments: int) -> list[asyncpg.Record] | None:
        """Run a statement on the lease and return its rows; None, with a log line, if the database is unavailable."""
        try:
            return await self._database.fetch(statement, self._name, self._holder, *arguments)
        except Unavailable as error:
            log("lease_waits", kind=self._name, code=error.code)
            return None
