"""Case leases: an officer claims a case for a term and may hand it over; afterwards any officer can claim it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from shared.core.authority import Role
from shared.core.contracts.answers import CaseAcceptance
from shared.core.contracts.holds import Assignment, CaseClaim
from shared.core.errors import Refused
from shared.platform.console.accounts import Person, end_person, permit
from shared.platform.http.identity import keep_key, key_hash, revoke_key
from tests.services.deliveries import AGENCY, AT, OTHER_AGENCY
from tests.services.law_enforcement.agency import KEK, Agencies

PEOPLE = ("1" * 32, "2" * 32, "3" * 32)
FIRST, SECOND, THIRD = (KEK.actor_id(AGENCY, bytes.fromhex(each)) for each in PEOPLE)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
async def officers(agencies: Agencies) -> None:
    async with agencies.database.transaction() as session:
        for each in PEOPLE:
            await permit(session.driver, Person(AGENCY, each), Role.ANALYST)


async def held(agencies: Agencies, referral_id: UUID) -> tuple[object, object]:
    shown = await agencies.show(referral_id)
    return shown["claimed_by"], shown["claimed_until"]


async def test_a_lease_lapses_and_a_second_officer_takes_over(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    assert await held(agencies, referral_id) == (None, None)
    assert await agencies.act("claim", CaseClaim(hours=2), referral_id, actor=FIRST) == "offered"
    assert (await held(agencies, referral_id))[0] == FIRST
    late = AT + 2 * HOUR
    for name, said in (("claim", CaseClaim()), ("accept", CaseAcceptance())):
        with pytest.raises(Refused, match="case_claimed") as refused:
            await agencies.act(name, said, referral_id, actor=SECOND, at=late - timedelta(seconds=1))
        assert refused.value.status == 409
        assert FIRST not in str(refused.value), "who has it is in the list, not in an error"
    await agencies.act("claim", CaseClaim(), referral_id, actor=SECOND, at=late)
    assert (await held(agencies, referral_id))[0] == SECOND
    assert await agencies.act("accept", CaseAcceptance(), referral_id, actor=SECOND, at=late) == "accepted"
    assert [sent[0] for sent in await agencies.sent(referral_id)] == ["causeway.case_accepted.v1"], "nobody is told"


async def test_whoever_may_acts_once_it_has_lapsed_without_claiming(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    await agencies.act("claim", CaseClaim(hours=1), referral_id, actor=FIRST)
    assert await agencies.act("accept", CaseAcceptance(), referral_id, actor=SECOND, at=AT + HOUR) == "accepted"


async def test_it_is_handed_over_at_the_end_of_a_shift(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    with pytest.raises(Refused, match="case_not_claimed"):
        await agencies.act("hand_over", Assignment(to=SECOND), referral_id, actor=FIRST)
    await agencies.act("claim", CaseClaim(hours=8), referral_id, actor=FIRST)
    with pytest.raises(Refused, match="case_claimed"):
        await agencies.act("hand_over", Assignment(to=THIRD), referral_id, actor=SECOND)
    await agencies.act("hand_over", Assignment(to=SECOND, hours=3), referral_id, actor=FIRST, at=AT + HOUR)
    assert (await held(agencies, referral_id))[0] == SECOND
    with pytest.raises(Refused, match="case_claimed"):
        await agencies.act("accept", CaseAcceptance(), referral_id, actor=FIRST, at=AT + 2 * HOUR)
    await agencies.act("hand_over", Assignment(), referral_id, actor=SECOND, at=AT + 2 * HOUR)
    await agencies.act("claim", CaseClaim(), referral_id, actor=THIRD, at=AT + 2 * HOUR)
    assert (await held(agencies, referral_id))[0] == THIRD


async def test_whoever_has_it_claims_it_for_longer_and_a_case_that_is_over_is_not_claimed(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    for hour in range(0, 24, 6):
        await agencies.act("claim", CaseClaim(hours=8), referral_id, actor=FIRST, at=AT + hour * HOUR)
    other = await agencies.offer()
    with pytest.raises(Refused, match="not_found"):
        await agencies.act("claim", CaseClaim(), other, party=OTHER_AGENCY)
    with pytest.raises(Refused, match="not_found"):
        await agencies.act("hand_over", Assignment(), other, party=OTHER_AGENCY)


async def test_of_two_who_claim_at_once_one_has_it(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    claims = [agencies.act("claim", CaseClaim(), referral_id, actor=each) for each in (FIRST, SECOND, THIRD)]
    ended = await asyncio.gather(*claims, return_exceptions=True)
    refused = [each for each in ended if isinstance(each, Refused)]
    assert ([each.code for each in refused], len(ended)) == (["case_claimed"] * 2, 3)


async def test_it_is_handed_over_to_who_acts_for_the_agency_now_and_to_nobody_else(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    await agencies.act("claim", CaseClaim(), referral_id, actor=FIRST)
    looking, gone, abroad, key, revoked = ("4" * 32, "5" * 32, "6" * 32, key_hash("a"), key_hash("b"))
    async with agencies.database.transaction() as session:
        await permit(session.driver, Person(AGENCY, looking), Role.VIEWER)
        await permit(session.driver, Person(AGENCY, gone), Role.ANALYST)
        await end_person(session.driver, Person(AGENCY, gone), AT)
        await permit(session.driver, Person(OTHER_AGENCY, abroad), Role.ANALYST)
        for each in (key, revoked):
            await keep_key(session.driver, each, party=AGENCY, role=Role.MACHINE)
        await revoke_key(session.driver, revoked, AT)
    ids = [KEK.actor_id(AGENCY, each) for each in (*map(bytes.fromhex, (looking, gone, abroad)), revoked, b"nobody")]
    for to in (*ids, KEK.actor_id(OTHER_AGENCY, bytes.fromhex(abroad)), PEOPLE[1]):
        with pytest.raises(Refused, match="officer_unknown") as refused:
            await agencies.act("hand_over", Assignment(to=to), referral_id, actor=FIRST)
        assert (refused.value.field, to in str(refused.value)) == ("/to", False)
    assert (await held(agencies, referral_id))[0] == FIRST
    await agencies.act("hand_over", Assignment(to=KEK.actor_id(AGENCY, key)), referral_id, actor=FIRST)
    assert (await held(agencies, referral_id))[0] == KEK.actor_id(AGENCY, key)
