"""Every reported outcome stays with the agency's case; a later report removes none."""

from __future__ import annotations

from shared.core.contracts.answers import CaseAcceptance, OutcomeReport
from shared.core.ids import uuid7
from shared.core.vocabulary.answers import CaseOutcome, CloseReason, YesNoUnknown
from tests.services.deliveries import AGENCY, OTHER_AGENCY, offered, withdrawn
from tests.services.law_enforcement.agency import Agencies
from tests.services.law_enforcement.test_cases import KEPT, REFERENCE

ARREST = OutcomeReport(
    outcome=CaseOutcome.ARREST, child_identified=YesNoUnknown.YES, child_safeguarded=YesNoUnknown.YES
)
CLOSED = OutcomeReport(
    outcome=CaseOutcome.CLOSED,
    close_reason=CloseReason.OTHER,
    child_identified=YesNoUnknown.UNKNOWN,
    child_safeguarded=YesNoUnknown.UNKNOWN,
)


async def test_a_case_keeps_that_a_child_was_identified_and_shows_every_outcome(
    agencies: Agencies,
) -> None:
    referral_id = await agencies.offer()
    await agencies.act("accept", CaseAcceptance(case_reference=REFERENCE), referral_id)
    await agencies.act("outcome", ARREST, referral_id)
    await agencies.act("outcome", CLOSED, referral_id)
    await agencies.receive(withdrawn(referral_id))
    await agencies.act("acknowledge_withdrawal", KEPT, referral_id)
    shown = await agencies.show(referral_id)
    assert (shown["outcome"], shown["child_identified"], shown["child_safeguarded"]) == ("closed", "yes", "yes")
    told = [(a["number"], a["state"], a.get("outcome"), a.get("child_identified")) for a in shown["timeline"]]
    assert told == [
        (1, "accepted", None, None),
        (2, "ongoing", "arrest", "yes"),
        (3, "closed", "closed", "unknown"),
        (4, "withdrawal_acknowledged", None, None),
    ]
    assert all("case_reference" not in each for each in shown["timeline"])


async def test_an_agency_sees_no_act_of_another_on_the_same_referral(agencies: Agencies) -> None:
    referral_id = uuid7()
    await agencies.receive(offered(referral_id), offered(referral_id, to=OTHER_AGENCY))
    await agencies.act("accept", CaseAcceptance(case_reference=REFERENCE), referral_id, party=AGENCY)
    own, other = [await agencies.show(referral_id, party=party) for party in (AGENCY, OTHER_AGENCY)]
    assert (own["state"], len(own["timeline"])) == ("accepted", 1)
    assert (other["state"], other["timeline"]) == ("offered", [])
