"""What the other instances read, as every process of an instance knows it: looked up anew while it runs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from shared.exchange.reads import PeerReads
from shared.kernel.errors import Unavailable
from shared.runtime.database.transactions import Database
from shared.runtime.delivery.peers import load_peer_reads

LOOK_EVERY_S: Final = 5.0


class PeerWatch:
    """Whoever writes to a peer asks it what that reads; `reads` is another object after each change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = PeerReads()

    async def look(self) -> None:
        """Look once. Raises `Unavailable` if the database does not answer."""
        found = await load_peer_reads(self._database)
        if found != self.reads:
            self.reads = found

    async def run(self) -> None:
        """Look for ever. While the database is away, what was known last holds."""
        while True:
            with suppress(Unavailable):  # whoever needs the database says so itself
                await self.look()
            await asyncio.sleep(LOOK_EVERY_S)
