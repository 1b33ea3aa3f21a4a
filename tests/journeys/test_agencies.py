"""Work between agencies on a running exchange: a case referral, and contact suggestions for the same case."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from client.api import CausewayClient
from client.problem import ApiProblem
from client.views import InboxItem
from shared.core.contracts.answers import CaseAcceptance, OutcomeReport
from shared.core.contracts.case_referral import CaseReferral
from shared.core.vocabulary.agencies import CaseReferReason
from shared.core.vocabulary.answers import CaseOutcome, YesNoUnknown
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange, referral, until

OTHER = "police-de.example"
#: An agency that has not opted in to contact suggestions.
APART = "police-fr.example"


def to(agency: str) -> CaseReferral:
    return CaseReferral(agency=agency, reason=CaseReferReason.SUSPECT_ELSEWHERE)


async def has_case(agency: CausewayClient, referral_id: UUID) -> bool:
    return referral_id in {item.referral_id async for page in agency.inbox() for item in page.items}


async def answers(hotline: CausewayClient, referral_id: UUID) -> dict[str, str]:
    return {edge.recipient: edge.answer for edge in (await hotline.show(referral_id)).edges}


async def test_a_referred_case_arrives_with_its_history_and_the_other_agency_answers(exchange: Exchange) -> None:
    async with exchange.client(HOTLINE) as hotline, exchange.client(AGENCY) as first, exchange.client(OTHER) as second:
        referral_id = (await hotline.submit(referral())).referral_id
        await until(lambda: has_case(first, referral_id))
        assert not await has_case(second, referral_id)
        await first.act_on_case("accept", referral_id, CaseAcceptance(case_reference="NL-17"))
        for nobody in (PROVIDER, HOTLINE, AGENCY, "police-nowhere.example"):
            with pytest.raises(ApiProblem, match="agency_unknown"):
                await first.act_on_case("refer", referral_id, to(nobody))
        assert (await first.act_on_case("refer", referral_id, to(OTHER))).state == "referred"
        await until(lambda: has_case(second, referral_id))
        had, has = await first.inbox_item(referral_id), await second.inbox_item(referral_id)
        assert has.record == had.record
        assert has.state == "offered"
        assert has.origin == HOTLINE
        assert has.passed_on is not None
        assert has.passed_on["by"] == AGENCY
        (act,) = has.passed_on["history"]  # type: ignore[misc]
        assert act["answer"] == "accepted"  # type: ignore[index,call-overload]
        assert "NL-17" not in str(has.model_dump()), "the first agency's own reference stays with its origin"
        await second.act_on_case("accept", referral_id)
        known = {"child_identified": YesNoUnknown.YES, "child_safeguarded": YesNoUnknown.UNKNOWN}
        arrest = OutcomeReport(outcome=CaseOutcome.ARREST, **known)
        await second.act_on_case("outcome", referral_id, arrest)
        with pytest.raises(ApiProblem, match="state_forbids"):
            await first.act_on_case("outcome", referral_id, arrest)
        await exchange.until_taken()
        said = await answers(hotline, referral_id) | {PROVIDER: ""}
        assert said.items() >= {AGENCY: "referred", OTHER: "ongoing"}.items()
        with pytest.raises(ApiProblem, match="passed_on_before"):
            await second.act_on_case("refer", referral_id, to(AGENCY))


async def test_what_is_amended_after_a_case_was_passed_on_reaches_who_has_it(exchange: Exchange) -> None:
    filing = referral()
    async with exchange.client(HOTLINE) as hotline, exchange.client(AGENCY) as first, exchange.client(OTHER) as second:
        referral_id = (await hotline.submit(filing)).referral_id
        await until(lambda: has_case(first, referral_id))
        await first.act_on_case("refer", referral_id, to(OTHER))
        await until(lambda: has_case(second, referral_id))
        await second.act_on_case("accept", referral_id)
        before = await second.inbox_item(referral_id)
        await exchange.until_taken()
        again = filing["items"][0] | {"locator": {"kind": "url", "value": f"{place_of(filing)}/moved"}}
        await hotline.amend(referral_id, filing | {"items": [*filing["items"], again]}, revision=1)

        async def amended() -> bool:
            return len(places(await second.inbox_item(referral_id))) == 2

        await until(amended)
        has = await second.inbox_item(referral_id)
        assert places(before) == [place_of(filing)]
        moved = [place_of(filing), f"{place_of(filing)}/moved"]
        assert places(has) == places(await first.inbox_item(referral_id)) == moved
        assert (has.state, has.passed_on) == ("accepted", before.passed_on), "how it came stays as it was"
        known = {"child_identified": YesNoUnknown.UNKNOWN, "child_safeguarded": YesNoUnknown.UNKNOWN}
        arrest = OutcomeReport(outcome=CaseOutcome.ARREST, **known)
        await second.act_on_case("outcome", referral_id, arrest)
        await exchange.until_taken()
        assert (await answers(hotline, referral_id))[OTHER] == "ongoing"


def place_of(filing: dict[str, Any]) -> str:
    return str(filing["items"][0]["locator"]["value"])


def places(item: InboxItem) -> list[object]:
    assert item.record is not None
    return [each["locator"]["value"] for each in item.record["items"]]  # type: ignore[union-attr,index,call-overload]


def named(item: InboxItem) -> list[tuple[object, object, object]]:
    return [(each["agency"], each["ground"], each["their_referral_id"]) for each in item.contacts]


async def needs(agency: CausewayClient, referral_id: UUID) -> list[tuple[str, ...]]:
    rows = [row async for page in agency.attention() for row in page.items]
    return [row.reasons for row in rows if row.subject == referral_id]


async def test_two_agencies_with_cases_of_one_place_are_told_of_each_other_and_a_third_is_not(
    exchange: Exchange,
) -> None:
    """The cases come from two referrals. Only their origin knows that they share a place."""
    filing = referral(user_jurisdictions=["DE"], victim_jurisdictions=["FR"])
    async with (
        exchange.client(HOTLINE) as hotline,
        exchange.client(AGENCY) as first,
        exchange.client(OTHER) as second,
        exchange.client(APART) as apart,
    ):
        one = (await hotline.submit(filing)).referral_id
        two = (await hotline.submit(filing | {"external_ref": f"{filing['external_ref']}-again"})).referral_id
        for agency, case in ((first, one), (second, two), (apart, one), (apart, two)):
            await until(lambda agency=agency, case=case: has_case(agency, case))
            await agency.act_on_case("accept", case)

        async def told() -> bool:
            return bool((await first.inbox_item(one)).contacts and (await second.inbox_item(two)).contacts)

        await until(told)
        await exchange.until_taken()
        assert named(await first.inbox_item(one)) == [(OTHER, "same_location", str(two))]
        assert named(await second.inbox_item(two)) == [(AGENCY, "same_location", str(one))]
        for case in (one, two):
            assert named(await apart.inbox_item(case)) == []
        assert named(await first.inbox_item(two)) == named(await second.inbox_item(one)) == []
        assert await needs(first, one) == [("contact_suggested",)]
        assert [reasons for case in (one, two) for reasons in await needs(apart, case)] == []
        await first.act_on_case("no_objection", one)
        assert await needs(first, one) == []
