"""Peer versions in PostgreSQL: a later statement replaces an earlier one, in any order of arrival."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.catalog import CATALOG
from shared.core.protocol.read_capabilities import Reads, own_reads
from shared.delivery.sending import load_peer_reads, note_reads
from shared.platform.database.transactions import Database
from tests.support.builders import AT


@pytest.fixture(autouse=True)
async def empty(database: Database) -> None:
    async with database.transaction() as session:
        await session.driver.execute("DELETE FROM peer")


async def test_the_newest_announcement_counts(database: Database) -> None:
    fewer = own_reads(CATALOG).model_copy(update={"messages": own_reads(CATALOG).messages[:1]})
    assert (await load_peer_reads(database)).announced == {}
    for reads, second in ((fewer, 5), (own_reads(CATALOG), 9), (fewer, 7)):
        async with database.transaction() as session:
            await note_reads(session, "industry", reads, at=AT + timedelta(seconds=second))
    assert (await load_peer_reads(database)).announced == {"industry": Reads.of(own_reads(CATALOG))}


async def test_what_one_has_announced_and_cannot_be_read_any_more_hides_nobody_elses(database: Database) -> None:
    """An unreadable statement counts as not announced. Otherwise no process of this instance could read documents."""
    async with database.transaction() as session:
        for peer in ("industry", "law_enforcement"):
            await note_reads(session, peer, own_reads(CATALOG), at=AT)
        await session.driver.execute("UPDATE peer SET supported_versions = '{}' WHERE instance = 'industry'")
    assert (await load_peer_reads(database)).announced == {"law_enforcement": Reads.of(own_reads(CATALOG))}
