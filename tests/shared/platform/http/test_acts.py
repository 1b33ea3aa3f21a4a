"""Acts of one party leave others the connections that they need, whatever the number of its requests."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from shared.core.authority import Role
from shared.core.ids import uuid7
from shared.platform.admission.budgets import BudgetExceeded
from shared.platform.database.transactions import Database, Session
from shared.platform.http.acts import ACTS, Acts, body_hash
from shared.platform.http.edge import read_key
from shared.platform.http.identity import Identity
from tests.support.running import until


class SlowActs:
    """Acts that each hold their transaction until `release` is set."""

    def __init__(self, database: Database) -> None:
        self._acts = Acts(database)
        self.release = asyncio.Event()
        self.begun: Counter[str] = Counter()
        self.actors: list[str] = []

    async def do(self, party: str, actor: str = "machine") -> str:
        """Do one act of a party; return its status, or the code of its refusal."""

        async def act(_session: Session) -> dict[str, object]:
            self.begun[party] += 1
            self.actors.append(actor)
            await self.release.wait()
            return {}

        identity, key = Identity(party, Role.MACHINE, "agency", exercise=True, actor=actor), read_key(str(uuid7()))
        wanted = body_hash("/v1/cases:batch", b"{}")
        try:
            status, _ = await self._acts.done(identity, "act", roles={Role.MACHINE}, key=key, wanted=wanted, act=act)
        except BudgetExceeded as error:
            return error.code
        return str(status)

    async def begin(self, *parties: str) -> list[asyncio.Task[str]]:
        """Start one act of each, and wait until the parties have as many connections as they get."""
        tasks = [asyncio.create_task(self.do(party)) for party in parties]

        async def have_begun() -> bool:
            return all(self.begun[party] >= min(parties.count(party), ACTS.of_party) for party in parties)

        await until(have_begun, seconds_max=30)
        return tasks


@pytest.fixture
def slow(database: Database) -> SlowActs:
    return SlowActs(database)


async def test_a_party_with_eighty_acts_leaves_another_its_connection(slow: SlowActs, database: Database) -> None:
    greedy = await slow.begin(*["greedy"] * 80)
    other = await slow.begin("other", "other")
    assert await database.fetch("SELECT 1 AS one")
    assert slow.begun == {"greedy": ACTS.of_party, "other": 2}
    slow.release.set()
    assert Counter(await asyncio.gather(*greedy, *other)) == {"202": 82}


async def test_beyond_a_hundred_that_wait_a_party_is_told_to_come_back(slow: SlowActs) -> None:
    tasks = await slow.begin(*["greedy"] * (ACTS.of_party + ACTS.waiting + 3))
    slow.release.set()
    assert Counter(await asyncio.gather(*tasks)) == {"202": ACTS.of_party + ACTS.waiting, "budget_exceeded": 3}


async def test_an_officer_of_the_party_has_the_next_turn(slow: SlowActs) -> None:
    tasks = await slow.begin(*["greedy"] * (ACTS.of_party + ACTS.waiting))
    officer = asyncio.create_task(slow.do("greedy", "officer"))
    await asyncio.sleep(0)
    slow.release.set()
    assert {*await asyncio.gather(*tasks, officer)} == {"202"}
    # Its turn is the next one; acts of the other place may pass while its transaction begins. The last place is 102.
    assert slow.actors.index("officer") <= ACTS.of_party + ACTS.of_instance
    assert slow.begun.total() == ACTS.of_party + ACTS.waiting + 1
