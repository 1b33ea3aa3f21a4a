"""A lease can be taken over if the database's clock went back after a renewal and the holder has ended."""

from __future__ import annotations

import pytest

from shared.platform.database.lease import ProcessLease, Sole
from shared.platform.database.transactions import Database


@pytest.mark.parametrize("name", ["relay", "reader"])
async def test_a_lease_of_a_clock_that_was_ahead_keeps_no_process_waiting(database: Database, name: Sole) -> None:
    async with database.transaction() as session:
        await session.driver.execute("DELETE FROM process_lease")
    assert await ProcessLease(database, name).take() == 1
    assert await ProcessLease(database, name).take() is None, "control: as long as it lasts"
    async with database.transaction() as session:
        await session.driver.execute("UPDATE process_lease SET expires_at = expires_at + interval '1 hour'")
    assert await ProcessLease(database, name).take() == 2
    assert await ProcessLease(database, name).take() is None
