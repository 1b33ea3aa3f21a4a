"""Removals and requests take turns at a place. Removals do not wait for each other, and there is no deadlock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from uuid import UUID

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from services.industry.store import PostgresNotices
from services.industry.use_cases import act_on_notice
from shared.exchange.act import Subject
from shared.exchange.states import row
from shared.kernel.authority import Role
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid7
from shared.party.bulk.store import BatchedAct
from shared.party.bulk.use_cases import act_on_many
from shared.party.preservation.store.preservations import ProviderPreservations
from shared.party.recipient.use_cases import ItemActor
from shared.runtime.database.catalogue import find_differences, read_catalogue
from shared.runtime.database.transactions import RowScope, Session
from tests.services.deliveries import AT, LOCATION, PROVIDER, issued
from tests.services.doors import ACTOR
from tests.services.industry.provider import KEK, Providers
from tests.services.industry.test_preservation_before_removal import PRESERVED, asked, removing

_ANSWER = row(Subject.NOTICE, "answer")
_PLACES = 6
_READING = RowScope([PROVIDER], Role.ANALYST, "read")


class OneBatch:
    """The transaction of a batch of acts, bound to one act after the other like the HTTP routes."""

    def __init__(self, providers: Providers, session: Session) -> None:
        self._providers = providers
        self._session = session

    async def acting(self, action: str) -> ItemActor:
        await self._session.bind(RowScope([PROVIDER], Role.ANALYST, action))
        notices = PostgresNotices(self._session.driver, KEK)
        return ItemActor(PROVIDER, Role.ANALYST, ACTOR, notices, self._providers.directory, AT)

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[None]:
        async with self._session.savepoint(Refused):
            yield


async def at_places(providers: Providers, places: Sequence[str]) -> list[UUID]:
    """Receive one notice for each of the places."""
    notices = [uuid7() for _ in places]
    messages = [issued(each, location=place) for each, place in zip(notices, places, strict=True)]
    assert await providers.receive(*messages) == [None] * len(places)
    return notices


async def remove(providers: Providers, notices: Sequence[UUID], *, beside: UUID | None = None) -> set[str]:
    """Remove the items of these notices in one batch; return the outcomes.

    `beside`: the first also answers this request.
    """
    said = [removing((beside, PRESERVED)) if beside is not None and n == 0 else removing() for n in range(len(notices))]
    lines = [BatchedAct(n, _ANSWER, each, said[n]) for n, each in enumerate(notices)]
    async with providers.database.transaction(_READING) as session:
        outcomes = await act_on_many(lines, act_on_notice, OneBatch(providers, session))
    return {each.code if isinstance(each, Refused) else each for each in outcomes.values()}


@pytest.mark.timing
async def test_whoever_removes_waits_for_nobody_who_removes_at_the_same_place(providers: Providers) -> None:
    place = f"{LOCATION}/{uuid7()}"
    mine, other = await at_places(providers, [place, place])
    async with providers.database.transaction(RowScope([PROVIDER], Role.ANALYST, "answer")) as session:
        assert await ProviderPreservations(session.driver, KEK).unanswered(mine, PROVIDER, [1]) == []
        async with asyncio.timeout(20):
            assert await remove(providers, [other]) == {"actioned"}


async def rounds(providers: Providers, seeds: range) -> set[str]:
    """Run two batches of removals and two of requests in random orders.

    One batch answers a request, too. Return failures.
    """
    failed = set[str]()
    for seed in seeds:
        random = Random(seed)
        places = [f"{LOCATION}/{uuid7()}" for _ in range(_PLACES)]
        mine, others = await at_places(providers, places), await at_places(providers, places)
        beside = uuid7()
        assert await providers.receive(asked(beside, location=f"{LOCATION}/{uuid7()}")) == [None]
        requests = [[asked(uuid7(), location=each) for each in random.sample(places, 4)] for _ in range(2)]
        became = await asyncio.gather(
            remove(providers, random.sample(mine, _PLACES)),
            remove(providers, random.sample(others, _PLACES), beside=beside),
            *(providers.receive(*each) for each in requests),
            return_exceptions=True,
        )
        failed |= {str(each) for each in became if isinstance(each, BaseException)}
        assert all(each <= {"actioned", "preservation_unanswered"} for each in became if isinstance(each, set))
    return failed


async def test_removals_and_requests_at_the_same_places_never_wait_in_a_circle(providers: Providers) -> None:
    assert await rounds(providers, range(12)) == set()


async def test_where_each_line_takes_its_own_turn_some_wait_in_a_circle(
    providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: no batch of removals takes its turns at its start."""

    async def nothing(*_: object) -> None: ...

    monkeypatch.setattr(PostgresNotices, "before_removing", nothing)
    for seed in range(50):
        if await rounds(providers, range(seed, seed + 1)) == {"database_unavailable"}:
            return
    pytest.fail("no round waited in a circle")


async def test_a_place_that_is_missing_among_turns_is_named(endpoint: DatabaseEndpoint, providers: Providers) -> None:
    """Selecting a missing row locks nothing, so the loss would go unnoticed."""
    owner = await asyncpg.connect(endpoint.owner_url)
    try:
        await owner.execute("BEGIN")
        before = await read_catalogue(owner)
        await owner.execute("DELETE FROM location_turn WHERE slot = 17")
        (differing,) = find_differences(before, await read_catalogue(owner))
        assert differing.startswith("rows of location_turn is ")
    finally:
        await owner.close()
