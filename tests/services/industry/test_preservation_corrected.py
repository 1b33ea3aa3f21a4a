"""A provider that answered an agency by mistake corrects its answer: both stay, and the later one counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.core.acts.act import Subject
from shared.core.acts.states import TrackState, row
from shared.core.authority import Role
from shared.core.contracts.preservation import PreservationExtensionRequestedClear
from shared.core.contracts.preservation_api import PreservationAnswering
from shared.core.contracts.registry import PRESERVATION_EXTENSION_REQUESTED
from shared.core.errors import Refused
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import Received
from shared.core.protocol.preservation import acted, clock_steps, preserved, shown_state, told
from shared.core.routing.clocks import Effect, Law, Step, runs
from shared.core.vocabulary.law import ClockEvent
from shared.core.vocabulary.preservation import PreservationKind
from shared.features.preservation.store import ProviderPreservations
from shared.platform.database.transactions import RowScope
from tests.services.deliveries import AGENCY, LOCATION, PROVIDER, issued, received
from tests.services.industry.provider import APPLYING, KEK, Providers
from tests.services.industry.test_preservation_before_removal import (
    NOT_POSSIBLE,
    PRESERVED,
    REFUSED,
    answer,
    asked,
    removing,
    withdrawn,
)
from tests.shared.core.routing.test_clocks import AT, DIRECTORY, SAMPLE_LAW


def extension(preservation_id: UUID) -> Received:
    named = {"preservation_id": preservation_id, "act": uuid4(), "number": 2, "until": "2099-08-02"}
    clear = PreservationExtensionRequestedClear.model_validate(named)
    return received(PRESERVATION_EXTENSION_REQUESTED, clear, subject=preservation_id, sender=AGENCY, recipient=PROVIDER)


async def fresh(providers: Providers) -> UUID:
    preservation_id = uuid7()
    assert await providers.receive(asked(preservation_id, location=f"{LOCATION}/{preservation_id}")) == [None]
    return preservation_id


async def correct(providers: Providers, preservation_id: UUID, words: dict[str, Any]) -> str:
    return await answer(providers, preservation_id, words, by="correct")


LONGER = PRESERVED | {"until": "2099-01-01"}


@pytest.mark.parametrize("first", [PRESERVED, NOT_POSSIBLE, REFUSED], ids=lambda each: each["answer"])
@pytest.mark.parametrize("then", [LONGER, NOT_POSSIBLE, REFUSED], ids=lambda each: each["answer"])
async def test_a_wrong_answer_is_corrected(providers: Providers, first: dict[str, Any], then: dict[str, Any]) -> None:
    preservation_id = await fresh(providers)
    await answer(providers, preservation_id, first)
    assert await correct(providers, preservation_id, then) == then["answer"]
    sent = await providers.sent(preservation_id)
    assert [(kind, recipient) for kind, _, recipient, *_ in sent] == [
        ("causeway.preservation_answered.v1", AGENCY),
        ("causeway.preservation_corrected.v1", AGENCY),
    ]
    naming = ("act", "preservation_id")
    said = [{name: word for name, word in clear.items() if name not in naming} for *_, clear in sent]
    assert said == [first | {"number": 1}, then | {"number": 2}]
    async with providers.database.transaction(RowScope([PROVIDER], Role.VIEWER, "read")) as session:
        looked = await ProviderPreservations(session.driver, KEK).look(preservation_id)
    assert [each.name for each in looked.timeline] == ["submit", "answer", "correct"]
    assert [each.said for each in looked.timeline[1:]] == [first, then]


async def test_nothing_is_corrected_that_was_not_answered_or_is_asked_again(
    providers: Providers,
) -> None:
    unanswered, longer, no_more = [await fresh(providers) for _ in range(3)]
    for each in (longer, no_more):
        await answer(providers, each, PRESERVED)
    assert await providers.receive(extension(longer), withdrawn(no_more)) == [None, None]
    for each in (unanswered, longer, no_more):
        with pytest.raises(Refused, match="state_forbids"):
            await correct(providers, each, NOT_POSSIBLE)


async def test_what_was_corrected_is_answered_still_and_lets_be_removed(providers: Providers) -> None:
    """This holds for any correction: the agency waits for no answer, and earlier removals stay."""
    notice_id, preservation_id = uuid7(), uuid7()
    assert await providers.receive(issued(notice_id), asked(preservation_id)) == [None, None]
    with pytest.raises(Refused, match="preservation_unanswered"):
        await providers.act("answer", removing(), notice_id)
    await answer(providers, preservation_id, PRESERVED)
    await correct(providers, preservation_id, REFUSED)
    await providers.act("answer", removing(), notice_id)
    assert await correct(providers, preservation_id, NOT_POSSIBLE) == "not_possible"


async def test_what_was_erased_is_not_said_to_be_kept_after_all(providers: Providers) -> None:
    """The location of the items is no longer known."""
    preservation_id = await fresh(providers)
    await answer(providers, preservation_id, REFUSED)
    async with providers.database.transaction(APPLYING) as session:
        erasing = "UPDATE preservation SET wrapped_key = NULL, content = '' WHERE preservation_id = $1"
        await session.driver.execute(erasing, preservation_id)
    with pytest.raises(Refused, match="record_erased"):
        await correct(providers, preservation_id, PRESERVED)
    assert await correct(providers, preservation_id, NOT_POSSIBLE) == "not_possible"


CORRECT, WITHDRAW, EXTEND = (row(Subject.PRESERVATION, name) for name in ("correct", "withdraw", "extend"))


@pytest.mark.parametrize("crossing", [WITHDRAW, EXTEND], ids=lambda each: each.name)
def test_a_correction_that_crosses_what_its_agency_asks_leads_both_to_the_same(crossing: Any) -> None:
    said = PreservationAnswering.model_validate(NOT_POSSIBLE)
    before = TrackState("open", "preserved")
    at_agency = told(CORRECT, acted(crossing, before, None), said)
    at_provider = told(crossing, acted(CORRECT, before, said), said)
    assert at_agency == at_provider
    assert shown_state(at_agency) == ("withdrawn" if crossing is WITHDRAW else "not_possible")


#: The first retention period, and the additional time of an extension.
TERMS = {"eu-2023-1543-preservation": timedelta(days=60), "eu-2023-1543-extension": timedelta(days=30)}


def runs_after(*answers: str, each_s: int) -> list[tuple[timedelta, bool]]:
    """Return the runs of a preservation served at `AT`: the start of each, and whether it is still running."""
    steps, before = [Step(AT, Effect.STARTS, ClockEvent.PRESERVATION_SERVED)], "none"
    for number, after in enumerate(answers, start=1):
        at = AT + timedelta(seconds=each_s * number)
        steps += clock_steps(PreservationKind.PRESERVE, before, after, number=number, told_at=at)
        before = after
    edge = preserved("police-nl.example", "provider-nl.example", "eu_2023_1543")
    found = runs(edge, steps, lambda _: Law(DIRECTORY, SAMPLE_LAW))
    standing = {None} if "extended" in answers else set()
    assert all(each.due_at in {each.started_at + TERMS[each.clock], *standing} for each in found)
    return sorted((each.started_at - AT, each.ended_at is None) for each in found)


@pytest.mark.parametrize("each_s", [0, 3600], ids=["at one time", "an hour apart"])
def test_what_is_kept_after_all_is_kept_for_a_whole_term_from_then_on(each_s: int) -> None:
    later = timedelta(seconds=2 * each_s)
    assert runs_after("preserved", "preserved", each_s=each_s) == [(timedelta(0), True)]
    assert runs_after("preserved", "not_possible", each_s=each_s) == [(timedelta(0), False)]
    assert runs_after("not_possible", "preserved", each_s=each_s) == [(timedelta(0), False), (later, True)]
    assert runs_after("refused", "preserved", "refused", each_s=each_s) == [(timedelta(0), False), (later, False)]
    longer = later + TERMS["eu-2023-1543-preservation"]
    extended = runs_after("refused", "preserved", "extended", each_s=each_s)
    assert extended == [(timedelta(0), False), (later, True), (longer, True)]
