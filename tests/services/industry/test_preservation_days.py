"""No preservation is valid until a day that has passed. Neither side accepts such a request or answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from shared.core.acts.act import Track
from shared.core.authority import Role
from shared.core.contracts.base import Contract
from shared.core.contracts.preservation import (
    PreservationAnsweredClear,
    PreservationExtensionRequestedClear,
    PreservationRequestedClear,
)
from shared.core.contracts.registry import PRESERVATION_ANSWERED
from shared.core.errors import Refused
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import Received
from shared.core.protocol.preservation import check_told_day
from shared.features.attention.rules import ListPlace
from shared.features.preservation.service import receive
from shared.features.preservation.store import PostgresPreservations, refused_waits, unanswered_waits
from shared.platform.database.transactions import RowScope
from tests.services.deliveries import AGENCY, AT, LOCATION, PROVIDER, issued, received
from tests.services.doors import BEGINNING
from tests.services.industry.provider import KEK, Providers
from tests.services.industry.test_preservation_before_removal import (
    NOT_POSSIBLE,
    PRESERVED,
    REFUSED,
    answer,
    asked,
    removing,
)
from tests.services.industry.test_questions import receipted
from tests.services.outgoing import about

PLACE = f"{LOCATION}/days"
OVER, TODAY = "2026-05-03", AT.date().isoformat()


def until(preservation_id: UUID, day: str) -> Received:
    """Return a request until a day, as an agency's instance sent it."""
    message = asked(preservation_id, location=PLACE)
    assert isinstance(message.clear, PreservationRequestedClear)
    terms = message.clear.model_dump(exclude={"term"}) | {"until": day}
    return replace(message, clear=PreservationRequestedClear.model_validate(terms))


async def test_a_provider_keeps_until_a_day_that_has_not_passed(providers: Providers) -> None:
    preservation_id = uuid7()
    assert await providers.receive(asked(preservation_id, location=PLACE)) == [None]
    with pytest.raises(Refused, match="day_over") as refused:
        await answer(providers, preservation_id, {"answer": "preserved", "until": OVER})
    assert refused.value.field == "/until"
    assert await answer(providers, preservation_id, {"answer": "preserved", "until": TODAY}) == "preserved"


async def test_beside_a_notice_the_field_says_which_of_them(providers: Providers) -> None:
    notice_id, first, second = uuid7(), uuid7(), uuid7()
    assert await providers.receive(issued(notice_id), asked(first), asked(second)) == [None, None, None]
    good, over = ({"answer": "preserved", "until": day} for day in (TODAY, OVER))
    with pytest.raises(Refused, match="day_over") as refused:
        await providers.act("answer", removing((first, good), (second, over)), notice_id)
    assert refused.value.field == "/preservations/1/until"
    await providers.act("answer", removing((first, good), (second, good)), notice_id)


async def test_what_an_agency_asks_until_a_day_that_had_passed_is_refused_by_its_code(providers: Providers) -> None:
    assert await providers.receive(until(uuid7(), OVER), until(uuid7(), TODAY)) == ["day_over", None]


NAMED = {"preservation_id": uuid7(), "act": uuid4(), "number": 2, "until": "2026-05-03"}


@pytest.mark.parametrize(
    "clear",
    [
        PreservationExtensionRequestedClear.model_validate(NAMED),
        PreservationAnsweredClear.model_validate(NAMED | {"answer": "preserved"}),
    ],
    ids=["extension", "answer"],
)
def test_either_side_refuses_what_was_over_when_it_was_sent(clear: Contract) -> None:
    """A clock that is five minutes slow still shows the day before."""
    check_told_day(clear, datetime(2026, 5, 4, 0, 4, 59, tzinfo=UTC))
    with pytest.raises(Refused, match="day_over"):
        check_told_day(clear, datetime(2026, 5, 4, 0, 5, tzinfo=UTC))


async def test_what_had_not_been_removed_when_it_was_said_is_refused_on_receipt() -> None:
    """It is stated as a day, and that day must have begun."""
    nothing: Any = SimpleNamespace(lock=_nothing, take_turns=_nothing)
    codes = []
    for ahead in (timedelta(0), timedelta(days=1)):
        said = {"preservation_id": uuid7(), "act": uuid4(), "number": 1, "answer": "too_late", "removed_at": AT + ahead}
        clear = PreservationAnsweredClear.model_validate(said)
        of = {"subject": clear.preservation_id, "sender": PROVIDER, "recipient": AGENCY}
        message = received(PRESERVATION_ANSWERED, clear, **of)
        codes += (await receive([message], nothing, track=Track.ANSWER)).values()
    # The other code only says that there is no such request.
    assert codes[1] == "time_ahead" != codes[0]


async def _nothing(_: object) -> dict[object, object]:
    return {}


async def test_what_the_other_side_refuses_has_its_code_and_waits_for_somebody(providers: Providers) -> None:
    preservation_id = uuid7()
    assert await providers.receive(asked(preservation_id, location=PLACE)) == [None]
    await answer(providers, preservation_id, {"answer": "preserved", "until": TODAY})
    (sent,) = await about(providers.database, preservation_id)
    others = [PROVIDER, "hotline-fr.example"]
    for message_id, parties in ((uuid7(), [AGENCY]), (sent.message_id, others), (sent.message_id, [AGENCY])):
        assert await refused(providers, preservation_id) == []
        await receipted(providers, message_id, "day_over", parties=parties)
    assert await refused(providers, preservation_id) == [("preservation_refused", "day_over", "refile")]


@pytest.mark.parametrize("then", ["refused", "not_possible", "preserved"])
async def test_a_refused_correction_waits_for_somebody_whatever_it_says(providers: Providers, then: str) -> None:
    """An answer can still be corrected. It is final once the request is withdrawn or has ended."""
    preservation_id = uuid7()
    assert await providers.receive(asked(preservation_id, location=PLACE)) == [None]
    await answer(providers, preservation_id, PRESERVED)
    said = {"refused": REFUSED, "not_possible": NOT_POSSIBLE, "preserved": PRESERVED}[then]
    await answer(providers, preservation_id, said, by="correct")
    *_, corrected = await about(providers.database, preservation_id)
    await receipted(providers, corrected.message_id, "act_refused_here", parties=[AGENCY])
    assert await refused(providers, preservation_id) == [("preservation_refused", "act_refused_here", "refile")]


async def refused(providers: Providers, preservation_id: UUID) -> list[tuple[str, str | None, str]]:
    """Return the reasons of the request in its provider's list."""
    async with providers.database.transaction(RowScope([PROVIDER], Role.ANALYST, "read")) as session:
        found = [one.row for one in await refused_waits(session.driver, PROVIDER, BEGINNING, rank_max=1, limit=10_000)]
        codes = {(await PostgresPreservations(session.driver, KEK).look(each.subject)).code for each in found}
    assert codes <= {each.code for each in found}
    return [(each.reasons[0], each.code, each.mend.value) for each in found if each.subject == preservation_id]


# -- An agency's preservation request is on the provider's attention list until it is answered.


#: A place without notices of other tests.
OTHER_PLACE = f"{LOCATION}/attention"


async def listed(
    providers: Providers, ids: set[UUID], above: ListPlace = BEGINNING, *, rank_max: int = 1
) -> list[ListPlace]:
    """Return these requests, among all that wait in the database."""
    async with providers.database.transaction(RowScope([PROVIDER], Role.ANALYST, "read")) as session:
        found = await unanswered_waits(session.driver, PROVIDER, above, rank_max=rank_max, limit=10_000)
    found = [each for each in found if each.row.subject in ids]
    assert all((each.row.party, each.row.reasons) == (AGENCY, ("preservation_unanswered",)) for each in found)
    return [each.place for each in found]


async def test_a_request_stands_there_until_it_is_answered(providers: Providers) -> None:
    first, second = sorted([uuid7(), uuid7()])
    await providers.receive(asked(second, location=OTHER_PLACE), asked(first, location=OTHER_PLACE))
    both = {first, second}
    places = await listed(providers, both)
    assert [place.id for place in places] == [first, second]
    assert await listed(providers, both, places[0]) == places[1:]
    assert await listed(providers, both, rank_max=0) == []
    await answer(providers, first, PRESERVED)
    assert await listed(providers, both) == places[1:]
