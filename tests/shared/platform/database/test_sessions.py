"""A database session begins when a connection opens and no other one is open."""

from __future__ import annotations

import asyncio

from shared.platform.database.transactions import Database


async def test_a_session_lasts_as_long_as_any_connection(database: Database) -> None:
    assert database.session_number == 0
    await database.fetch("SELECT 1")
    assert database.session_number == 1

    async def ask() -> None:
        await database.fetch("SELECT pg_sleep(0.1)")

    await asyncio.gather(ask(), ask(), ask())
    assert database.session_number == 1
    other = Database(database._url)
    try:
        await other.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await other.close()
    async with asyncio.timeout(60):
        while database.session_number == 1:
            try:
                await database.fetch("SELECT 1")
            except Exception:
                await asyncio.sleep(0.01)
    assert database.session_number == 2
