"""A party reads all its events from one route, in one order, with long polling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.acts.states import Event
from shared.core.authority import Role
from shared.core.errors import Unavailable
from shared.core.ids import uuid4, uuid7
from shared.platform.database import feed as database_feed
from shared.platform.database.feed import FeedListener
from shared.platform.database.transactions import Database, RowScope
from tests.contracts.described import Described
from tests.services.deliveries import OTHER_AGENCY, offered
from tests.services.doors import ENDED
from tests.services.law_enforcement.agency import Agencies
from tests.services.law_enforcement.feeds import PARTY, Door, by_number, noted, opened, polled

#: The wait of a reader that is not woken.
LONG_S = 30


@asynccontextmanager
async def elsewhere(endpoint: DatabaseEndpoint, *, tells: bool = True, pool_size: int = 2) -> AsyncIterator[Database]:
    """Open the database as another process of the instance does."""
    database = Database(endpoint.service_url, pool_size=pool_size)
    if tells:
        database.tell_numbered = FeedListener(database).announce
    yield database
    await database.close()


@pytest.fixture
async def feed(agencies: Agencies, endpoint: DatabaseEndpoint) -> AsyncIterator[Door]:
    async with opened(endpoint) as one:
        yield one


async def test_a_party_reads_what_happened_in_order_page_by_page(feed: Door) -> None:
    noted = [each for _ in range(3) for each in await feed.note(3)]
    first = await feed.read(limit=4)
    assert [each["number"] for each in first["items"]] == [1, 2, 3, 4]
    assert first["last"] == 9
    event = {"number": 1, "type": "case.accept", "subject": noted[0], "state": "accepted"}
    assert first["items"][0] | {"at": ""} == event | {"at": ""}
    then = await feed.subjects(after=4, epoch=first["epoch"], limit=200)
    assert [each["subject"] for each in first["items"]] + then == noted
    assert await feed.subjects(after=9) == []


async def test_a_party_reads_of_the_acts_of_others(agencies: Agencies, feed: Door) -> None:
    referral_id = uuid7()
    last = "SELECT coalesce(max(last_number), 0) AS last FROM feed WHERE party = $1"
    [before] = await agencies.database.fetch(last, OTHER_AGENCY)
    await agencies.receive(offered(referral_id, to=OTHER_AGENCY))
    feed.party = OTHER_AGENCY
    found = (await feed.read(after=before["last"], limit=200))["items"][-1]
    assert (found["type"], found["subject"], found["state"]) == ("case.offer", str(referral_id), "offered")


@pytest.mark.parametrize("role", Role)
async def test_whoever_may_look_may_read_and_nobody_else(feed: Door, role: Role) -> None:
    await feed.note()
    may = role in {Role.ANALYST, Role.MACHINE, Role.VIEWER}
    assert (await feed.get(role=role)).status_code == (200 if may else 403)


async def test_postgres_itself_shows_a_feed_to_its_party_alone(feed: Door) -> None:
    """It shows a feed neither to two parties together, nor to the applying service, nor for another act."""
    other = f"{uuid4().hex[:8]}.example"
    await feed.note()
    await feed.note(party=other)

    async def seen(parties: Sequence[str], role: str = "viewer", action: str = "read") -> int:
        async with feed.database.transaction(RowScope(parties, role, action)) as session:
            return int(await session.driver.fetchval("SELECT count(*) FROM act WHERE party = $1", feed.party))

    assert await seen([feed.party]) == 1
    assert await seen([other]) == await seen([feed.party, other]) == await seen([]) == 0
    assert await seen([feed.party], "service", "apply") == await seen([feed.party], "auditor") == 0
    assert await seen([feed.party], action="accept") == 0


@pytest.mark.parametrize(
    "query",
    [
        {"after": -1},
        {"after": 2**63},
        {"after": "one"},
        {"limit": 0},
        {"limit": 201},
        {"wait": -1},
        {"wait": 31},
        {"epoch": "x"},
    ],
    ids=str,
)
async def test_a_wrong_parameter_is_named_and_its_value_is_not(feed: Door, query: dict[str, Any]) -> None:
    answer = await feed.get(**query)
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid")
    assert answer.json()["field"] == f"/query/{next(iter(query))}"


async def test_a_parameter_that_is_not_described_is_refused_and_not_said_again(feed: Door) -> None:
    answer = await feed.get(afer=1)
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid")
    assert answer.json()["errors"] == [{"field": "/query", "rule": "extra_forbidden"}]
    assert "afer" not in answer.text
    assert Described("law_enforcement").differences(answer) == []


@pytest.mark.parametrize("wait", [0, LONG_S])
async def test_numbers_of_another_epoch_are_refused(feed: Door, wait: int) -> None:
    """A reader that continued after a restore would skip events with reassigned numbers."""
    await feed.note(2)
    for query in ({"after": 1, "epoch": uuid4()}, {"after": 3}):
        answer = await feed.get(**query, wait=wait)
        assert (answer.status_code, answer.json()["code"]) == (409, "feed_began_anew")
        assert Described("law_enforcement").differences(answer) == []


async def test_who_waits_is_woken_by_whoever_numbers(feed: Door, endpoint: DatabaseEndpoint) -> None:
    """The act is in another process. Only the database connects the two."""
    await feed.note()
    waiting = asyncio.create_task(feed.subjects(after=1, wait=LONG_S))
    await feed.listener.until_waiting()
    async with elsewhere(endpoint) as other:
        (made,) = await noted(other, feed.party)
        assert await waiting == [str(made.subject)]
    assert feed.listener.woken() == [True]


async def test_who_waits_is_woken_at_once_by_its_own_process(agencies: Agencies, endpoint: DatabaseEndpoint) -> None:
    async with opened(endpoint, listens=False) as deaf:
        waiting = asyncio.create_task(deaf.subjects(wait=LONG_S))
        await deaf.listener.until_waiting()
        assert await deaf.note() == await waiting
        assert deaf.listener.woken() == [True]


@pytest.mark.parametrize(("tells", "listens"), [(True, False), (False, True)], ids=["deaf", "untold"])
async def test_a_wait_has_an_end(agencies: Agencies, endpoint: DatabaseEndpoint, *, tells: bool, listens: bool) -> None:
    """No process listens, or no process notifies. No event is lost with a missed notification."""
    async with opened(endpoint, listens=listens) as asked, elsewhere(endpoint, tells=tells) as other:
        await asked.note()
        waiting = asyncio.create_task(asked.subjects(after=1, wait=2))
        await asked.listener.until_waiting()
        (made,) = await noted(other, asked.party)
        assert await waiting == [str(made.subject)]
        assert asked.listener.woken() == [False]


async def test_acts_are_told_at_once(feed: Door, endpoint: DatabaseEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL commits transactions that notify one at a time."""
    monkeypatch.setattr(database_feed, "NOTIFY_PAUSE_S", LONG_S)
    heard = list[str]()
    connection = await asyncpg.connect(endpoint.service_url)
    await connection.add_listener(database_feed.NUMBERED_CHANNEL, lambda *told: heard.append(told[-1]))
    for _ in range(20):
        await feed.note()
    await connection.execute(f"SELECT pg_notify('{database_feed.NUMBERED_CHANNEL}', 'end.example 1')")
    await connection.close()
    assert heard == ["end.example 1"]
    assert feed.listener._unsent == {feed.party: 20}


async def test_what_comes_between_look_and_wait_is_not_missed(feed: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    await feed.note()
    read, noted = database_feed.read_feed, list[str]()

    async def looks_too_early(*arguments: Any, **named: Any) -> database_feed.FeedPage:
        found = await read(*arguments, **named)
        if not noted:
            with FeedListener.place(feed.listener, feed.party, "key", above=1) as told:
                noted.extend(await feed.note())
                await told.wait()  # the notification arrives before the wait begins
        return found

    monkeypatch.setattr("shared.features.events.api.read_feed", looks_too_early)
    assert await feed.subjects(after=1, wait=LONG_S) == noted
    assert feed.listener.woken() == [True]


async def test_whose_key_is_ended_while_it_waits_is_told_nothing(feed: Door) -> None:
    await feed.note()
    waiting = asyncio.create_task(feed.get(after=1, wait=LONG_S))
    await feed.listener.until_waiting()
    ENDED.add(feed.party)
    await feed.note()
    assert ((await waiting).status_code, "items" in (await waiting).json()) == (401, False)


async def test_others_are_not_woken_and_nothing_below_wakes(feed: Door) -> None:
    """Notifications arrive in order: after the last one, all earlier ones have been processed."""
    last = "last.example"
    place = partial(feed.listener.place, holder="key")
    with place(feed.party, above=3) as further, place("other.example", above=0) as other, place(last, above=0) as heard:
        await feed.note(3)
        await feed.note(party=last)
        await heard.wait()
        assert not further.is_set()
        assert not other.is_set()
        await feed.note()
        await further.wait()
        assert not other.is_set()


async def test_who_waits_holds_no_connection(agencies: Agencies, endpoint: DatabaseEndpoint) -> None:
    """Eight readers wait, and one connection remains for all other work."""
    async with opened(endpoint, pool_size=1) as feed:
        waiting = [asyncio.create_task(feed.subjects(wait=LONG_S)) for _ in range(8)]
        await feed.listener.until_waiting(8)
        noted = await feed.note()
        assert await asyncio.gather(*waiting) == [noted] * 8
        assert feed.listener.woken() == [True] * 8


@pytest.mark.timing
async def test_a_connection_that_is_held_would_be_missed(
    agencies: Agencies, endpoint: DatabaseEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control of the test above."""
    monkeypatch.setattr("shared.platform.database.transactions._POOL_S_MAX", 0.2)
    async with opened(endpoint, pool_size=1) as feed, feed.database.transaction():
        with pytest.raises(Unavailable):
            await feed.note()


async def test_one_more_that_waits_ends_the_wait_of_the_first(feed: Door) -> None:
    first = asyncio.create_task(feed.subjects(wait=LONG_S))
    await feed.listener.until_waiting()
    more = [asyncio.create_task(feed.subjects(wait=LONG_S)) for _ in range(database_feed.PLACES_MAX_OF_ONE)]
    assert await first == []
    assert feed.listener.woken() == [True] + [False] * len(more)
    noted = await feed.note()
    assert await asyncio.gather(*more) == [noted] * len(more)
    assert feed.listener._all == feed.listener._places == {}


async def test_a_crowd_of_parties_takes_no_more_than_all_places(feed: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_feed, "PLACES_MAX", 2)
    with feed.listener.place("a.example", "a", above=0) as a, feed.listener.place("b.example", "b", above=0) as b:
        with feed.listener.place("c.example", "c", above=0) as c:
            assert [each.is_set() for each in (a, b, c)] == [True, False, False]
        assert len(feed.listener._all) == 1


async def test_a_key_with_many_places_ends_no_wait_of_another_key(feed: Door) -> None:
    with ExitStack() as waits:
        other, *many = [
            waits.enter_context(feed.listener.place(feed.party, key, above=0))
            for key in ("a" * 4 + "b" * (database_feed.PLACES_MAX_OF_ONE - 3))
        ]
        assert [each.is_set() for each in (other, *many)] == [False] * 4 + [True] + [False] * 4


async def test_a_listener_that_lost_its_connection_listens_again(feed: Door) -> None:
    """Waiting readers read again, because notifications may have been missed."""
    waiting = asyncio.create_task(feed.subjects(wait=LONG_S))
    await feed.listener.until_waiting()
    await feed.database.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    assert await waiting == []
    waiting = asyncio.create_task(feed.subjects(wait=LONG_S))
    await feed.listener.until_waiting()
    assert await feed.note() == await waiting
    assert feed.listener.woken() == [True, True]


async def test_when_the_service_ends_nobody_is_left_waiting(feed: Door) -> None:
    waiting = asyncio.create_task(feed.subjects(wait=LONG_S))
    await feed.listener.until_waiting()
    await feed.end()
    assert await waiting == []
    assert await feed.subjects(wait=LONG_S) == []
    assert feed.listener.woken() == [True, True]


async def test_three_pollers_miss_none_and_take_none_twice(feed: Door, endpoint: DatabaseEndpoint) -> None:
    feed.party = PARTY
    begun = (await feed.read())["last"]
    async with elsewhere(endpoint, pool_size=10) as writing:
        written, pollers = await polled(writing, by_number(feed), count=1_000, seed=1)
    assert len(written) == 1_000
    for poller in pollers:
        mine = poller.taken[begun:]
        assert len(mine) == len(set(mine)) == 1_000
        assert set(mine) == written
        assert poller.restarts > 1
    assert pollers[0].taken == pollers[1].taken == pollers[2].taken


async def test_pollers_of_unlocked_numbers_miss_what_is_late(feed: Door, endpoint: DatabaseEndpoint) -> None:
    """Negative control of the test above: the numbers of a sequence, assigned when the act is done."""
    owner = await asyncpg.connect(endpoint.owner_url)
    await owner.execute("CREATE SEQUENCE unlocked START 1000000; GRANT USAGE ON unlocked TO PUBLIC")
    unlocked = """
    INSERT INTO act (party, number, type, subject, at)
    SELECT a.party, nextval('unlocked'), 'case.accept', a.subject, now()
    FROM unnest($1::text[], $2::uuid[]) AS a (party, subject)
    """

    async def note_at_once(driver: asyncpg.Connection, acts: Sequence[Event]) -> None:
        await driver.execute(unlocked, [each.party for each in acts], [each.subject for each in acts])

    async def look(place: int) -> Sequence[tuple[int, UUID]]:
        statement = "SELECT number, subject FROM act WHERE number > greatest($1, 999999) ORDER BY number LIMIT 200"
        async with feed.database.transaction(RowScope([PARTY], Role.MACHINE, "read")) as session:
            return [(row["number"], row["subject"]) for row in await session.driver.fetch(statement, place)]

    writing = Database(endpoint.service_url, pool_size=10)
    written, pollers = await polled(writing, look, count=1_000, seed=1, note=note_at_once)
    await writing.close()
    await owner.execute("DROP SEQUENCE unlocked")
    await owner.close()
    assert all(written - set(each.taken) for each in pollers)
