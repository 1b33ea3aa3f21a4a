"""A broken relay, for a negative control: it forgets each message before the broker has answered for it.

python -m tests.failures.forgetful KIND --instance NAME [--only PART] …    `causeway serve`, with that one difference
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime

from deploy.serve import serve
from shared.runtime.instance import machinery
from shared.runtime.post.outbox import PostgresOutbox
from shared.runtime.post.ports import OutboxRow

_FORGET = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"


class ForgetfulOutbox(PostgresOutbox):
    """Deletes rows with the stamping: there is nothing left to send again, and nothing for a receipt to end."""

    async def stamp(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        stamped = await super().stamp(rows)
        async with self._database.transaction() as session:
            await session.driver.execute(_FORGET, [row.outbox_id for row in stamped])
        return stamped

    async def mark_sent(self, rows: Sequence[OutboxRow], at: datetime) -> None:
        return None


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("kind")
    arguments.add_argument("--instance", required=True)
    arguments.add_argument("--only", action="append", default=[])
    given = arguments.parse_args()

    setattr(machinery, "PostgresOutbox", ForgetfulOutbox)  # noqa: B010 - the wiring is not meant to be changed
    return serve(given.kind, given.instance, given.only)


if __name__ == "__main__":
    sys.exit(main())
