"""An origin tells two agencies about each other if both accepted the same referral or place and both have opted in."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import pytest

from shared.core.protocol.message import Received
from shared.core.vocabulary.referral import WithdrawalReason
from shared.delivery.sending import Unit
from shared.features.contacts.contract import CONTACT_SUGGESTED
from shared.features.contacts.effects import suggest
from shared.features.filing.store.edges import PostgresEdges
from shared.platform.database.failure_isolation import ClaimedBatch
from shared.platform.observability.metrics import REGISTRY, SUBJECTS_ASIDE
from tests.services.hotline.origin import APPLYING, KEK, Origin, applied, said
from tests.services.hotline.test_duplicates import at, linked, spellings
from tests.support.exchange_world import opened

#: The agencies that a sample referral reaches. The first three have opted in to contact suggestions.
NL, BE, DE, FR = (f"police-{place}.example" for place in ("nl", "be", "de", "fr"))


class Told(NamedTuple):
    """A contact suggestion: the agency and its case, the other agency, the reason, and that agency's referral."""

    agency: str
    of: UUID
    other: str
    ground: str
    their_referral_id: UUID


@pytest.fixture(autouse=True)
async def empty(origin: Origin) -> None:
    await suggest(origin.bus, APPLYING)
    await origin.forget()


async def filed(origin: Origin, path: str) -> UUID:
    """Submit a referral to all four agencies, with a location of its own."""
    return await origin.file(**at(spellings(path)[0]), user_jurisdictions=["BE", "DE"])


def accepted(referral_id: UUID, agency: str) -> Received:
    return said("case_accepted", referral_id, agency)


async def answered(origin: Origin, *messages: Received) -> None:
    assert await applied(origin, *messages) == [None] * len(messages)


async def told(origin: Origin) -> set[Told]:
    """Return the suggestions that one run sends, as the agencies open them. No name is in the clear part."""
    await suggest(origin.bus, APPLYING)
    found = set()
    for draft in await origin.waiting():
        if draft.message is CONTACT_SUGGESTED:
            contact = opened(origin.world, draft)
            (record,) = origin.world.records([draft])
            assert contact["agency"].encode() not in (record.value or b"")
            other = contact["agency"], contact["ground"], UUID(contact["their_referral_id"])
            found.add(Told(draft.recipient, UUID(draft.subject), *other))
    await origin.forget()
    return found


def both(one: tuple[UUID, str], two: tuple[UUID, str], ground: str) -> set[Told]:
    (first, agency), (second, other) = one, two
    return {Told(agency, first, other, ground, second), Told(other, second, agency, ground, first)}


async def met(origin: Origin, reference: str) -> tuple[UUID, set[Told]]:
    """Return a referral that two agencies have accepted, and the suggestions that both received."""
    referral_id = await filed(origin, reference)
    await answered(origin, accepted(referral_id, NL), accepted(referral_id, BE))
    pair = both((referral_id, NL), (referral_id, BE), "same_referral")
    assert await told(origin) == pair
    return referral_id, pair


async def test_two_that_have_opted_in_are_told_and_nobody_else_is(origin: Origin) -> None:
    referral_id = await filed(origin, "two")
    await answered(origin, accepted(referral_id, NL), accepted(referral_id, FR))
    assert await told(origin) == set(), "one has opted in, the other has not"
    await answered(origin, said("case_declined", referral_id, DE, reason="no_capacity"))
    assert await told(origin) == set(), "who has declined is no third"
    await answered(origin, accepted(referral_id, BE))
    assert await told(origin) == both((referral_id, NL), (referral_id, BE), "same_referral")


async def test_only_that_it_has_not_opted_in_keeps_it_apart(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: all agencies have opted in."""
    referral_id = await filed(origin, "control")
    directory = origin.world.documents.directory
    monkeypatch.setattr(directory, "contactable", directory.contactable | {FR})
    await answered(origin, accepted(referral_id, NL), accepted(referral_id, FR))
    assert await told(origin) == both((referral_id, NL), (referral_id, FR), "same_referral")


async def test_a_third_that_comes_later_is_told_and_no_one_twice(origin: Origin) -> None:
    referral_id = await filed(origin, "third")
    await answered(origin, accepted(referral_id, NL), accepted(referral_id, BE))
    assert await told(origin) == both((referral_id, NL), (referral_id, BE), "same_referral")
    await answered(origin, accepted(referral_id, DE))
    with_it = (both((referral_id, each), (referral_id, DE), "same_referral") for each in (NL, BE))
    assert await told(origin) == set().union(*with_it)
    assert await told(origin) == set()


@pytest.mark.parametrize("order", ["linked first", "accepted first"])
async def test_two_referrals_that_name_one_place_bring_their_agencies_together(origin: Origin, order: str) -> None:
    path = f"place-{order.partition(' ')[0]}"
    first, again, elsewhere = await filed(origin, path), await filed(origin, path), await filed(origin, f"{path}-not")
    if order == "linked first":
        await linked(origin)
    acts = accepted(first, NL), accepted(again, BE), accepted(elsewhere, DE), accepted(again, FR)
    for each in acts:
        await answered(origin, each)
    if order == "accepted first":
        assert await told(origin) == set(), "the origin does not know yet that it is one place"
        await linked(origin)
    assert await told(origin) == both((first, NL), (again, BE), "same_location")


async def test_a_place_that_an_agency_was_not_sent_brings_it_together_with_nobody(origin: Origin) -> None:
    """The agency's edge is about another item of the referral."""
    first, again = await filed(origin, "unsent"), await filed(origin, "unsent")
    await origin.sql("UPDATE edge SET items = '{2}' WHERE referral_id = $1 AND recipient = $2", first, NL)
    await linked(origin)
    await answered(origin, accepted(first, NL), accepted(first, DE), accepted(again, BE))
    named = both((first, DE), (again, BE), "same_location") | both((first, NL), (first, DE), "same_referral")
    assert await told(origin) == named


async def test_of_each_case_an_agency_is_told_of_another_once(origin: Origin) -> None:
    """An agency with hundreds of cases about one place is not named hundreds of times in one case of another agency."""
    first, *repeats = [await filed(origin, "often") for _ in range(4)]
    await linked(origin)
    await answered(origin, accepted(first, NL), *(accepted(each, BE) for each in repeats))
    found = await told(origin)
    assert {each.of for each in found if each.agency == BE} == set(repeats)
    assert [each.of for each in found if each.agency == NL] == [first]


async def test_what_is_withdrawn_brings_nobody_together(origin: Origin) -> None:
    first, again = await filed(origin, "back"), await filed(origin, "back")
    await linked(origin)
    await answered(origin, accepted(first, NL), accepted(again, BE))
    await origin.withdraw(again, WithdrawalReason.FILED_IN_ERROR)
    assert await told(origin) == set()


async def test_an_acceptance_that_commits_while_somebody_looks_is_looked_at(origin: Origin) -> None:
    """Each commit leaves a marker, and deleting one marker does not delete the other."""
    referral_id = await filed(origin, "race")
    await answered(origin, accepted(referral_id, NL))
    async with origin.database.transaction(APPLYING) as session:
        unit = Unit(session)
        assert await origin.bus.answers(unit).apply([accepted(referral_id, BE)]) == {}
        assert await told(origin) == set(), "it is not committed yet"
    assert await told(origin) == both((referral_id, NL), (referral_id, BE), "same_referral")


async def test_an_instance_without_a_key_to_seal_for_is_told_nothing(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    referral_id = await filed(origin, "unsealable")
    await answered(origin, accepted(referral_id, NL), accepted(referral_id, BE))
    monkeypatch.setattr(origin.world.documents.directory, "sealing_key", lambda *_: None)
    SUBJECTS_ASIDE.set(0)
    assert await told(origin) == set()
    assert REGISTRY.get_sample_value("causeway_subjects_aside") == 0, "it is no failure"


async def test_an_origin_served_elsewhere_says_nothing(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    referral_id = await filed(origin, "moved")
    await answered(origin, accepted(referral_id, NL), accepted(referral_id, BE))
    monkeypatch.setattr(type(origin.world.documents.directory), "serves", lambda *_: False)
    assert await told(origin) == set()


async def test_who_has_forgotten_it_is_told_again_and_nobody_else(origin: Origin) -> None:
    """The agency's database was restored. The origin issues the missing edge again, and the suggestions with it."""
    referral_id, pair = await met(origin, "forgotten")
    await origin.sql("UPDATE edge SET is_missing = true WHERE referral_id = $1 AND recipient = $2", referral_id, NL)
    assert await origin.bus.missing(APPLYING) == 1
    assert await told(origin) == {each for each in pair if each.agency == NL}
    assert await told(origin) == set()


async def test_who_has_moved_is_told_again_where_it_is(origin: Origin) -> None:
    referral_id, pair = await met(origin, "moved")
    async with origin.database.transaction(APPLYING) as session:
        elsewhere = "UPDATE edge SET instance = 'left' WHERE referral_id = $1 AND recipient = $2"
        await session.driver.execute(elsewhere, referral_id, BE)
        edges = PostgresEdges(session.driver, KEK)
        await origin.bus.redecider.left_behind(edges, taking := ClaimedBatch(9), recipient=BE, instance="left")
    assert taking.rows == 1
    assert await told(origin) == {each for each in pair if each.agency == BE}
