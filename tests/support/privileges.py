"""What a database role may not do."""

from __future__ import annotations

import asyncpg
import pytest


async def may_not(role: asyncpg.Connection, *statements: str) -> None:
    """Each statement is refused to the role that is connected, for want of a right."""
    for statement in statements:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            # A role that reads by default can lift that: its rights count.
            await role.execute(f"SET TRANSACTION READ WRITE; {statement}")
        await role.execute("ROLLBACK")
