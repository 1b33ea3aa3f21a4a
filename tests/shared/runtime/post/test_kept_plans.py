"""Statements find their rows by keys although the planner knows nothing of their tables, which are small once."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

import pytest

from shared.runtime.database.transactions import Database
from shared.runtime.post import admitted, outbox, sent_book

#: Each statement, and what it must find rows of the outbox or the inbox by.
KEYED: Final = {
    "leave": (outbox._LEAVE, "message_id = ANY"),
    "passed": (sent_book._PASSED, "sequence >= lower"),
    "held": (admitted._HELD.text, "said = told.said"),
    "withdrawn": (admitted._WITHDRAWN.text, "subject = subjects.subject"),
    "work": (outbox._WORK, 'position" > l.appended'),
    "segments": (outbox._SEGMENTS, "id = ANY"),
}
#: As it was once: every mark with all that is held of its pair.
JOINED: Final = """
DELETE FROM outbox AS o USING mark AS theirs, mark AS audits
WHERE o.message_id = ANY($1::uuid[]) AND o.done
  AND (theirs.by, theirs.sender, theirs.recipient, theirs.epoch) = (o.lane, o.sender, o.recipient, o.epoch)
  AND (audits.by, audits.sender, audits.recipient, audits.epoch) = ('audit', o.sender, o.recipient, o.epoch)
  AND o.sequence <@ theirs.passed AND o.sequence <@ audits.passed
"""


class _Undone(Exception):
    """Nothing of the transaction is to stay."""


async def conditions(database: Database, statement: str) -> list[str]:
    """What each scan by an index looks for, in the plan that is made once, over empty tables."""
    count = max(map(int, re.findall(r"\$(\d+)", statement)))
    with suppress(_Undone):
        async with database.transaction(keeps_plans=True) as session:
            # What other tests have left is gone, to the planner too, until this is undone.
            await session.driver.execute("TRUNCATE outbox, settled, inbox, mark, segment, lane, lane_end")
            await session.driver.execute(f"PREPARE looked_at AS {statement}")
            plan = await session.driver.fetch(f"EXPLAIN EXECUTE looked_at({', '.join(['NULL'] * count)})")
            await session.driver.execute("DEALLOCATE looked_at")
            raise _Undone
    return [line.partition("Index Cond: ")[2] for (line,) in plan if "Index Cond" in line]


@pytest.mark.parametrize("name", KEYED)
async def test_rows_are_found_by_their_keys_over_tables_that_were_empty_once(database: Database, name: str) -> None:
    statement, key = KEYED[name]
    assert any(key in each for each in await conditions(database, statement))


async def test_a_join_would_be_begun_at_the_marks(database: Database) -> None:
    """The control: what the statements above are spelt against is what the planner does."""
    assert not any("message_id = ANY" in each for each in await conditions(database, JOINED))
