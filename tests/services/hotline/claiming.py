"""A process that applies claims to an origin's database, as one of its workers does.

    python -m tests.services.hotline.claiming

Reads {"url", "referral", "racers"} as one line, says `ready`, waits for another line, applies the claims all at once,
and prints the codes that they were answered with.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from uuid import UUID

from shared.runtime.database.transactions import Database
from tests.services.hotline.origin import Origin
from tests.services.hotline.transferring import WORKERS, claim_at_once, mandated
from tests.support.exchange_world import world


async def main(asked: dict[str, Any]) -> list[str | None]:
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
