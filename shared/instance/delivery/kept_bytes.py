"""The limit of the bytes that are stored for absent readers. Beyond it, new states are refused until readers return."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import Final

import asyncpg

from shared.core.errors import Unavailable
from shared.core.protocol.message import Draft
from shared.messaging.streams import WireRole
from shared.messaging.tracks import role_of
from shared.platform.database.transactions import Database

#: Seconds between two queries of the tables.
LOOK_S: Final = 10.0
#: The code of a state that is refused.
FULL: Final = "streams_full"

_SUM: Final = "SELECT coalesce(sum(octet_length(content) + octet_length(digests)), 0)::bigint AS bytes FROM segment"


class KeptBytesBound:
    """The check that refuses transactions that send states, while the own streams store too many bytes.

    Withdrawals, answers, outcomes and states of a child at risk are always sent.
    """

    def __init__(self, bytes_max: int, *, look_s: float = LOOK_S) -> None:
        self._bytes_max = bytes_max
        self._look_s = look_s
        self._looked_s = -look_s
        #: Until the first sum is known, a transaction waits for it. Later ones only wait while the bound is reached.
        self._is_full = True

    async def check(self, driver: asyncpg.Connection, gathered: Iterable[object]) -> None:
        """Raise `Unavailable("streams_full")` if the transaction sends a state and the bound is reached.

        The sum is read on another connection, and not in the caller's transaction.
        """
        if not any(_is_bounded(each) for each in gathered):
            return
        if monotonic() - self._looked_s >= self._look_s:
            self._looked_s = monotonic()
            self._looking = asyncio.create_task(self._look(driver.database))
        if self._is_full:
            await asyncio.wait([self._looking])
            if self._is_full:
                raise Unavailable(FULL)

    async def _look(self, database: Database) -> None:
        with suppress(Unavailable):
            self._is_full = (await database.fetch(_SUM))[0]["bytes"] >= self._bytes_max


def _is_bounded(each: object) -> bool:
    return isinstance(each, Draft) and not each.is_p0 and role_of(each.message) is WireRole.STATE
