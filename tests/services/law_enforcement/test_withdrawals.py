"""An agency keeps an accepted case after its withdrawal until a day. Other cases are erased, for every purpose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from services.law_enforcement.app import ERASES
from shared.core.authority import Role
from shared.core.contracts.answers import CaseAcceptance, WithdrawalAnswer
from shared.core.contracts.items import AnswerTrack
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.features.cases.rules import AGENCY as KIND
from shared.features.received.store.arriving import ERASED_RECEIVED
from shared.features.withdrawals.service import Withdrawals
from shared.platform.database.journal import ErasedRecord, Erasures, Journal
from shared.platform.database.transactions import RowScope
from tests.services.deliveries import AGENCY, AT, ERASED, offered, withdrawn
from tests.services.doors import until_idle
from tests.services.law_enforcement.agency import Agencies
from tests.support.manual_clock import ManualClock

APPLYING = RowScope((AGENCY,), Role.SERVICE, "apply")
HELD_BY_LAW = WithdrawalAnswer.model_validate(
    {"fate": "kept", "kept": {"retention": "minimal", "basis": "legal_hold", "until": "2030-01-01"}}
)


async def test_an_accepted_case_is_kept_by_the_service_and_erased_when_its_day_is_over(agencies: Agencies) -> None:
    clock, taken_up, untouched = ManualClock(AT), uuid7(), uuid7()
    rule = agencies.automation(KIND, "law_enforcement", clock=clock)
    withdrawals = Withdrawals(rule, answer_h=0)
    for each in (taken_up, untouched):
        await agencies.receive(offered(each), offered(each, purpose="victim_identification"))
    await agencies.act("accept", CaseAcceptance(case_reference="CASE-17"), taken_up)
    await agencies.receive(withdrawn(taken_up), withdrawn(untouched))
    await until_idle(withdrawals)
    kept, gone = await agencies.show(taken_up), await agencies.show(untouched)
    assert kept["kept"] == {"retention": "minimal", "basis": "accepted_case", "until": "2026-08-02"}
    assert None not in (kept["record"], kept["further"][0]["record"])
    assert (gone["fate"], gone["record"], gone["further"][0]["record"]) == ("erased", None, None)
    clock.advance(91 * 86_400)
    await until_idle(withdrawals)
    shown = await agencies.show(taken_up)
    assert (shown["state"], shown["record"], shown["further"][0]["record"]) == ("record_erased", None, None)
    assert [each["state"] for each in shown["timeline"]] == ["accepted", "withdrawal_acknowledged", "record_erased"]
    assert (await agencies.sent(taken_up))[-1][0] == "causeway.record_erased.v1"


@pytest.mark.parametrize("answer", ["accepted", "ongoing"])
async def test_what_was_taken_up_before_the_agency_moved_here_wins_too(agencies: Agencies, answer: str) -> None:
    case = uuid7()
    again = AnswerTrack.model_validate({"moved": True, "answer": answer, "number": 1})
    assert await agencies.receive(replace(offered(case), again=again), withdrawn(case)) == [None, None]
    with pytest.raises(Refused, match="case_is_kept"):
        await agencies.act("acknowledge_withdrawal", ERASED, case)
    assert (await agencies.show(case))["record"] is not None


async def places(agencies: Agencies, case: UUID) -> int:
    async with agencies.database.transaction(APPLYING) as session:
        found: int = await session.driver.fetchval("SELECT count(*) FROM case_location WHERE referral_id = $1", case)
    return found


async def test_a_restored_agency_says_again_that_it_has_erased(agencies: Agencies, tmp_path: Path) -> None:
    """The database is older than the erasure, which only the journal records."""
    case = await agencies.offer()
    await agencies.act("accept", CaseAcceptance(), case)
    await agencies.receive(withdrawn(case))
    assert await places(agencies, case) == 1
    journal = Journal(tmp_path / "erasures.jsonl")
    journal.append([ErasedRecord(ERASED_RECEIVED, case, AGENCY)], AT)
    async with agencies.database.transaction() as session:
        await session.driver.execute("UPDATE erasure_journal_position SET line_count = 0, digest = ''")
    assert await Erasures(journal, ERASES, ManualClock(AT)).apply(agencies.database) == 1
    assert await places(agencies, case) == 0
    async with agencies.database.transaction() as session:
        await session.driver.execute("UPDATE erasure_journal_position SET line_count = 0, digest = ''")
    with pytest.raises(Refused, match="nothing_to_keep"):
        await agencies.act("acknowledge_withdrawal", HELD_BY_LAW, case)
    assert await agencies.act("acknowledge_withdrawal", ERASED, case) == "withdrawal_acknowledged"
    assert (await agencies.sent(case))[-1][-2]["fate"] == "erased"
