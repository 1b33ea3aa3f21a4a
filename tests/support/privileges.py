"""What a database role may not do."""

from __future__ import annotations

import asyncpg
import pytest


async def may_not(role: asyncpg.Connection, *statements: str) -> None:
    """Each statement is refused to the role that is connected, for want of a right."""
    # A role that reads by default can lift that; what counts are its rights.
    await role.execute("SET default_transaction_read_only = off")
    for statement in statements:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await role.execute(statement)
        await role.execute("ROLLBACK")
