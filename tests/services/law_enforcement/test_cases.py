"""Acts of agencies on referrals, over the real database and its row-level security."""

from __future__ import annotations

import asyncio
from datetime import date
from uuid import UUID

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.acts.act import CaseState, Subject
from shared.core.acts.states import row
from shared.core.authority import Role
from shared.core.contracts import answers
from shared.core.contracts.registry import CASE_ACCEPTED
from shared.core.errors import Refused
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import seal_context
from shared.core.vocabulary.answers import (
    CaseDeclineReason,
    CaseOutcome,
    CloseReason,
    KeptBasis,
    WithdrawalFate,
    YesNoUnknown,
)
from shared.core.vocabulary.judgement import RetentionClass
from shared.features.cases.service import act_on_case
from shared.features.received.rules import ItemAct
from shared.features.received.service.items import ItemActor
from shared.features.received.store import arriving
from shared.platform.database.transactions import RowScope
from tests.services.databases import stored_text, unencrypted, until_one_waits_for_a_lock
from tests.services.deliveries import (
    AGENCY,
    AT,
    ERASED,
    HOTLINE,
    LOCATION,
    OTHER_AGENCY,
    OTHER_HOTLINE,
    issued,
    numbered,
    offered,
    withdrawn,
)
from tests.services.doors import ACTOR, paged
from tests.services.law_enforcement.agency import Agencies
from tests.services.outgoing import about

ACCEPT = answers.CaseAcceptance()
KEPT = answers.WithdrawalAnswer(
    fate=WithdrawalFate.KEPT,
    kept=answers.RetentionStatement(
        retention=RetentionClass.US_1Y, basis=KeptBasis.ACCEPTED_CASE, until=date(2027, 5, 4)
    ),
)
REFERENCE = "2026/000417"


def reported(outcome: CaseOutcome, close_reason: CloseReason | None = None) -> answers.OutcomeReport:
    known = {"child_identified": YesNoUnknown.YES, "child_safeguarded": YesNoUnknown.UNKNOWN}
    return answers.OutcomeReport(outcome=outcome, close_reason=close_reason, **known)


async def test_nothing_of_a_record_is_stored_in_the_clear(agencies: Agencies, endpoint: DatabaseEndpoint) -> None:
    referral_id = await agencies.offer()
    await agencies.act("accept", answers.CaseAcceptance(case_reference=REFERENCE), referral_id)
    stored = await stored_text(endpoint.owner_url, [AGENCY])
    assert str(referral_id) in stored
    assert LOCATION not in stored
    assert LOCATION.encode().hex() not in stored
    assert REFERENCE not in stored
    assert REFERENCE.encode().hex() not in stored


async def test_a_record_that_were_not_encrypted_would_be_found(
    agencies: Agencies, endpoint: DatabaseEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control of the test above, here and for the other recipients: the same search without encryption."""
    monkeypatch.setattr(arriving, "seal_record", unencrypted)
    await agencies.receive(offered(uuid7(), to=OTHER_AGENCY))
    assert LOCATION.encode().hex() in await stored_text(endpoint.owner_url, [OTHER_AGENCY])


async def test_a_referral_offered_for_two_purposes_is_one_case_that_keeps_both(agencies: Agencies) -> None:
    referral_id = uuid7()
    both = offered(referral_id), offered(referral_id, purpose="victim_identification")
    assert await agencies.receive(*both) == [None, None]
    shown = await agencies.show(referral_id)
    assert shown["purpose"] == "investigation"
    assert [each["purpose"] for each in shown["further"]] == ["victim_identification"]
    assert shown["further"][0]["record"] == shown["record"]


async def test_a_second_purpose_that_comes_later_leaves_the_state_as_it_is(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    await agencies.act("accept", ACCEPT, referral_id)
    assert await agencies.receive(offered(referral_id, purpose="victim_identification")) == [None]
    assert (await agencies.show(referral_id))["state"] == "accepted"


async def test_a_second_offer_for_the_same_purpose_is_refused(agencies: Agencies) -> None:
    referral_id = uuid7()
    twice = offered(referral_id), offered(referral_id)
    assert await agencies.receive(*twice) == [None, "edge_exists"]
    assert await agencies.receive(offered(referral_id)) == ["edge_exists"]


async def test_another_origin_cannot_add_to_a_case(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    later = offered(referral_id, origin=OTHER_HOTLINE, purpose="victim_identification")
    assert await agencies.receive(later) == ["origin_is_not_sender"]


async def test_a_message_for_another_kind_of_party_is_refused(agencies: Agencies) -> None:
    assert await agencies.receive(issued(uuid7(), to=AGENCY)) == ["message_not_for_agencies"]


async def test_one_refused_message_does_not_hold_up_the_others(agencies: Agencies) -> None:
    first, second = uuid7(), uuid7()
    batch = offered(first), withdrawn(uuid7()), offered(second)
    assert await agencies.receive(*batch) == [None, "case_unknown", None]
    assert [(await agencies.show(each))["state"] for each in (first, second)] == ["offered", "offered"]


async def test_an_accepted_case_is_told_to_the_origin(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    assert await agencies.act("accept", ACCEPT, referral_id) == CaseState.ACCEPTED
    clear = {"referral_id": str(referral_id), "revision": 1, "number": 1}
    assert await agencies.sent(referral_id) == [("causeway.case_accepted.v1", AGENCY, HOTLINE, True, clear, None)]
    shown = await agencies.show(referral_id)
    assert (shown["state"], shown["accepted_at"]) == ("accepted", "2026-05-04T12:00:00.000Z")


async def test_a_case_reference_is_kept_and_reaches_the_origin_alone(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    await agencies.act("accept", answers.CaseAcceptance(case_reference=REFERENCE), referral_id)
    assert (await agencies.show(referral_id))["case_reference"] == REFERENCE
    [said] = await about(agencies.database, referral_id)
    assert REFERENCE not in str(said.clear)
    context = seal_context(
        CASE_ACCEPTED, said.message_id, str(referral_id), clear=said.clear, sender=AGENCY, recipient=HOTLINE
    )
    assert said.context == context
    assert said.plaintext is not None
    assert answers.CaseRecord.model_validate_json(said.plaintext).case_reference == REFERENCE


async def test_outcomes_are_reported_until_one_closes_the_case(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    await agencies.act("accept", ACCEPT, referral_id)
    moves = [reported(each) for each in (CaseOutcome.ONGOING_INVESTIGATION, CaseOutcome.ARREST)]
    moves.append(reported(CaseOutcome.CLOSED, CloseReason.UNFOUNDED))
    states = [await agencies.act("outcome", move, referral_id) for move in moves]
    assert states == ["ongoing", "ongoing", "closed"]
    _, *reports = await agencies.sent(referral_id)
    told = [answers.OutcomeReportedClear.model_validate(clear | {"act": uuid4()}) for *_, clear, _ in reports]
    assert [each.number for each in told] == [2, 3, 4]
    assert [each.outcome for each in told] == ["ongoing_investigation", "arrest", "closed"]
    shown = await agencies.show(referral_id)
    kept = {name: shown[name] for name in ("outcome", "close_reason", "child_identified", "child_safeguarded")}
    known = {"child_identified": "yes", "child_safeguarded": "unknown"}
    assert kept == {"outcome": "closed", "close_reason": "unfounded"} | known


@pytest.mark.parametrize("before", ["offered", "accepted", "declined", "closed"])
async def test_a_withdrawal_reaches_a_case_in_every_state(agencies: Agencies, before: str) -> None:
    referral_id = await agencies.offer()
    await bring(agencies, referral_id, before)
    assert await agencies.receive(withdrawn(referral_id)) == [None]
    assert (await agencies.show(referral_id))["state"] == "withdrawn"
    assert await agencies.act("acknowledge_withdrawal", KEPT, referral_id) == "withdrawal_acknowledged"
    last = (await agencies.sent(referral_id))[-1]
    acts = {"offered": 1, "closed": 3}.get(before, 2)
    clear = {"referral_id": str(referral_id), "revision": 1, "number": acts}
    clear |= {"fate": "kept", "kept": {"retention": "us_1y", "basis": "accepted_case", "until": "2027-05-04"}}
    assert last == ("causeway.withdrawal_acknowledged.v1", AGENCY, HOTLINE, True, clear, None)
    shown = await agencies.show(referral_id)
    assert (shown["kept"]["until"], shown["record"] is None) == ("2027-05-04", False)


async def test_what_was_withdrawn_is_erased_for_every_purpose(agencies: Agencies) -> None:
    referral_id = uuid7()
    both = offered(referral_id), offered(referral_id, purpose="victim_identification")
    await agencies.receive(*both, withdrawn(referral_id))
    assert await agencies.act("acknowledge_withdrawal", ERASED, referral_id) == "withdrawal_acknowledged"
    shown = await agencies.show(referral_id)
    assert (shown["record"], shown["further"][0]["record"], shown["fate"]) == (None, None, "erased")
    async with agencies.database.transaction(RowScope([AGENCY], Role.SERVICE, "apply")) as session:
        left = await session.driver.fetchval(
            "SELECT count(*) FROM (SELECT subject, wrapped_key, record FROM received UNION ALL "
            "SELECT subject, wrapped_key, record FROM received_edge) AS r "
            "WHERE subject = $1 AND (wrapped_key IS NOT NULL OR record <> '')",
            referral_id,
        )
    assert left == 0


@pytest.mark.parametrize("before", ["accepted", "closed"])
async def test_a_case_that_was_accepted_is_not_wiped_by_its_withdrawal(agencies: Agencies, before: str) -> None:
    referral_id = await agencies.offer()
    await bring(agencies, referral_id, before)
    with pytest.raises(Refused, match="state_forbids"):
        await agencies.act("acknowledge_withdrawal", ERASED, referral_id)
    await agencies.receive(withdrawn(referral_id))
    with pytest.raises(Refused) as refusal:
        await agencies.act("acknowledge_withdrawal", ERASED, referral_id)
    assert (refusal.value.code, refusal.value.field, refusal.value.status) == ("case_is_kept", "/fate", 409)
    shown = await agencies.show(referral_id)
    assert (shown["state"], shown["record"]["items"][0]["locator"]["value"]) == ("withdrawn", LOCATION)


async def test_two_acts_at_once_have_two_numbers(agencies: Agencies) -> None:
    """Neither changes the state, so only the number shows the later one that it is the second."""
    referral_id = await agencies.offer()
    await agencies.act("accept", ACCEPT, referral_id)
    await agencies.act("outcome", reported(CaseOutcome.ARREST), referral_id)
    async with agencies.cases("outcome") as cases:
        seen = (await cases.find([referral_id]))[referral_id, AGENCY]
        await agencies.act("outcome", reported(CaseOutcome.REFERRED), referral_id)
        with pytest.raises(Refused, match="state_forbids"):
            await cases.act(ItemAct(seen, CaseState.ONGOING, reported(CaseOutcome.ARREST)), AT)
    assert (await agencies.show(referral_id))["outcome"] == "referred"


async def test_a_withdrawal_in_the_same_batch_as_the_offer_is_applied_after_it(agencies: Agencies) -> None:
    referral_id = uuid7()
    assert await agencies.receive(offered(referral_id), withdrawn(referral_id)) == [None, None]
    assert (await agencies.show(referral_id))["state"] == "withdrawn"


async def test_only_the_origin_may_withdraw(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    assert await agencies.receive(withdrawn(referral_id, origin=OTHER_HOTLINE)) == ["case_unknown"]
    assert (await agencies.show(referral_id))["state"] == "offered"


async def test_a_withdrawn_referral_is_not_withdrawn_or_offered_again(agencies: Agencies) -> None:
    referral_id = uuid7()
    await agencies.receive(offered(referral_id), withdrawn(referral_id))
    again = withdrawn(referral_id), offered(referral_id, purpose="victim_identification")
    assert await agencies.receive(*again) == ["state_forbids", "referral_withdrawn"]
    await agencies.act("acknowledge_withdrawal", ERASED, referral_id)
    assert await agencies.receive(again[1]) == ["referral_withdrawn"]


async def test_an_act_that_does_not_fit_the_state_sends_nothing(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    with pytest.raises(Refused) as refusal:
        await agencies.act("outcome", reported(CaseOutcome.ARREST), referral_id)
    assert (refusal.value.code, refusal.value.status) == ("state_forbids", 409)
    assert await agencies.sent(referral_id) == []


async def test_a_case_that_moved_meanwhile_is_not_moved_again(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    async with agencies.cases("accept") as cases:
        seen = (await cases.find([referral_id]))[referral_id, AGENCY]
        await agencies.receive(withdrawn(referral_id))
        with pytest.raises(Refused, match="state_forbids"):
            await cases.act(ItemAct(seen, CaseState.ACCEPTED, accepted(referral_id)), AT)
    assert (await agencies.show(referral_id))["state"] == "withdrawn"


async def test_pages_list_every_case_once_newest_first(agencies: Agencies) -> None:
    ids = [uuid7() for _ in range(5)]
    await agencies.receive(*(offered(each, to=OTHER_AGENCY) for each in ids))
    await agencies.receive(*(offered(each, to=OTHER_AGENCY, purpose="victim_identification") for each in ids))
    async with agencies.cases("read", party=OTHER_AGENCY) as cases:
        found = await paged(cases, OTHER_AGENCY, "offered")
    own = [each for each in found if each in {*map(str, ids)}]
    assert own == [str(each) for each in reversed(ids)], "a child at risk of another test stands before them"
    assert len(set(found)) == len(found)


async def test_a_withdrawal_waits_for_an_act_under_way_and_is_applied_after_it(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    async with agencies.cases("accept") as cases:
        acting = ItemActor(AGENCY, Role.ANALYST, ACTOR, cases, agencies.directory, AT)
        await act_on_case(
            row(Subject.CASE, "accept"), referral_id, said=ACCEPT, acting=acting, documents=agencies.documents
        )
        applying = asyncio.create_task(agencies.receive(withdrawn(referral_id)))
        await until_one_waits_for_a_lock(agencies.database)
    assert await applying == [None]
    assert (await agencies.show(referral_id))["state"] == "withdrawn"


def accepted(referral_id: UUID) -> answers.CaseAcceptedClear:
    return answers.CaseAcceptedClear(referral_id=referral_id, revision=1, **numbered())


async def bring(agencies: Agencies, referral_id: UUID, state: str) -> None:
    """Move an offered case on to `state`."""
    if state in ("accepted", "closed"):
        await agencies.act("accept", ACCEPT, referral_id)
    if state == "closed":
        await agencies.act("outcome", reported(CaseOutcome.CONVICTION), referral_id)
    if state == "declined":
        decline = answers.Declination(reason=CaseDeclineReason.NO_CAPACITY)
        await agencies.act("decline", decline, referral_id)
    assert (await agencies.show(referral_id))["state"] == state
