"""Another agency that a case was passed on to has the referral as others have it: it asks, holds, and is told."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import httpx

from shared.contracts.passing import CaseReferredClear
from shared.contracts.questions import QuestionAskedClear
from shared.contracts.registry import CASE_REFERRED, QUESTION_ASKED
from shared.exchange.message import Received
from shared.exchange.questions import LAPSES_AFTER
from shared.vocabulary.agencies import CaseReferReason
from shared.vocabulary.questions import NeedsInfo
from shared.vocabulary.referral import WithdrawalReason
from tests.services.hotline.origin import APPLYING, Origin
from tests.services.hotline.test_amending import amended, client, filed
from tests.services.hotline.test_asked import STATED, answer, waits
from tests.services.hotline.test_holds import (
    SLOT,
    WINDOW,
    agencies_of,
    applied,
    no_objection,
    on,
    pass_time,
    place,
    planned,
    said,
    told,
)
from tests.services.outgoing import clear_parts
from tests.support.builders import PROVIDER

__all__ = ["client", "planned"]  # fixtures

OTHER = "police-de.example"


async def referred(origin: Origin, referral_id: UUID, by: str) -> Received:
    """One agency's word that it has passed the case on to another."""
    async with origin.database.transaction(APPLYING) as session:
        of = await session.driver.fetchval(
            "SELECT edge_id FROM edge WHERE referral_id = $1 AND recipient = $2 AND state = 'emitted'", referral_id, by
        )
    clear = CaseReferredClear(
        agency=OTHER, because=CaseReferReason.SUSPECT_ELSEWHERE, of=of, edge=UUID(int=of.int ^ 1), **on(referral_id, 1)
    )
    return said(CASE_REFERRED, clear, by, origin.clock.now())


async def passed_on(origin: Origin, referral_id: UUID) -> list[str]:
    """The agencies that the referral was sent to, the first of which has passed it on."""
    agencies = await agencies_of(origin, referral_id)
    assert OTHER not in agencies
    assert await applied(origin, await referred(origin, referral_id, agencies[0])) == [None]
    return agencies


async def test_what_it_asks_its_origin_can_answer(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, _ = await filed(client)
    await passed_on(origin, referral_id)
    due = origin.clock.now() + LAPSES_AFTER
    asked = QuestionAskedClear(about=(1,), needs=(NeedsInfo.WHY_ILLEGAL,), due=due, **on(referral_id, 1))
    assert await applied(origin, said(QUESTION_ASKED, asked, OTHER, origin.clock.now())) == [None]
    assert await waits(origin, referral_id) == [("needs_info", "reply")]
    replying = {"party": OTHER, "question": 1, "replied": STATED}
    assert await answer(client, referral_id, "reply", replying) == (202, "routed")
    *_, (kind, _, to, *_) = await clear_parts(origin.database, referral_id)
    assert (kind, to) == ("causeway.question_replied.v1", OTHER)


async def test_its_hold_outlasts_an_amendment(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    await passed_on(origin, referral_id)
    assert await applied(origin, place(origin, referral_id, OTHER, WINDOW + timedelta(hours=8))) == [None]
    await amended(client, referral_id, body | {"media_kind": "video"})
    assert await told(origin, "hold_ended") == []


async def test_it_may_hold_as_long_as_it_has_not_said_that_it_does_not(
    origin: Origin, client: httpx.AsyncClient
) -> None:
    referral_id, _ = await filed(client)
    _, *others = await passed_on(origin, referral_id)
    await applied(origin, *(no_objection(origin, referral_id, each) for each in others))
    await pass_time(origin, SLOT)
    assert not [row for row in await origin.waiting() if row.draft.recipient == PROVIDER], "the other has not looked"
    await applied(origin, no_objection(origin, referral_id, OTHER))
    await pass_time(origin, SLOT)
    assert [row for row in await origin.waiting() if row.draft.recipient == PROVIDER]


async def test_a_withdrawal_that_crosses_it_reaches_whoever_has_the_case_now(origin: Origin) -> None:
    referral_id = await origin.file()
    first, *_ = await agencies_of(origin, referral_id)
    word = await referred(origin, referral_id, first)
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await applied(origin, word) == [None]
    await origin.bus.missing(APPLYING)
    of_it = await clear_parts(origin.database, referral_id)
    assert ("causeway.referral_withdrawn.v1", OTHER) in [(kind, to) for kind, _, to, *_ in of_it]
