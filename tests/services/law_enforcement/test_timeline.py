"""`GET /v1/inbox/ID/timeline`: the acts on one case with their content, only for its own party."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from services.law_enforcement.store import case_words
from shared.contracts.answers import CaseAcceptance
from shared.kernel.authority import Role
from shared.kernel.ids import uuid7
from shared.party.events import timelines_router
from tests.contracts.described import Described
from tests.services.deliveries import AGENCY, OTHER_AGENCY, offered
from tests.services.doors import asking, door, serving
from tests.services.law_enforcement.agency import KEK, Agencies
from tests.services.law_enforcement.test_cases import REFERENCE
from tests.services.law_enforcement.test_outcomes import ARREST, CLOSED

DESCRIBED = Described("law_enforcement")
KNOWN = {"child_identified": "yes", "child_safeguarded": "yes"}
UNKNOWN = {"child_identified": "unknown", "child_safeguarded": "unknown"}


async def got(
    agencies: Agencies, subject: UUID, *, party: str = AGENCY, role: Role = Role.VIEWER, status: int = 200, **query: int
) -> Any:
    held = serving(agencies.database, "law_enforcement", kek=KEK, directory=agencies.directory)
    async with door(timelines_router(held, {"inbox": case_words})) as http:
        answer = await http.get(f"/v1/inbox/{subject}/timeline", params=query, headers=asking(party, role=role))
    assert (answer.status_code, DESCRIBED.differences(answer)) == (status, [])
    return answer.json()


async def closed_case(agencies: Agencies) -> UUID:
    """Receive a case and close it: a child was identified, and the outcome stays unknown."""
    subject = await agencies.offer()
    await agencies.act("accept", CaseAcceptance(case_reference=REFERENCE), subject)
    await agencies.act("outcome", ARREST, subject)
    await agencies.act("outcome", CLOSED, subject)
    return subject


async def test_each_act_stands_in_it_as_it_was_said_and_in_its_order(agencies: Agencies) -> None:
    subject = await closed_case(agencies)
    found = await got(agencies, subject)
    assert [(each["type"], each["state"], each.get("said")) for each in found["items"]] == [
        ("case.offer", "offered", None),
        ("case.accept", "accepted", {}),
        ("case.outcome", "ongoing", {"outcome": "arrest"} | KNOWN),
        ("case.outcome", "closed", {"outcome": "closed", "close_reason": "other"} | UNKNOWN),
    ]
    assert (found["subject"], found["next"]) == (str(subject), None)
    assert REFERENCE not in str(found)


async def test_it_is_read_page_by_page(agencies: Agencies) -> None:
    subject = await closed_case(agencies)
    whole, after, found = (await got(agencies, subject))["items"], 0, []
    while after is not None:
        page = await got(agencies, subject, after=after, limit=1)
        found, after = found + page["items"], page["next"]
    assert [each["number"] for each in found] == [each["number"] for each in whole]


async def test_another_agency_a_subject_that_is_not_there_and_a_role_that_only_applies_are_refused(
    agencies: Agencies,
) -> None:
    subject = await closed_case(agencies)
    await got(agencies, subject, party=OTHER_AGENCY, status=404)
    await got(agencies, uuid7(), status=404)
    await got(agencies, subject, role=Role.SERVICE, status=403)
    await agencies.receive(offered(subject, to=OTHER_AGENCY))
    (only,) = (await got(agencies, subject, party=OTHER_AGENCY))["items"]
    assert only["type"] == "case.offer"
