"""Feeds miss no act, however late it commits: its number is assigned in the last step of its transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from uuid import UUID

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.acts.states import Event
from shared.core.errors import Unavailable
from shared.core.ids import uuid4, uuid7
from shared.features.received.rules import ItemQuery
from shared.instance.streams import begin_anew
from shared.platform.database import feed
from shared.platform.database.feed import note_acts
from shared.platform.database.transactions import Database, RowScope, Session, write_late
from tests.services.databases import until_one_waits_for_a_lock
from tests.services.deliveries import AT, OTHER_AGENCY, offered
from tests.services.law_enforcement.agency import Agencies
from tests.services.law_enforcement.feeds import acting_for, noted

PARTY, OTHER = "late.example", "other.example"


@pytest.fixture
async def owner(endpoint: DatabaseEndpoint) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(endpoint.owner_url)
    yield connection
    await connection.close()


@pytest.fixture
async def emptied(agencies: Agencies, owner: asyncpg.Connection) -> Agencies:
    """Delete all cases and acts, and restart every feed."""
    await owner.execute("TRUNCATE act, received, received_edge; DELETE FROM feed")
    return agencies


def acts(count: int, party: str = PARTY) -> list[Event]:
    return [Event(party, "case.accept", uuid4(), state="accepted") for _ in range(count)]


async def fed(database: Database, above: int = 0, party: str = PARTY) -> dict[int, UUID]:
    """Return the party's feed above a number."""
    async with database.transaction(RowScope([party], "machine", "read")) as session:
        rows = await session.driver.fetch("SELECT number, subject FROM act WHERE number > $1 ORDER BY number", above)
    assert len({row["number"] for row in rows}) == len(rows)
    return {row["number"]: row["subject"] for row in rows}


async def listed(agencies: Agencies) -> list[str]:
    """Return the agency's whole list, newest first."""
    found, cursor = [], None
    async with agencies.cases("read", party=OTHER_AGENCY) as cases:
        while True:
            page = await cases.page(OTHER_AGENCY, ItemQuery(None, cursor, 7))
            found += [str(item.referral_id) for item in page.items]
            if (cursor := page.next) is None:
                return found


async def test_rows_that_came_at_one_time_are_each_on_one_page(emptied: Agencies, owner: asyncpg.Connection) -> None:
    ids = [uuid7() for _ in range(20)]
    await emptied.receive(*(offered(each, to=OTHER_AGENCY) for each in ids))
    await owner.execute("ALTER TABLE received NO FORCE ROW LEVEL SECURITY")
    await owner.execute("UPDATE received SET received_at = $1", AT)
    await owner.execute("ALTER TABLE received FORCE ROW LEVEL SECURITY")
    assert await listed(emptied) == sorted(map(str, ids), reverse=True)


async def test_an_act_of_a_long_transaction_is_numbered_as_it_commits(emptied: Agencies) -> None:
    """Other transactions commit while one notes an act and stays open. It delays none of them."""
    database = emptied.database
    late = acts(1)
    async with database.transaction(acting_for(PARTY)) as session:
        note_acts(session.driver, late)
        for _ in range(30):
            await noted(database, PARTY, 1)
        assert list(await fed(database)) == list(range(1, 31))
    assert (await fed(database))[31] == late[0].subject


async def test_what_is_rolled_back_takes_no_number(emptied: Agencies) -> None:
    database, kept = emptied.database, acts(2)
    async with database.transaction(acting_for(PARTY)) as session:
        note_acts(session.driver, kept[:1])
        with suppress(RuntimeError):
            async with session.savepoint():
                note_acts(session.driver, acts(3))
                raise RuntimeError
        note_acts(session.driver, kept[1:])
    with suppress(RuntimeError):
        async with database.transaction(acting_for(PARTY)) as session:
            note_acts(session.driver, acts(3))
            raise RuntimeError
    assert list((await fed(database)).items()) == [(1, kept[0].subject), (2, kept[1].subject)]


async def ordered(first: str, second: str, database: Database) -> None:
    """Note acts of two parties in this order."""
    async with database.transaction(acting_for(first, second)) as session:
        note_acts(session.driver, [*acts(1, first), *acts(1, second)])


async def test_parties_in_opposite_order_are_locked_in_one_order(emptied: Agencies, endpoint: DatabaseEndpoint) -> None:
    database = Database(endpoint.service_url, pool_size=8)
    pairs = [(PARTY, OTHER), (OTHER, PARTY)] * 50
    await asyncio.gather(*(ordered(*pair, database) for pair in pairs))
    assert [list(await fed(database, party=party)) for party in (PARTY, OTHER)] == [list(range(1, 101))] * 2
    await database.close()


async def crossing(database: Database, first: str, second: str, *, both: asyncio.Barrier) -> None:
    """Number an act of `first`, and then one of `second` after the other transaction has numbered its own."""
    async with database.transaction(acting_for(first, second)) as session:
        for party in (first, second):
            note_acts(session.driver, acts(1, party))
            await write_late(session.driver)
            if party == first:
                await both.wait()


async def test_feeds_that_are_locked_as_acts_come_would_deadlock(emptied: Agencies, endpoint: DatabaseEndpoint) -> None:
    """Negative control of the test above: each act locks its party's feed when it is noted."""
    database, both = Database(endpoint.service_url, pool_size=2), asyncio.Barrier(2)
    await noted(database, PARTY, 1)  # begins the epoch of this database, so that the crossed transactions do not
    crossed = [crossing(database, *pair, both=both) for pair in ((PARTY, OTHER), (OTHER, PARTY))]
    ended = await asyncio.gather(*crossed, return_exceptions=True)
    await database.close()
    assert sum(isinstance(each, Exception) for each in ended) == 1


async def sending(database: Database, party: str, stream: int, *, both: asyncio.Barrier | None) -> None:
    """Note an act and send: a stream is locked in the last step. `both`: it is locked before the feed, as a control."""

    async def last_step(driver: asyncpg.Connection, gathered: Sequence[object]) -> None:
        if both is None:
            await write_late(driver)
        await driver.execute("SELECT pg_advisory_xact_lock($1)", stream)
        if both is not None:
            await both.wait()

    own = Database(database._url, pool_size=1)
    own.last_step = last_step
    async with own.transaction(acting_for(party)) as session:
        note_acts(session.driver, acts(1, party))
        session.driver.gathered.append("message")
    await own.close()


async def test_the_feed_is_locked_before_the_streams(emptied: Agencies) -> None:
    """The transaction with the feed waits for another transaction's stream. That one waits for no feed."""
    database = emptied.database
    async with database.transaction(acting_for(PARTY)) as holder:
        note_acts(holder.driver, acts(1))
        await write_late(holder.driver)
        waiting = asyncio.create_task(sending(database, PARTY, 7, both=None))
        await until_one_waits_for_a_lock(database)
        await holder.driver.execute("SELECT pg_advisory_xact_lock(7)")
    await waiting
    assert list(await fed(database)) == [1, 2]


async def test_a_stream_that_is_locked_before_the_feed_would_deadlock(emptied: Agencies) -> None:
    """Negative control of the test above."""
    database, both = emptied.database, asyncio.Barrier(2)

    async def holds_the_feed(session: Session) -> None:
        note_acts(session.driver, acts(1))
        await write_late(session.driver)
        await both.wait()
        await session.driver.execute("SELECT pg_advisory_xact_lock(7)")

    async def other() -> None:
        async with database.transaction(acting_for(PARTY)) as session:
            await holds_the_feed(session)

    ended = await asyncio.gather(sending(database, PARTY, 7, both=both), other(), return_exceptions=True)
    assert sum(isinstance(each, Exception) for each in ended) == 1


async def epoch(database: Database) -> UUID:
    [row] = await database.fetch("SELECT epoch FROM feed_epoch")
    found: UUID = row["epoch"]
    return found


async def given(database: Database) -> set[tuple[UUID, int]]:
    """Assign one more number; return (epoch, number)."""
    await noted(database, PARTY, 1)
    [row] = await database.fetch("SELECT last_number FROM feed WHERE party = $1", PARTY)
    return {(await epoch(database), row["last_number"])}


@pytest.mark.parametrize("known_by", ["system_id", "timeline", "file_node"])
async def test_a_restore_gives_no_number_twice(emptied: Agencies, owner: asyncpg.Connection, known_by: str) -> None:
    """Another cluster has another id, a point-in-time recovery another timeline, a restored dump other files."""
    database = emptied.database
    before = await given(database) | await given(database)
    await put_back(owner)
    await owner.execute(f"UPDATE feed_epoch SET {known_by} = {known_by} + 1")
    after = await given(database) | await given(database)
    assert {number for _, number in before} & {number for _, number in after}, "control: a number is given again"
    assert before & after == set()
    assert len({its for its, _ in after}) == 1


async def test_numbers_would_be_given_twice_without_the_comparison(
    emptied: Agencies, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control of the test above."""
    unchecked = feed._NUMBER.replace("WHERE (e.system_id", "WHERE false AND (e.system_id")
    assert unchecked != feed._NUMBER
    monkeypatch.setattr(feed, "_NUMBER", unchecked)
    database = emptied.database
    before = await given(database) | await given(database)
    await put_back(owner)
    await owner.execute("UPDATE feed_epoch SET file_node = file_node + 1")
    assert before & (await given(database) | await given(database))


@pytest.mark.parametrize("is_found", [True, False], ids=["found", "control"])
async def test_a_disk_copy_repeats_no_number(emptied: Agencies, owner: asyncpg.Connection, *, is_found: bool) -> None:
    """A disk copy keeps all three values. An instance that detects it by its own topics begins a new epoch."""
    database = emptied.database
    before = await given(database) | await given(database)
    await put_back(owner)
    if is_found:
        async with database.transaction(acting_for(PARTY)) as session:
            await begin_anew(session.driver)
    after = await given(database) | await given(database)
    assert bool(before & after) is not is_found


async def test_no_number_is_given_while_the_own_topics_are_not_compared(emptied: Agencies) -> None:
    """A number before the comparison would belong to the epoch of the disk copy."""

    def unchecked() -> None:
        raise Unavailable("streams_unchecked")

    database = Database(emptied.database._url, pool_size=1)
    database.check_session = unchecked
    with pytest.raises(Unavailable, match="streams_unchecked"):
        await noted(database, PARTY, 1)
    assert await fed(database) == {}, "and a party may look"
    await database.close()


async def put_back(owner: asyncpg.Connection) -> None:
    """Restore the feeds to the state before any act."""
    await owner.execute("UPDATE feed SET last_number = 0")


async def test_a_party_sees_its_own_acts_and_nobody_changes_any(emptied: Agencies) -> None:
    database = emptied.database
    await noted(database, PARTY, 2)
    assert len(await fed(database)) == 2
    assert await fed(database, party="stranger.example") == {}
    for statement in (
        "UPDATE act SET number = 9",
        "DELETE FROM act",
        f"INSERT INTO act (party, number, type, subject, at) VALUES ('{OTHER}', 3, 'x', gen_random_uuid(), now())",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.transaction(RowScope([PARTY], "machine", "read")) as session:
                await session.driver.execute(statement)


async def test_acts_of_a_party_outside_the_scope_are_not_added(emptied: Agencies) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with emptied.database.transaction(acting_for(PARTY)) as session:
            note_acts(session.driver, acts(1, OTHER))
    assert await fed(emptied.database, party=OTHER) == {}
