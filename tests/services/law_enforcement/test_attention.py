"""Open cases with a child at risk come first, in lists and in the attention list."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from shared.core.acts.act import CaseState, Subject
from shared.core.authority import Role
from shared.core.contracts.answers import CaseAcceptance, Declination
from shared.core.ids import uuid7
from shared.core.vocabulary.answers import CaseDeclineReason
from shared.features.attention.api import AttentionRoutes, AttentionSource
from shared.features.attention.rules import AttentionPage
from shared.features.received.store.listing import items_waiting
from shared.platform.http.identity import Identity
from tests.services.deliveries import AGENCY, HOTLINE, OTHER_AGENCY, offered, withdrawn
from tests.services.doors import ACTOR, serving
from tests.services.law_enforcement.agency import KEK, Agencies

P0 = "p0_child_at_risk"


async def attention(agencies: Agencies, *, party: str = AGENCY, cursor: str | None = None) -> AttentionPage:
    held = serving(agencies.database, "law_enforcement", kek=KEK, directory=agencies.directory)

    look = partial(items_waiting, subject=Subject.CASE)
    door = AttentionRoutes(held, (AttentionSource("case", CaseState.OFFERED, look),))
    who = Identity(party, Role.VIEWER, "law_enforcement", True, ACTOR)
    return await door.page(who, cursor, rank_max=1, limit=2)


async def waiting(agencies: Agencies) -> dict[UUID, str]:
    """Return the attention items with their suggested acts, over all pages."""
    found, cursor = {}, None
    while True:
        page = await attention(agencies, cursor=cursor)
        found |= {UUID(str(row.subject)): row.mend.value for row in page.items}
        cursor = page.next
        if cursor is None:
            return found


async def test_what_has_a_child_at_risk_needs_a_person_until_the_agency_is_done_with_it(agencies: Agencies) -> None:
    first, second, calm, taken_back = (uuid7() for _ in range(4))
    for each, priority in ((first, P0), (second, P0), (calm, "p2_normal"), (taken_back, P0)):
        await agencies.receive(offered(each, priority=priority))
    await agencies.receive(withdrawn(taken_back))
    found = await waiting(agencies)
    mine = [each for each in found if each in (first, second, calm, taken_back)]
    assert mine == [first, second]
    assert found[first] == "accept"
    await agencies.act("accept", CaseAcceptance(), first)
    await agencies.act("decline", Declination(reason=CaseDeclineReason.NO_CAPACITY), second)
    found = await waiting(agencies)
    assert (found[first], second in found) == ("outcome", False)
    assert UUID(int=0) not in found


async def test_an_agency_is_shown_nothing_of_anothers(agencies: Agencies) -> None:
    theirs = await agencies.offer(to=OTHER_AGENCY, priority=P0)
    assert theirs not in await waiting(agencies)
    rows = (await attention(agencies, party=OTHER_AGENCY)).items
    assert [(str(row.subject), row.party, row.reasons) for row in rows] == [(str(theirs), HOTLINE, ("p0_open",))]
