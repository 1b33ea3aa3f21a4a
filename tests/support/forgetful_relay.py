"""A broken relay, for a negative control: it forgets each message before the broker has answered for it.

    python -m tests.support.forgetful_relay KIND --instance NAME [--only PART] …

It is `causeway serve` with that one difference.
"""

from __future__ import annotations

import argparse
import sys

from deploy.serve import serve
from shared.kernel.clock import SystemClock
from shared.runtime.instance import machinery
from shared.runtime.post.outbox import PostgresLanes
from shared.runtime.post.ports import LaneWork, Progress

_FORGET = "DELETE FROM outbox WHERE message_id = ANY($1::uuid[])"


class ForgetfulLanes(PostgresLanes):
    """Notes rows as appended and deletes them as it reads them: there is nothing left to send again."""

    async def work(self, lane: str, limit: int) -> LaneWork:
        found = await super().work(lane, limit)
        if found.rows:
            await super().note(lane, Progress(found.rows[-1].position, SystemClock().now()))
            async with self._database.transaction() as session:
                await session.driver.execute(_FORGET, [row.message_id for row in found.rows])
        return found


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("kind")
    arguments.add_argument("--instance", required=True)
    arguments.add_argument("--only", action="append", default=[])
    given = arguments.parse_args()

    setattr(machinery, "PostgresLanes", ForgetfulLanes)  # noqa: B010 - the wiring is not meant to be changed
    return serve(given.kind, given.instance, given.only)


if __name__ == "__main__":
    sys.exit(main())
