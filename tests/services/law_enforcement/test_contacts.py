"""A contact suggestion at an agency is stored, shown, and listed for attention until the agency acts."""

from __future__ import annotations

from uuid import UUID

import pytest

from shared.core.authority import Role
from shared.core.contracts.answers import CaseAcceptance, OutcomeReport
from shared.core.ids import uuid7
from shared.core.protocol.message import Received
from shared.core.vocabulary.agencies import ContactGround
from shared.core.vocabulary.answers import CaseOutcome, CloseReason, YesNoUnknown
from shared.features.attention.rules import AttentionRow, ListPlace
from shared.features.contacts.contract import CONTACT_SUGGESTED, Contact, ContactSuggestedClear
from shared.features.contacts.store import contacts_waiting
from shared.platform.database.transactions import RowScope
from tests.services.deliveries import AGENCY, HOTLINE, OTHER_AGENCY, OTHER_HOTLINE, received, withdrawn
from tests.services.doors import BEGINNING
from tests.services.law_enforcement.agency import Agencies

THEIRS = uuid7()
CHILDREN = {"child_identified": YesNoUnknown.UNKNOWN, "child_safeguarded": YesNoUnknown.UNKNOWN}


def suggested(referral_id: UUID, other: str | None = OTHER_AGENCY, *, sender: str = HOTLINE) -> Received:
    clear = ContactSuggestedClear(referral_id=referral_id, revision=1)
    contact = other and Contact(agency=other, ground=ContactGround.SAME_LOCATION, their_referral_id=THEIRS)
    named = {"subject": referral_id, "sender": sender, "recipient": AGENCY}
    return received(CONTACT_SUGGESTED, clear, sealed=contact, **named)


async def case(agencies: Agencies) -> UUID:
    """Receive and accept a case."""
    referral_id = await agencies.offer()
    assert await agencies.act("accept", CaseAcceptance(case_reference=None), referral_id) == "accepted"
    return referral_id


async def waiting(agencies: Agencies, above: ListPlace = BEGINNING, limit: int = 200) -> list[AttentionRow]:
    async with agencies.database.transaction(RowScope([AGENCY], Role.ANALYST, "read")) as session:
        return await contacts_waiting(session.driver, AGENCY, above, rank_max=1, limit=limit)


async def attention(agencies: Agencies, referral_id: UUID) -> list[tuple[tuple[str, ...], str, str | None]]:
    rows = [waits.row for waits in await waiting(agencies) if waits.row.subject == referral_id]
    return [(row.reasons, row.mend.value, row.party) for row in rows]


async def test_it_is_kept_and_shown_and_the_case_stays_where_it_is(agencies: Agencies) -> None:
    referral_id = await case(agencies)
    assert (await agencies.show(referral_id))["contacts"] == []
    assert await agencies.receive(suggested(referral_id)) == [None]
    shown = await agencies.show(referral_id)
    (contact,) = shown["contacts"]
    assert shown["state"] == "accepted"
    assert {name: contact[name] for name in ("agency", "ground", "their_referral_id")} == {
        "agency": OTHER_AGENCY,
        "ground": "same_location",
        "their_referral_id": str(THEIRS),
    }
    assert await agencies.receive(suggested(referral_id)) == [None]
    assert (await agencies.show(referral_id))["contacts"] == [contact], "told again, it is the same"


async def test_what_it_knows_is_told_once_more_without_effect(agencies: Agencies) -> None:
    referral_id = await case(agencies)
    await agencies.receive(suggested(referral_id))
    await agencies.act("no_objection", None, referral_id)
    before = await events(agencies)
    assert await agencies.receive(suggested(referral_id)) == [None]
    assert (await attention(agencies, referral_id), await events(agencies) - before) == ([], 0)
    forged = await agencies.receive(suggested(referral_id, sender=OTHER_HOTLINE))
    assert forged != [None], "another's word is no repetition"


async def events(agencies: Agencies) -> int:
    """Return how many contact suggestions the agency has received."""
    async with agencies.database.transaction() as session:
        found = await session.driver.fetch("SELECT type FROM act")
        return [row["type"] for row in found].count("case.contact_suggested")


async def test_a_case_that_is_over_needs_nobody_for_it(agencies: Agencies) -> None:
    """No later act could take it off the list."""
    referral_id = await case(agencies)
    over = OutcomeReport(outcome=CaseOutcome.CLOSED, close_reason=CloseReason.NO_CRIME, **CHILDREN)
    assert await agencies.act("outcome", over, referral_id) == "closed"
    assert await agencies.receive(suggested(referral_id)) == [None]
    assert await attention(agencies, referral_id) == []
    assert len((await agencies.show(referral_id))["contacts"]) == 1


async def test_what_needs_a_person_is_walked_in_pages(agencies: Agencies) -> None:
    told = [await case(agencies) for _ in range(3)]
    await agencies.receive(*map(suggested, told))
    found, above = list[UUID](), BEGINNING
    while rows := await waiting(agencies, above, limit=1):
        (waits,) = rows
        found, above = [*found, waits.row.subject], waits.place
    assert sorted(each for each in found if each in told) == sorted(told)


async def test_it_may_cross_a_withdrawal(agencies: Agencies) -> None:
    referral_id = await case(agencies)
    await agencies.receive(withdrawn(referral_id))
    assert await agencies.receive(suggested(referral_id)) == [None]
    assert (await agencies.show(referral_id))["state"] == "withdrawn"


async def test_who_has_not_opted_in_is_told_of_nobody(agencies: Agencies, monkeypatch: pytest.MonkeyPatch) -> None:
    for agreed in ({AGENCY}, {OTHER_AGENCY}, set[str]()):
        referral_id = await case(agencies)
        monkeypatch.setattr(agencies.directory, "contactable", frozenset(agreed))
        assert await agencies.receive(suggested(referral_id)) == ["contact_not_agreed"]
        assert (await agencies.show(referral_id))["contacts"] == []


@pytest.mark.parametrize("other", [None, AGENCY])
async def test_what_names_no_other_agency_is_refused(agencies: Agencies, other: str | None) -> None:
    referral_id = await case(agencies)
    assert await agencies.receive(suggested(referral_id, other)) == ["contact_names_nobody"]


async def test_only_the_origin_of_the_case_suggests_it(agencies: Agencies) -> None:
    referral_id = await case(agencies)
    assert await agencies.receive(suggested(referral_id, sender=OTHER_HOTLINE)) != [None]
    assert await agencies.receive(suggested(uuid7())) != [None]
    assert (await agencies.show(referral_id))["contacts"] == []
