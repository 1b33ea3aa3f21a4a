"""Who is the relay of a database: a row that the service's role alone can write, with a fence that only rises.

What the relay notes counts only under the newest fence, so one that was thought dead and comes back changes nothing.
"""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

from shared.kernel.errors import Unavailable
from shared.kernel.ids import uuid4
from shared.runtime.database.transactions import Database
from shared.runtime.watch.logs import log

#: How long a lease lasts that is not renewed, and how often it is.
LEASE_S: Final = 6.0
RENEW_S: Final = 1.5

_TAKE: Final = f"""
INSERT INTO relay_lease AS l (name, holder, fence, until)
VALUES ('relay', $1, 1, now() + interval '{LEASE_S} s')
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fence = l.fence + 1, until = excluded.until
WHERE l.until < now() RETURNING fence
"""
_RENEW: Final = f"""
UPDATE relay_lease SET until = now() + interval '{LEASE_S} s' WHERE holder = $1 AND fence = $2 RETURNING fence
"""
_RELEASE: Final = "UPDATE relay_lease SET until = now() WHERE holder = $1"


class RelayLease:
    """The lease as one process asks for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holder: UUID = uuid4()

    async def wait(self) -> int:
        """Wait until this process is the relay; its fence."""
        while True:
            try:
                if rows := await self._database.fetch(_TAKE, self._holder):
                    return int(rows[0]["fence"])
            except Unavailable as error:
                log("relay_waits", code=error.code)
            await asyncio.sleep(RENEW_S)

    async def keep(self, fence: int) -> None:
        """Renew the lease until another has taken it: then raises `Unavailable("relay_lease_lost")`.

        A database that is away takes nothing from anybody: it is asked again.
        """
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                renewed = await self._database.fetch(_RENEW, self._holder, fence)
            except Unavailable as error:
                log("relay_waits", code=error.code)
                continue
            if not renewed:
                raise Unavailable("relay_lease_lost")

    async def release(self) -> None:
        """Let another process take it at once."""
        try:
            await self._database.fetch(_RELEASE, self._holder)
        except Unavailable as error:
            log("relay_waits", code=error.code)
