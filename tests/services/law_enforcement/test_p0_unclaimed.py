"""An unclaimed case with a child at risk: alarms repeat until an officer claims it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import pytest

from shared.core.authority import Role
from shared.core.contracts.answers import CaseAcceptance, Declination
from shared.core.contracts.base import Contract
from shared.core.contracts.holds import Assignment, CaseClaim
from shared.core.routing.clocks import Law
from shared.core.vocabulary.answers import CaseDeclineReason
from shared.features.cases.store.leases import cases_waiting
from shared.platform.database.transactions import RowScope
from tests.services.deliveries import AGENCY, AT, OTHER_AGENCY
from tests.services.doors import timers_of, until_idle, waiting
from tests.services.law_enforcement.agency import Agencies
from tests.shared.core.routing.test_clocks import SAMPLE_LAW
from tests.support.manual_clock import ManualClock

P0, HOUR = "p0_child_at_risk", timedelta(hours=1)
EVERYBODY = RowScope((AGENCY, OTHER_AGENCY), Role.SERVICE, "apply")
_TOLD = """
SELECT count(*) FROM (
    SELECT subject, type FROM act
) AS told WHERE subject = $1 AND type = 'p0.unclaimed'
"""


async def case(agencies: Agencies, priority: str = P0) -> UUID:
    return await agencies.offer(priority=priority)


async def woken(agencies: Agencies, referral_id: UUID, at: datetime) -> int:
    """Return the number of alarms until then, with the timers run every half hour."""
    clock = ManualClock(AT)
    law = Law(agencies.directory, SAMPLE_LAW)
    timers = timers_of(agencies.database, lambda _: law, clock, EVERYBODY)
    while clock.now() < at:
        clock.advance(1800)
        await until_idle(timers)
    async with agencies.database.transaction(RowScope([AGENCY], Role.VIEWER, "read")) as session:
        told: int = await session.driver.fetchval(_TOLD, referral_id)
    return told


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("claim", CaseClaim()),
        ("accept", CaseAcceptance()),
        ("decline", Declination(reason=CaseDeclineReason.NO_CAPACITY)),
    ],
)
async def test_an_alarm_repeats_until_an_officer_has_it(agencies: Agencies, name: str, said: Contract) -> None:
    referral_id = await case(agencies)
    first = await woken(agencies, referral_id, AT + 1 * HOUR)
    again = await woken(agencies, referral_id, AT + 3 * HOUR)
    risen = await woken(agencies, referral_id, AT + 5 * HOUR)
    assert (first, again, risen) == (1, 3, 6), "each hour, and once more on the ladder"
    await agencies.act(name, said, referral_id, at=AT + 5 * HOUR)
    assert await woken(agencies, referral_id, AT + 12 * HOUR) == risen


async def test_no_other_case_wakes_anybody(agencies: Agencies) -> None:
    referral_id = await case(agencies, "p1_urgent")
    assert await woken(agencies, referral_id, AT + 5 * HOUR) == 0


async def test_it_says_so_on_the_list_whenever_nobody_has_it(agencies: Agencies) -> None:
    referral_id = await case(agencies)

    async def reasons(at: datetime) -> tuple[tuple[str, ...], str]:
        (found,) = await waiting(agencies.database, partial(cases_waiting, now=lambda: at), AGENCY, referral_id)
        return found.reasons, found.mend.value

    nobodys = ("p0_unclaimed", "p0_open"), "claim"
    assert await reasons(AT) == nobodys
    await agencies.act("claim", CaseClaim(hours=2), referral_id)
    assert await reasons(AT + HOUR) == (("p0_open",), "accept")
    assert await reasons(AT + 2 * HOUR) == nobodys, "the lease has lapsed"
    await agencies.act("hand_over", Assignment(), referral_id, at=AT + HOUR)
    assert await reasons(AT + HOUR) == nobodys
    await agencies.act("accept", CaseAcceptance(), referral_id, at=AT + HOUR)
    assert await reasons(AT + 9 * HOUR) == (("p0_open",), "outcome")
