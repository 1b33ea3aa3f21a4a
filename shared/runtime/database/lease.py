"""Who alone does a thing in a database: a row that the service's role alone can write, with a fence that only rises.

An advisory lock would be anybody's who may connect: whoever counts could keep the relay or audit's reader from work.
What the relay notes counts only under the newest fence, so one that was thought dead and comes back changes nothing.
"""

from __future__ import annotations

import asyncio
from typing import Final, Literal
from uuid import UUID

from shared.kernel.errors import Unavailable
from shared.kernel.ids import uuid4
from shared.runtime.database.transactions import Database
from shared.runtime.watch.logs import log

#: What one process alone does: publish, or read for audit.
Sole = Literal["relay", "reader"]

#: How long a lease lasts that is not renewed, and how often it is.
LEASE_S: Final = 6.0
RENEW_S: Final = 1.5

#: One that ends later than any can was noted before the database's clock went back: it is nobody's any more.
_TAKE: Final = f"""
INSERT INTO lease AS l (name, holder, fence, until)
VALUES ($1, $2, 1, now() + interval '{LEASE_S} s')
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fence = l.fence + 1, until = excluded.until
WHERE l.until < now() OR l.until > clock_timestamp() + interval '{2 * LEASE_S} s' RETURNING fence
"""
_RENEW: Final = f"""
UPDATE lease SET until = now() + interval '{LEASE_S} s' WHERE name = $1 AND holder = $2 AND fence = $3 RETURNING fence
"""
_RELEASE: Final = "UPDATE lease SET until = now() WHERE name = $1 AND holder = $2"


class Lease:
    """The lease of this name as one process asks for it."""

    def __init__(self, database: Database, name: Sole) -> None:
        self._database = database
        self._name = name
        self._holder: UUID = uuid4()

    async def take(self) -> int | None:
        """The fence under which this process is the one from now on; None while another is. Raises `Unavailable`."""
        rows = await self._database.fetch(_TAKE, self._name, self._holder)
        return int(rows[0]["fence"]) if rows else None

    async def wait(self) -> int:
        """Wait until this process is the one; its fence."""
        while True:
            try:
                if (fence := await self.take()) is not None:
                    return fence
            except Unavailable as error:
                self._say(error)
            await asyncio.sleep(RENEW_S)

    async def keep(self, fence: int) -> None:
        """Renew the lease until another has taken it: then raises `Unavailable("lease_lost")`.

        A database that is away takes nothing from anybody: it is asked again.
        """
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                renewed = await self._database.fetch(_RENEW, self._name, self._holder, fence)
            except Unavailable as error:
                self._say(error)
                continue
            if not renewed:
                raise Unavailable("lease_lost")

    async def release(self) -> None:
        """Let another process take it at once."""
        try:
            await self._database.fetch(_RELEASE, self._name, self._holder)
        except Unavailable as error:
            self._say(error)

    def _say(self, error: Unavailable) -> None:
        log("lease_waits", kind=self._name, code=error.code)
