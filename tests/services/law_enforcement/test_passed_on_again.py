"""A referred case is amended only by messages of the agency that referred it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from shared.core.errors import Refused
from shared.core.protocol.accept import accept
from shared.core.protocol.case_referral import bound
from shared.core.protocol.message import Draft, Received
from shared.core.vocabulary.agencies import CaseReferReason
from shared.features.cases.rules import AGENCY
from shared.features.cases.service import pass_on_amended
from shared.features.received.rules import HeldItem, applied
from tests.support.builders import HOTLINE
from tests.support.case_referral_fixtures import INSTANCE, genuine, offered_to
from tests.support.exchange_world import World, world

FIRST, OTHER = "police-be.example", "police-de.example"


@pytest.fixture(scope="module")
def here() -> World:
    return world()


def revised(message: Received, revision: int) -> Received:
    return replace(message, clear=message.clear.model_copy(update={"revision": revision}))


def passed(here: World) -> Received:
    """Return the message that the other agency receives."""
    return accept(here.records([genuine(here, FIRST, OTHER)], INSTANCE)[0], here.reader(INSTANCE))


def test_who_passed_it_on_amends_it_and_its_sender_stays_its_origin(here: World) -> None:
    message = passed(here)
    case = applied(AGENCY, None, message)
    assert (case.sender, case.passed_by, case.revision) == (HOTLINE, FIRST, 1)
    again = applied(AGENCY, case, revised(message, 2))
    assert (again.sender, again.passed_by, again.revision, again.state) == (HOTLINE, FIRST, 2, case.state)


def test_nobody_else_passes_on_more_of_it(here: World) -> None:
    message = passed(here)
    case = applied(AGENCY, None, message)
    by_another = replace(revised(message, 2), sender="police-fr.example")
    with pytest.raises(Refused, match="case_exists"):
        applied(AGENCY, case, by_another)


def test_what_its_origin_has_sent_itself_no_agency_amends(here: World) -> None:
    message = passed(here)
    direct = replace(applied(AGENCY, None, message), passed_by=None)
    with pytest.raises(Refused, match="case_exists"):
        applied(AGENCY, direct, revised(message, 2))


def test_an_offer_of_its_origin_amends_nothing_that_came_from_an_agency(here: World) -> None:
    """The origin has another edge for that agency. The case came from an agency."""
    case = applied(AGENCY, None, passed(here))
    offered = replace(revised(offered_to(here, FIRST), 2), recipient=OTHER)
    with pytest.raises(Refused, match="case_exists"):
        applied(AGENCY, case, offered)


class Cases:
    """A store with one case of the first agency. It records the sent messages, and their notes in the database."""

    def __init__(self, case: HeldItem) -> None:
        self.case = case
        self.sent: list[Draft] = []
        self.noted: list[tuple[UUID, UUID]] = []

    async def find(self, subjects: Any) -> dict[tuple[UUID, str], HeldItem]:
        return {(self.case.subject_id, self.case.party): self.case}

    async def send(self, drafts: Any) -> None:
        self.sent += drafts

    @property
    def driver(self) -> Cases:
        return self

    async def execute(self, _: str, message_id: UUID, *named: Any) -> None:
        self.noted.append((message_id, named[-1]))


async def told_of(here: World, to: str, **changes: Any) -> list[str]:
    """Return the recipients of an amendment of a case that the first agency referred to `to`."""
    amended = revised(offered_to(here, FIRST), 2)
    own = bound(amended)
    assert own is not None
    edges = {"from_edge_id": own.edge_id, "edge_id": own.edge_id}
    said = {"agency": to, "reason": CaseReferReason.SUSPECT_ELSEWHERE} | edges | changes
    begun = applied(AGENCY, None, amended)
    cases: Any = Cases(replace(begun, state=changes.get("state", "referred"), revision=2, said=said))
    await pass_on_amended([amended], cases, lambda: here.documents)
    assert cases.noted == [(draft.message_id, said["edge_id"]) for draft in cases.sent]
    return [draft.recipient for draft in cases.sent]


async def test_an_amendment_of_what_was_passed_on_is_passed_on(here: World) -> None:
    assert await told_of(here, OTHER) == [OTHER]


async def test_it_stays_where_the_case_was_not_passed_on_or_the_law_forbids_it(here: World) -> None:
    assert await told_of(here, OTHER, state="accepted") == []
    assert await told_of(here, "hotline-be.example") == []
    assert await told_of(here, OTHER, from_edge_id=UUID(int=1)) == []


async def test_it_stays_where_its_agency_cannot_know_to_whom_it_was_passed_on(here: World) -> None:
    """The agency has moved or was restored. It learns from the origin only that the case was referred."""
    amended = revised(offered_to(here, FIRST), 2)
    cases: Any = Cases(replace(applied(AGENCY, None, amended), state="referred", revision=2, said={}))
    await pass_on_amended([amended], cases, lambda: here.documents)
    assert cases.sent == []


async def test_what_was_taken_nowhere_is_passed_on_nowhere(here: World) -> None:
    """The amendment arrived after its agency had moved. It is answered `moved`, and nothing is stored."""
    amended = replace(revised(offered_to(here, FIRST), 2), moved=True)
    nothing: Any = Cases(replace(applied(AGENCY, None, amended), subject_id=UUID(int=1)))
    await pass_on_amended([amended], nothing, lambda: here.documents)
    assert nothing.sent == []
