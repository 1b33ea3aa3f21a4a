"""Negative checks of a database role's privileges."""

from __future__ import annotations

import asyncpg
import pytest


async def may_not(role: asyncpg.Connection, *statements: str) -> None:
    """Check that each statement fails for lack of a privilege of the connected role."""
    for statement in statements:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            # A role that reads by default can change that, so only its privileges count.
            await role.execute(f"SET TRANSACTION READ WRITE; {statement}")
        await role.execute("ROLLBACK")
