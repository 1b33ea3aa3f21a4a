"""Open cases with a child at risk come first, in lists and in the attention list."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from shared.core.acts.act import CaseState, Subject
from shared.core.contracts.answers import CaseAcceptance, Declination
from shared.core.ids import uuid7
from shared.core.vocabulary.answers import CaseDeclineReason
from shared.features.attention.api import AttentionRoutes, AttentionSource
from shared.features.received.store.listing import items_waiting
from tests.services.deliveries import AGENCY, HOTLINE, OTHER_AGENCY, offered, withdrawn
from tests.services.doors import attention_list, serving
from tests.services.law_enforcement.agency import KEK, Agencies

P0 = "p0_child_at_risk"


async def attention(agencies: Agencies, party: str = AGENCY) -> list[dict[str, Any]]:
    """Return the whole list of a party, in pages of two."""
    held = serving(agencies.database, "law_enforcement", kek=KEK, directory=agencies.directory)
    source = AttentionSource("case", CaseState.OFFERED, partial(items_waiting, subject=Subject.CASE))
    return await attention_list(AttentionRoutes(held, (source,)), party, "law_enforcement", limit=2)


async def waiting(agencies: Agencies) -> dict[UUID, str]:
    """Return the attention items with their suggested acts."""
    return {UUID(row["subject"]): row["mend"] for row in await attention(agencies)}


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
    rows = await attention(agencies, OTHER_AGENCY)
    assert [(row["subject"], row["party"], row["reasons"]) for row in rows] == [(str(theirs), HOTLINE, ["p0_open"])]
