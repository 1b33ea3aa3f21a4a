"""Guards below and before the use cases of agencies: states in the database, sealed fields, roles."""

from __future__ import annotations

import asyncpg
import pytest

from shared.contracts.answers import CaseAcceptance, CaseAcceptedClear, CaseRecord, OutcomeReport
from shared.kernel.authority import Role
from shared.kernel.errors import Defect, Refused
from shared.kernel.ids import uuid7
from shared.party.recipient.domain import ItemAct
from shared.party.recipient.store.items import PostgresItems
from shared.runtime.database.transactions import RowScope
from shared.vocabulary.answers import CaseOutcome, YesNoUnknown
from tests.services.deliveries import AGENCY, AT, numbered
from tests.services.law_enforcement.agency import Agencies

REFERENCE = "2026/000417"


async def test_no_act_leads_to_a_state_that_nobody_has_a_word_for(agencies: Agencies) -> None:
    """PostgreSQL alone guards this: a holder of the service's role cannot make a row that no list could show."""
    referral_id = await agencies.offer()
    statement = "UPDATE received SET state = $2 WHERE subject = $1"
    async with agencies.database.transaction(RowScope([AGENCY], Role.ANALYST, "decline")) as session:
        await session.driver.execute("SAVEPOINT before")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.driver.execute(statement, referral_id, "garbage")
        await session.driver.execute("ROLLBACK TO SAVEPOINT before")
        await session.driver.execute(statement, referral_id, "declined")  # control: a state that exists
    assert (await agencies.show(referral_id))["state"] == "declined"


async def test_what_is_sealed_never_lies_among_the_words(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    await agencies.act("accept", CaseAcceptance(case_reference=REFERENCE), referral_id)
    async with agencies.database.transaction(RowScope([AGENCY], Role.ANALYST, "read")) as session:
        said = await session.driver.fetchval("SELECT said FROM received WHERE subject = $1", referral_id)
    assert said == {"accepted_at": "2026-05-04T12:00:00.000Z"}
    async with agencies.cases("outcome") as cases:
        item = (await cases.find([referral_id]))[referral_id, AGENCY]
        clear, sealed = (
            CaseAcceptedClear(referral_id=referral_id, revision=1, **numbered()),
            CaseRecord(case_reference=REFERENCE),
        )
        with pytest.raises(Defect, match="sealed_words_without_place"):
            await PostgresItems.act_many(cases, [ItemAct(item, "ongoing", clear, sealed)], AT)


async def test_a_viewer_is_forbidden_before_his_words_are_looked_at(agencies: Agencies) -> None:
    unknown = YesNoUnknown.UNKNOWN
    # Closed without a reason. A permitted agency would get an error about the reason.
    said = OutcomeReport(outcome=CaseOutcome.CLOSED, child_identified=unknown, child_safeguarded=unknown)
    with pytest.raises(Refused, match="forbidden"):
        await agencies.act("outcome", said, uuid7(), role=Role.VIEWER)
