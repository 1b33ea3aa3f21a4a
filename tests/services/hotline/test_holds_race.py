"""A thousand windowed notices and their holds race at the end of the window, with eight workers.

The first transaction to lock the notice decides: it is issued before the hold, or not at all while the hold is active.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import pytest

from shared.features.filing.ports import StaleReferral
from shared.features.holds.ports import Hold
from shared.features.holds.store import PostgresPlanned
from tests.services.doors import until_idle
from tests.services.hotline.origin import Origin, applied
from tests.services.hotline.test_holds import SLOT, WINDOW, agencies_of, place, timers, told
from tests.support.builders import PROVIDER

pytestmark = pytest.mark.usefixtures("planned")

EDGES, WORKERS = 1_000, 8


class Interrupted(PostgresPlanned):
    """A store with an interruption between reading and locking.

    `early`: it reads the holds before the lock, unprotected.
    """

    __slots__ = ("seen",)
    early = False

    @staticmethod
    async def between() -> None:
        """Run the test's interruption."""

    async def due(self, at: datetime, limit: int) -> list[StaleReferral]:
        rows = await self._driver.fetch("SELECT DISTINCT referral_id FROM edge WHERE state = 'planned'")
        object.__setattr__(self, "seen", await super().active([row["referral_id"] for row in rows]))
        await self.between()
        return await super().due(at, limit)

    async def active(self, referral_ids: Collection[UUID]) -> Mapping[UUID, Sequence[Hold]]:
        seen: Mapping[UUID, Sequence[Hold]] = self.seen if self.early else await super().active(referral_ids)
        return seen


@dataclass
class Outcome:
    """The result of a race: notices by number of issues, holds by state, answers by message."""

    notices: Counter[int]
    holds: Counter[str]
    answers: Counter[str]
    #: Notices that were issued although they were held.
    broken: int
    referrals: Sequence[UUID]


async def race(origin: Origin, edges: int) -> Outcome:
    """Submit referrals, let their windows end, and place holds meanwhile."""
    random = Random(41)
    referrals = [each for _ in range(0, edges, 10) for each in await origin.file_all([{}] * 10)]
    agency, *_ = await agencies_of(origin, referrals[0])
    await origin.forget()
    origin.clock.advance((WINDOW + SLOT).total_seconds())
    asked = list(referrals)
    random.shuffle(asked)
    holding = True

    async def ask(some: Sequence[UUID]) -> None:
        for referral_id in some:
            assert await applied(origin, place(origin, referral_id, agency, timedelta(hours=8))) == [None]

    async def issue() -> None:
        waking = timers(origin)
        while holding:
            await waking.look(limit=7)

    issuing = [asyncio.create_task(issue()) for _ in range(WORKERS // 2)]
    parts = [asked[start :: WORKERS // 2] for start in range(WORKERS // 2)]
    await asyncio.gather(*(ask(part) for part in parts))
    holding = False
    await asyncio.gather(*issuing)
    return await outcome(origin, referrals)


async def outcome(origin: Origin, referrals: Sequence[UUID]) -> Outcome:
    minted = await origin.sql(_MINTED, referrals, PROVIDER)
    holds = await origin.sql("SELECT referral_id, state FROM hold WHERE referral_id = ANY($1)", referrals)
    issued = {row["referral_id"]: row["minted"] for row in minted}
    held = {row["referral_id"] for row in holds if row["state"] == "active"}
    names = ("hold_activated", "hold_too_late")
    return Outcome(
        Counter(issued[each] for each in referrals),
        Counter(row["state"] for row in holds),
        Counter({name: len(await told(origin, name)) for name in names}),
        sum(issued[each] for each in held),
        referrals,
    )


_MINTED = """
SELECT referral_id, count(*) FILTER (WHERE state = 'emitted') AS minted FROM edge
WHERE referral_id = ANY($1) AND recipient = $2 GROUP BY referral_id
"""


async def test_each_is_issued_before_its_hold_or_never_while_it_is_in_force(origin: Origin) -> None:
    found = await race(origin, EDGES)
    assert found.broken == 0
    assert found.answers.total() == EDGES, "each that was placed was answered, once"
    assert found.holds == {"active": found.answers["hold_activated"], "too_late": found.answers["hold_too_late"]}
    assert found.notices == {0: found.holds["active"], 1: found.holds["too_late"]}, "none lost, none twice"
    assert min(found.holds.values()) > 0, "both sides were first now and then"
    origin.clock.advance(timedelta(hours=9).total_seconds())
    await until_idle(timers(origin))
    for left in ("hold WHERE state = 'active'", "edge WHERE state = 'planned'"):
        assert await origin.sql(f"SELECT FROM {left} AND referral_id = ANY($1)", found.referrals) == [], left


@pytest.mark.parametrize("early", [False, True], ids=["behind the lock", "before the lock"])
async def test_what_is_looked_at_before_the_lock_is_issued_though_it_is_held(origin: Origin, *, early: bool) -> None:
    """Negative control with the protection off."""
    referral_id = await origin.file()
    agency, *_ = await agencies_of(origin, referral_id)
    origin.clock.advance((WINDOW + SLOT).total_seconds())
    placed = place(origin, referral_id, agency, timedelta(hours=8))

    async def hold() -> None:
        assert await applied(origin, placed) == [None]
        # So that only the read of the holds decides.
        await origin.sql("UPDATE edge SET issue_due_at = hold_window_ends_at WHERE state = 'planned'")

    waking = timers(origin)
    waking.store = type("Store", (Interrupted,), {"early": early, "between": staticmethod(hold)})
    await waking.look()
    assert (await outcome(origin, [referral_id])).broken == early
