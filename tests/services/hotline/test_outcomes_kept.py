"""Outcomes that an agency reports stay at the origin: each in the timeline, the known values in the view."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from shared.core.contracts.answers import (
    CaseAcceptedClear,
    CaseRecord,
    OutcomeReportedClear,
    WithdrawalAcknowledgedClear,
)
from shared.core.contracts.base import Contract
from shared.core.contracts.registry import CASE_ACCEPTED, OUTCOME_REPORTED, WITHDRAWAL_ACKNOWLEDGED, MessageType
from shared.core.ids import uuid4
from shared.core.protocol.message import Received
from shared.core.vocabulary.answers import CaseOutcome, CloseReason, WithdrawalFate, YesNoUnknown
from shared.core.vocabulary.referral import WithdrawalReason
from tests.services.databases import stored_text
from tests.services.deliveries import received
from tests.services.hotline.origin import Origin
from tests.services.hotline.test_answers_kept import applied
from tests.support.builders import HOTLINE, POLICE

REFERENCE = "2026/000417"
YES, UNKNOWN = YesNoUnknown.YES, YesNoUnknown.UNKNOWN


def told(message: MessageType, clear: Contract, referral_id: UUID, *, sealed: Contract | None = None) -> Received:
    return received(message, clear, subject=referral_id, sender=POLICE, recipient=HOTLINE, sealed=sealed)


def accepted(referral_id: UUID, number: int = 1) -> Received:
    clear = CaseAcceptedClear(referral_id=referral_id, revision=1, act=uuid4(), number=number)
    return told(CASE_ACCEPTED, clear, referral_id, sealed=CaseRecord(case_reference=REFERENCE))


def outcome(referral_id: UUID, number: int, reached: CaseOutcome, known: YesNoUnknown) -> Received:
    clear = OutcomeReportedClear(
        referral_id=referral_id,
        revision=1,
        act=uuid4(),
        number=number,
        outcome=reached,
        close_reason=CloseReason.OTHER if reached is CaseOutcome.CLOSED else None,
        child_identified=known,
        child_safeguarded=known,
    )
    return told(OUTCOME_REPORTED, clear, referral_id)


def erased(referral_id: UUID, number: int) -> Received:
    clear = WithdrawalAcknowledgedClear(
        referral_id=referral_id, revision=1, act=uuid4(), number=number, fate=WithdrawalFate.ERASED
    )
    return told(WITHDRAWAL_ACKNOWLEDGED, clear, referral_id)


async def shown(origin: Origin, referral_id: UUID) -> dict[str, Any]:
    return next(edge for edge in (await origin.show(referral_id))["edges"] if edge["recipient"] == POLICE)


async def closed_case(origin: Origin) -> UUID:
    """Submit a referral whose agency reports an arrest, and then closes its case as unknown."""
    referral_id = await origin.file()
    closing = outcome(referral_id, 3, CaseOutcome.CLOSED, UNKNOWN)
    reported = accepted(referral_id), outcome(referral_id, 2, CaseOutcome.ARREST, YES), closing
    for each in reported:
        assert await applied(origin, each) == [None]
    return referral_id


async def test_a_case_that_is_closed_keeps_that_a_child_was_identified(origin: Origin) -> None:
    edge = await shown(origin, await closed_case(origin))
    detail = edge["answer_detail"]
    assert (edge["answer"], detail["outcome"], detail["number"]) == ("closed", "closed", 3)
    assert (detail["child_identified"], detail["child_safeguarded"]) == ("yes", "yes")
    said = [(a["number"], a["answer"], a.get("outcome"), a.get("child_identified")) for a in edge["timeline"]]
    assert said == [(1, "accepted", None, None), (2, "ongoing", "arrest", "yes"), (3, "closed", "closed", "unknown")]
    assert all(each["at"] for each in edge["timeline"])


async def test_the_acknowledgement_of_a_withdrawal_takes_no_outcome_away(origin: Origin) -> None:
    referral_id = await closed_case(origin)
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await applied(origin, erased(referral_id, 4)) == [None]
    edge = await shown(origin, referral_id)
    detail = edge["answer_detail"]
    assert (edge["answer"], detail["fate"], detail["outcome"]) == ("withdrawal_acknowledged", "erased", "closed")
    assert detail["child_identified"] == "yes"
    assert [each["number"] for each in edge["timeline"]] == [1, 2, 3, 4]


async def test_an_answer_that_is_refused_stands_in_no_timeline(origin: Origin) -> None:
    referral_id = await closed_case(origin)
    assert await applied(origin, outcome(referral_id, 4, CaseOutcome.ARREST, YES)) == ["answer_out_of_order"]
    assert [each["number"] for each in (await shown(origin, referral_id))["timeline"]] == [1, 2, 3]


async def test_the_agencys_reference_is_shown_until_its_record_is_erased(origin: Origin, endpoint: Any) -> None:
    referral_id = await closed_case(origin)
    assert (await shown(origin, referral_id))["case_reference"] == REFERENCE
    others = [edge for edge in (await origin.show(referral_id))["edges"] if edge["recipient"] != POLICE]
    assert others
    assert all("case_reference" not in edge for edge in others)
    stored = await stored_text(endpoint.owner_url, [HOTLINE])
    assert REFERENCE not in stored
    assert REFERENCE.encode().hex() not in stored
    await origin.erase(referral_id)
    assert "case_reference" not in await shown(origin, referral_id)
