"""Plans that PostgreSQL makes once for all parameters of a statement."""

from __future__ import annotations

import re

from shared.platform.database.transactions import Session


async def generic_plan(session: Session, statement: str) -> list[str]:
    """Return the lines of a statement's generic plan."""
    count = max(map(int, re.findall(r"\$(\d+)", statement)), default=0)
    await session.driver.execute(f"PREPARE looked_at AS {statement}")
    nulls = f"({', '.join(['NULL'] * count)})" if count else ""
    plan = await session.driver.fetch(f"EXPLAIN EXECUTE looked_at {nulls}")
    await session.driver.execute("DEALLOCATE looked_at")
    return [line for (line,) in plan]
