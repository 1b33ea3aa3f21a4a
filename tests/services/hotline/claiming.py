"""A process that applies claims to an origin's database, like one of its workers.

    python -m tests.services.hotline.claiming

Reads {"url", "referral", "racers"} as one line, prints `ready`, waits for another line, applies all claims at once, and
prints the codes of their answers. With "stops" it prints `between` and stops there: the referral has been handed over,
but no hotline has been informed yet.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch
from uuid import UUID

from shared.core.protocol.message import Draft
from shared.features.transfers.store import PostgresTransfers
from shared.platform.database.transactions import Database
from tests.services.hotline.origin import Origin
from tests.services.hotline.transferring import WORKERS, claim_at_once, mandated
from tests.support.exchange_world import world


class Stopping(PostgresTransfers):
    """A store that stops between the two halves of a grant."""

    async def send(self, drafts: Sequence[Draft]) -> None:
        print("between", flush=True)
        await asyncio.Event().wait()


async def main(asked: dict[str, Any]) -> list[str | None]:
    if asked.get("stops"):
        patch("shared.instance.parties.PostgresTransfers", Stopping).start()
    database = Database(asked["url"], pool_size=WORKERS)
    origin = Origin(database, world())
    mandated(origin.world, 50)
    referral_id = UUID(asked["referral"])
    print("ready", flush=True)
    sys.stdin.readline()
    codes = await claim_at_once(origin, referral_id, asked["racers"])
    await database.close()
    return codes


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.stdin.readline())))))
