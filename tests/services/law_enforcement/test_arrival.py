"""Lists and feeds miss nothing, whoever commits late: numbers are given to what is committed, by one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from services.law_enforcement.app import LISTS
from services.law_enforcement.bus import AgencyDoor
from shared.exchange.events import Event
from shared.kernel.authority import Role
from shared.kernel.ids import uuid4, uuid7
from shared.party.recipient.ports import Page
from shared.runtime.database import feed
from shared.runtime.database.feed import Numberer, note_events
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.delivery.unit import SessionUnit
from tests.services.deliveries import AT, OTHER_AGENCY, offered
from tests.services.law_enforcement.agency import KEK, Agencies

PARTY = "late.example"
WRITERS, EACH = 10, 10
_IN = "UPDATE feed_numberer SET seen_below = '0'"


@pytest.fixture
async def emptied(agencies: Agencies, endpoint: DatabaseEndpoint) -> AsyncIterator[Agencies]:
    """No case and no event is left, and every feed begins anew."""
    await Numberer(agencies.database, LISTS).number()
    owner = await asyncpg.connect(endpoint.owner_url)
    await owner.execute("TRUNCATE event, feed, event_unnumbered, case_file, case_edge")
    yield agencies
    await owner.execute(_IN)
    await owner.close()


def events(count: int, party: str = PARTY) -> list[Event]:
    return [Event(party, "case.accept", uuid4(), state="accepted") for _ in range(count)]


async def noted(database: Database, count: int, party: str = PARTY) -> list[Event]:
    made = events(count, party)
    async with database.transaction() as session:
        await note_events(session.driver, made)
    return made


async def fed(database: Database, above: int = 0, party: str = PARTY) -> dict[int, UUID]:
    """What the party's feed shows above a number."""
    async with database.transaction(RowScope([party], "machine", "read")) as session:
        rows = await session.driver.fetch("SELECT number, subject FROM event WHERE number > $1 ORDER BY number", above)
    return {row["number"]: row["subject"] for row in rows}


async def listed(agencies: Agencies) -> list[str]:
    """The agency's whole list, newest first."""
    await Numberer(agencies.database, LISTS).number()
    found, cursor = [], None
    async with agencies.cases("read", party=OTHER_AGENCY) as cases:
        while True:
            page = await cases.page(OTHER_AGENCY, Page(None, cursor, 50))
            found += [str(item.referral_id) for item in page.items]
            if (cursor := page.next) is None:
                return found


async def by_id(agencies: Agencies) -> list[str]:
    """The list as it was ordered before: by the ids of referrals, which say when they were filed."""
    async with agencies.cases("read", party=OTHER_AGENCY) as cases:
        rows = await cases._driver.fetch("SELECT referral_id FROM case_file ORDER BY referral_id DESC")
    return [str(row["referral_id"]) for row in rows]


async def polled(agencies: Agencies, look: Callable[[Agencies], Any]) -> tuple[set[str], set[str]]:
    """100 referrals in ten transactions that commit in the reverse order, and a poller that looks after each.

    Returns what arrived, and what the poller has seen above what it had seen last.
    """
    batches = [[uuid7() for _ in range(EACH)] for _ in range(WRITERS)]
    seen: set[str] = set()
    top = next(iter(await look(agencies)), None)
    async with AsyncExitStack() as last:
        opened = []
        for ids in batches:
            scope = RowScope((OTHER_AGENCY,), Role.SERVICE, "apply")
            writer = Database(agencies.database._url, pool_size=1)
            last.push_async_callback(writer.close)
            transaction = writer.transaction(scope)
            unit = SessionUnit(await transaction.__aenter__())
            await AgencyDoor(kek=KEK, documents=agencies.documents, now=lambda: AT).apply(
                unit, [offered(each, to=OTHER_AGENCY) for each in ids]
            )
            opened.append(transaction)
        for transaction in reversed(opened):
            await transaction.__aexit__(None, None, None)
            now = await look(agencies)
            seen |= set(now[: now.index(top)] if top in now else now)
            top = now[0]
    return {str(each) for ids in batches for each in ids}, seen


async def test_a_poller_misses_none_of_a_hundred_that_arrive_late(emptied: Agencies) -> None:
    arrived, seen = await polled(emptied, listed)
    assert len(arrived) == WRITERS * EACH
    assert arrived - seen == set()


async def test_a_list_in_the_order_of_ids_would_miss_most_of_them(emptied: Agencies) -> None:
    """Negative control of the test above: the order that the first release had."""
    arrived, seen = await polled(emptied, by_id)
    assert len(arrived - seen) > WRITERS * EACH // 2


async def test_numbers_are_dense_for_each_party(emptied: Agencies) -> None:
    database, other = emptied.database, "other.example"
    mine = await noted(database, 3)
    theirs = await noted(database, 2, other)
    mine += await noted(database, 2)
    assert await Numberer(database, {}).number() == 7
    assert list((await fed(database)).items()) == [(n, each.subject) for n, each in enumerate(mine, start=1)]
    assert list((await fed(database, party=other)).values()) == [each.subject for each in theirs]
    await noted(database, 1)
    await Numberer(database, {}).number()
    assert list(await fed(database)) == [1, 2, 3, 4, 5, 6]


async def test_many_numberers_at_once_give_each_event_one_number(
    emptied: Agencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "NUMBERED_MAX", 7)
    database = emptied.database
    made = [each for _ in range(10) for each in await noted(database, 10)]
    done = await asyncio.gather(*(Numberer(database, {}).number() for _ in range(4)))
    assert sum(done) == 100
    found = await fed(database)
    assert list(found) == list(range(1, 101))
    assert set(found.values()) == {each.subject for each in made}


async def test_what_a_long_transaction_adds_is_numbered_once_it_commits(emptied: Agencies) -> None:
    """Others come and go, far more than it takes to note what was seen, while one writes and does not commit."""
    database = emptied.database
    late = events(1)
    async with database.transaction() as session:
        await note_events(session.driver, late)
        for _ in range(300):
            await noted(database, 1)
        assert await Numberer(database, {}).number() == 300
        assert await Numberer(database, {}).number() == 0
    assert await Numberer(database, {}).number() == 1
    assert (await fed(database))[301] == late[0].subject


async def test_a_numberer_that_looked_past_open_transactions_would_lose_what_they_add(
    emptied: Agencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control of the test above."""
    past = feed._NUMBER.replace("pg_snapshot_xmin", "pg_snapshot_xmax")
    assert past != feed._NUMBER
    monkeypatch.setattr(feed, "_NUMBER", past)
    database = emptied.database
    async with database.transaction() as session:
        await note_events(session.driver, events(1))
        for _ in range(300):
            await noted(database, 1)
        assert await Numberer(database, {}).number() == 300
    assert await Numberer(database, {}).number() == 0


async def test_a_numberer_that_fails_gives_no_number(emptied: Agencies, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError

    database = emptied.database
    await emptied.receive(offered(uuid7(), to=OTHER_AGENCY))
    with monkeypatch.context() as broken:
        broken.setattr(Numberer, "_arrive", fails)
        with pytest.raises(RuntimeError):
            await Numberer(database, LISTS).number()
    assert await fed(database, party=OTHER_AGENCY) == {}
    assert await Numberer(database, LISTS).number() == 1
    assert list(await fed(database, party=OTHER_AGENCY)) == [1]


async def test_a_list_does_not_wait_for_a_numberer_that_hangs(emptied: Agencies) -> None:
    database = emptied.database
    await noted(database, 1)
    async with database.transaction() as session:
        await session.driver.execute("SELECT FROM feed_numberer FOR UPDATE")
        assert await Numberer(database, {}).number() == 0
    assert await Numberer(database, {}).number() == 1


@pytest.mark.parametrize("known_by", ["system_id", "timeline", "file"])
async def test_another_database_begins_a_new_epoch_and_looks_at_every_event(
    emptied: Agencies, endpoint: DatabaseEndpoint, known_by: str
) -> None:
    """As after a restore: the counts of transactions that were noted are another database's.

    Another cluster has another id, one that was put back to a point in time another timeline, a dump other files.
    """
    database = emptied.database
    await noted(database, 1)
    await Numberer(database, {}).number()
    owner = await asyncpg.connect(endpoint.owner_url)
    before = await owner.fetchval("SELECT epoch FROM feed_numberer")
    await owner.execute(f"UPDATE feed_numberer SET {known_by} = {known_by} + 1, seen_below = '4000000000'")
    await noted(database, 1)
    assert await Numberer(database, {}).number() == 1
    assert list(await fed(database)) == [1, 2]
    assert await owner.fetchval("SELECT epoch FROM feed_numberer") != before
    await owner.close()


async def test_a_party_sees_its_own_events_and_nobody_changes_any(emptied: Agencies) -> None:
    database = emptied.database
    await noted(database, 2)
    await Numberer(database, {}).number()
    assert len(await fed(database)) == 2
    assert await fed(database, party="stranger.example") == {}
    for statement in (
        "UPDATE event SET number = 9",
        "DELETE FROM event",
        f"INSERT INTO event (party, number, type, subject, at) VALUES ('{PARTY}', 3, 'x', gen_random_uuid(), now())",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.transaction(RowScope([PARTY], "machine", "read")) as session:
                await session.driver.execute(statement)


async def test_a_snapshot_that_is_held_does_not_slow_the_numberer_down(
    emptied: Agencies, endpoint: DatabaseEndpoint
) -> None:
    """20,000 events pass meanwhile: none of their rows can be removed. Compared are pages looked at, not times."""
    database = emptied.database

    async def pages() -> int:
        """To number one event: those of its statement, all parts together."""
        await noted(database, 1)
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {feed._NUMBER}"
        async with database.transaction(RowScope((), "service", "number")) as session:
            [[plan]] = await session.driver.fetch(explain, 1000)
        return int(plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"])

    await noted(database, 1)
    await Numberer(database, {}).number()
    alone = await pages()
    holder = await asyncpg.connect(endpoint.owner_url)
    await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM event")
    for _ in range(400):
        await noted(database, 50)
        await Numberer(database, {}).number()
    held = await pages()
    await holder.close()
    assert held <= 3 * alone
