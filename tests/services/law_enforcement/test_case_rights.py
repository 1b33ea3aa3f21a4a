"""Who may see a case and act on it: its own agency, in the roles that may, and nobody else."""

from __future__ import annotations

import pytest

from services.law_enforcement.domain import AGENCY as AGENCY_KIND
from shared.contracts.answers import (
    Acceptance,
)
from shared.kernel.authority import Role
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid7
from shared.party.recipient.domain import Page
from shared.party.recipient.use_cases import Acting, list_items, show_item
from tests.services.deliveries import (
    AGENCY,
    AT,
    OTHER_AGENCY,
    offered,
)
from tests.services.doors import ACTOR
from tests.services.law_enforcement.agency import Agencies

ACCEPT = Acceptance()


async def test_a_foreign_case_is_answered_exactly_like_an_absent_one(agencies: Agencies) -> None:
    referral_id = uuid7()
    await agencies.receive(offered(referral_id))
    answers = []
    for asked in (referral_id, uuid7()):
        with pytest.raises(Refused) as shown:
            await agencies.show(asked, party=OTHER_AGENCY)
        with pytest.raises(Refused) as acted:
            await agencies.act("accept", ACCEPT, asked, party=OTHER_AGENCY)
        answers += [(error.value.code, error.value.detail, error.value.status) for error in (shown, acted)]
    assert len(set(answers)) == 1
    assert answers[0][0] == "not_found"


async def test_a_case_is_not_foreign_to_its_own_agency(agencies: Agencies) -> None:
    """Negative control of the test above: the same look and act, by the party that was offered the referral."""
    referral_id = uuid7()
    await agencies.receive(offered(referral_id, to=OTHER_AGENCY))
    assert (await agencies.show(referral_id, party=OTHER_AGENCY))["state"] == "offered"
    assert await agencies.act("accept", ACCEPT, referral_id, party=OTHER_AGENCY) == "accepted"


async def test_one_referral_offered_to_two_agencies_is_a_case_of_each(agencies: Agencies) -> None:
    referral_id = uuid7()
    await agencies.receive(offered(referral_id), offered(referral_id, to=OTHER_AGENCY))
    await agencies.act("accept", ACCEPT, referral_id, party=OTHER_AGENCY)
    states = [(await agencies.show(referral_id, party=party))["state"] for party in (AGENCY, OTHER_AGENCY)]
    assert states == ["offered", "accepted"]


@pytest.mark.parametrize("exists", [True, False])
async def test_a_viewer_is_forbidden_to_act_whether_there_is_a_case_or_not(agencies: Agencies, exists: bool) -> None:
    referral_id = uuid7()
    if exists:
        await agencies.receive(offered(referral_id))
    with pytest.raises(Refused, match="forbidden"):
        await agencies.act("accept", ACCEPT, referral_id, role=Role.VIEWER)


async def test_an_auditors_role_reads_no_cases(agencies: Agencies) -> None:
    async with agencies.cases("read", role=Role.AUDITOR) as cases:
        acting = Acting(AGENCY, Role.AUDITOR, ACTOR, cases, agencies.directory, AT)
        with pytest.raises(Refused, match="forbidden"):
            await show_item(AGENCY_KIND, uuid7(), acting)
        with pytest.raises(Refused, match="forbidden"):
            await list_items(AGENCY_KIND, Page(), acting)
