"""A case is referred to another agency. That agency asks, places holds and receives messages like the others."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID

import httpx
import pytest

from shared.core.authority import Role
from shared.core.contracts.case_referral import CaseReferredClear
from shared.core.protocol.message import Received
from shared.core.vocabulary.referral import WithdrawalReason
from shared.features.filing.store.edge_rows import referral_words
from shared.platform.database.transactions import RowScope
from tests.services.hotline.origin import APPLYING, Origin, act, applied, said
from tests.services.hotline.test_amending import amended, filed
from tests.services.hotline.test_asked import last_due, replying, waits
from tests.services.hotline.test_attention import about
from tests.services.hotline.test_holds import (
    SLOT,
    WINDOW,
    agencies_of,
    no_objection,
    pass_time,
    place,
    stated,
    told,
)
from tests.services.outgoing import clear_parts
from tests.support.builders import HOTLINE, PROVIDER
from tests.support.running import until

pytestmark = pytest.mark.usefixtures("planned")

OTHER = "police-de.example"
NEWER = "policy_not_in_force"


async def attention(origin: Origin, referral_id: UUID) -> list[tuple[list[str], str, str | None, str]]:
    rows = await about(origin, referral_id)
    return [(row["reasons"], row["party"], row.get("code"), row["mend"]) for row in rows]


async def answers(origin: Origin, referral_id: UUID) -> list[tuple[str, str]]:
    return [(each["recipient"], each["answer"]) for each in (await origin.show(referral_id))["edges"]]


async def words(origin: Origin, referral_id: UUID) -> list[tuple[str | None, str, object]]:
    """Return the answers in the timeline: the agency, the resulting state, and the code of a returned case."""
    async with origin.database.transaction(RowScope([HOTLINE], Role.VIEWER, "read")) as session:
        said = await referral_words(session.driver, HOTLINE, referral_id)
    return [(each.by, each.state, each.words.get("code")) for each in said]


async def states(origin: Origin, referral_id: UUID) -> list[tuple[str, str]]:
    """Return the referral's holds at its origin."""
    return [(each["agency"], each["state"]) for each in (await origin.show(referral_id))["holds"]]


async def issued(origin: Origin, referral_id: UUID) -> bool:
    edges = (await origin.show(referral_id))["edges"]
    return any(each["delivery"] != "planned" for each in edges if each["recipient"] == PROVIDER)


async def edge_of(origin: Origin, referral_id: UUID, agency: str) -> UUID:
    of = "SELECT edge_id FROM edge WHERE referral_id = $1 AND recipient = $2 AND state IN ('emitted', 'referred')"
    ((edge_id,),) = await origin.sql(of, referral_id, agency)
    return UUID(str(edge_id))


async def referred(origin: Origin, referral_id: UUID, by: str) -> Received:
    """Return an agency's statement that it has referred the case to another agency."""
    of = await edge_of(origin, referral_id, by)
    words = {"agency": OTHER, "reason": "suspect_elsewhere", "from_edge_id": of, "edge_id": UUID(int=of.int ^ 1)}
    return stated(origin, "case_referred", referral_id, by, **words)


async def passed_on(origin: Origin, referral_id: UUID) -> list[str]:
    """Return the agencies that the referral was sent to. The first of them has referred it."""
    agencies = await agencies_of(origin, referral_id)
    assert OTHER not in agencies
    assert await applied(origin, await referred(origin, referral_id, agencies[0])) == [None]
    return agencies


async def passed(origin: Origin, client: httpx.AsyncClient) -> tuple[UUID, str, Received]:
    """Submit a referral; return it, the agency that has it, and the agency's statement that it referred the case."""
    referral_id, _ = await filed(client)
    first, *_ = await agencies_of(origin, referral_id)
    return referral_id, first, await referred(origin, referral_id, first)


async def test_its_answer_may_wait_for_the_transaction_that_makes_its_edge(
    origin: Origin, client: httpx.AsyncClient
) -> None:
    """The statement and the answer come from two instances, so two transactions apply them at once."""
    referral_id, _, statement = await passed(origin, client)
    accepted = said("case_accepted", referral_id, OTHER, number=1)
    async with origin.database.transaction(APPLYING) as session:
        await session.driver.fetch("SELECT FROM edge WHERE subject = $1 FOR UPDATE", referral_id)
        both = []
        for waiting, message in enumerate((statement, accepted), start=1):
            both.append(asyncio.create_task(applied(origin, message)))
            await until(partial(are_blocked, origin, waiting))
    assert await asyncio.gather(*both) == [[None], [None]]


async def are_blocked(origin: Origin, count: int) -> bool:
    """Return whether this many other connections to the database wait for a lock."""
    blocked = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return len(await origin.database.fetch(blocked)) >= count


async def test_what_it_asks_its_origin_can_answer(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, _ = await filed(client)
    await passed_on(origin, referral_id)
    words = {"about": (1,), "needs": ("why_illegal",), "due": last_due(origin)}
    assert await applied(origin, said("question_asked", referral_id, OTHER, **words)) == [None]
    assert await waits(origin, referral_id) == [("needs_info", "reply")]
    assert await act(client, referral_id, "reply", replying() | {"party": OTHER}) == (202, "routed")
    *_, (kind, _, to, *_) = await clear_parts(origin.database, referral_id)
    assert (kind, to) == ("causeway.question_replied.v1", OTHER)


async def test_its_hold_outlasts_an_amendment(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    await passed_on(origin, referral_id)
    assert await applied(origin, place(origin, referral_id, OTHER, WINDOW + timedelta(hours=8))) == [None]
    await amended(client, referral_id, body | {"media_kind": "video"})
    assert await told(origin, "hold_ended") == []


async def test_it_may_hold_until_it_has_said_that_it_does_not(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, _ = await filed(client)
    _, *others = await passed_on(origin, referral_id)
    await applied(origin, *(no_objection(origin, referral_id, each) for each in others))
    await pass_time(origin, SLOT)
    assert not [row for row in await origin.waiting() if row.recipient == PROVIDER], "the other has not looked"
    await applied(origin, no_objection(origin, referral_id, OTHER))
    await pass_time(origin, SLOT)
    assert [row for row in await origin.waiting() if row.recipient == PROVIDER]


async def test_a_withdrawal_that_crosses_it_reaches_whoever_has_the_case_now(origin: Origin) -> None:
    referral_id = await origin.file()
    first, *_ = await agencies_of(origin, referral_id)
    word = await referred(origin, referral_id, first)
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await applied(origin, word) == [None]
    await origin.bus.missing(APPLYING)
    of_it = await clear_parts(origin.database, referral_id)
    assert ("causeway.referral_withdrawn.v1", OTHER) in [(kind, to) for kind, _, to, *_ in of_it]


def came_back(origin: Origin, word: Received, number: int = 2, **changes: object) -> Received:
    """Return the same agency's statement that the other agency's instance has refused the case."""
    gone = passing(word)
    words = {"agency": gone.agency, "edge_id": gone.edge_id, "code": NEWER, "stands": "none", "times": 1} | changes
    return stated(origin, "case_came_back", gone.referral_id, word.sender, number, **words)


def passing(word: Received) -> CaseReferredClear:
    assert isinstance(word.clear, CaseReferredClear)
    return word.clear


def anew(origin: Origin, word: Received, number: int, **changes: object) -> Received:
    """Return the same statement under another number, about another edge or the one in `changes`."""
    gone = passing(word)
    words = gone.model_dump(exclude={"referral_id", "revision", "act", "number"})
    words |= {"edge_id": UUID(int=gone.edge_id.int ^ number << 64)} | changes
    return stated(origin, "case_referred", gone.referral_id, word.sender, number, **words)


async def test_what_the_other_could_not_take_is_the_firsts_again(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, first, word = await passed(origin, client)
    assert await applied(origin, word) == [None]
    assert await attention(origin, referral_id) == []
    assert await applied(origin, came_back(origin, word)) == [None]
    assert {who: said for who, said in await answers(origin, referral_id) if who in (first, OTHER)} == {first: "none"}
    assert await attention(origin, referral_id) == [(["came_back"], first, NEWER, "call")]
    assert await words(origin, referral_id) == [(first, "referred", None), (first, "none", NEWER)]
    assert await applied(origin, anew(origin, word, 3)) == [None]
    assert await attention(origin, referral_id) == [], "it was passed on once more"
    assert (OTHER, "none") in await answers(origin, referral_id)


async def test_only_what_was_passed_on_comes_back_as_it_can_be(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, _ = await filed(client)
    first, second, *_ = await agencies_of(origin, referral_id)
    word = await referred(origin, referral_id, first)
    assert await applied(origin, came_back(origin, word)) == ["answer_unmatched"]
    assert await applied(origin, word) == [None]
    assert await applied(origin, came_back(origin, word, edge_id=UUID(int=7))) == ["answer_unmatched"]
    assert await applied(origin, replace(came_back(origin, word), sender=second)) == ["answer_unmatched"]
    assert dict(await answers(origin, referral_id))[OTHER] == "none"


async def test_the_others_clocks_end_and_the_firsts_begin_again(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, first, word = await passed(origin, client)
    await applied(origin, word)
    await applied(origin, came_back(origin, word))
    steps = await origin.sql(
        "SELECT recipient, step->>1 AS did, step->>2 AS code, (step->3)::int AS number "
        "FROM deadline, jsonb_array_elements(steps) AS step WHERE coalesce(known_as, subject) = $1",
        referral_id,
    )
    told = {tuple(each) for each in steps}
    assert (OTHER, "ends", "", 0) in told
    assert (first, "starts", "report_sent", 1) in told


async def test_who_passed_it_on_holds_no_more_the_next_may(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, _ = await filed(client)
    first, *others = await agencies_of(origin, referral_id)
    await applied(origin, *(no_objection(origin, referral_id, each) for each in others))
    held = place(origin, referral_id, first, WINDOW + timedelta(hours=8))
    assert await applied(origin, held) == [None]
    origin.clock.advance((WINDOW - timedelta(hours=1)).total_seconds())
    assert await applied(origin, anew(origin, await referred(origin, referral_id, first), 2)) == [None]
    (ended,) = [each for each in await told(origin, "hold_ended") if each["referral_id"] == str(referral_id)]
    assert (ended["end"], await states(origin, referral_id)) == ("released", [(first, "released")])
    await pass_time(origin, timedelta(hours=2))
    assert not await issued(origin, referral_id), "the window of the first is over, and the other has not looked"
    assert await applied(origin, no_objection(origin, referral_id, OTHER)) == [None]
    await pass_time(origin, SLOT)
    assert await issued(origin, referral_id), "nobody holds it"


async def test_what_was_held_is_left_no_longer_than_allowed(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, _ = await filed(client)
    first, *others = await agencies_of(origin, referral_id)
    await applied(origin, *(no_objection(origin, referral_id, each) for each in others))
    await applied(origin, place(origin, referral_id, first, 3 * WINDOW))
    origin.clock.advance((WINDOW - timedelta(hours=1)).total_seconds())
    word = anew(origin, await referred(origin, referral_id, first), 2)
    await applied(origin, word)
    # The notice moves again in the same way: from the rule's own window, not from the moved one.
    await applied(origin, came_back(origin, word, 3))
    await applied(origin, place(origin, referral_id, first, 3 * WINDOW, 4), anew(origin, word, 5))
    await pass_time(origin, WINDOW - SLOT)
    assert not await issued(origin, referral_id)
    await pass_time(origin, 2 * SLOT)
    assert await issued(origin, referral_id)


async def test_passed_to_one_agency_twice_at_once_it_answers(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, _, word = await passed(origin, client)
    again = anew(origin, word, 3)
    assert await applied(origin, word, came_back(origin, word), again) == [None, None, None]
    assert await edge_of(origin, referral_id, OTHER) == passing(again).edge_id
    assert await applied(origin, no_objection(origin, referral_id, OTHER)) == [None]


async def test_nobody_names_an_edge_that_another_has(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, _ = await filed(client)
    first, second, *_ = await agencies_of(origin, referral_id)
    word = await referred(origin, referral_id, first)
    for agency in (second, first):
        taken = await edge_of(origin, referral_id, agency)
        assert await applied(origin, anew(origin, word, 1, edge_id=taken)) == ["edge_exists"]
    assert await applied(origin, word) == [None]


async def test_what_came_back_ends_only_the_edge_of_whom_it_names(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, _ = await filed(client)
    elsewhere, _ = await filed(client)
    first, second, *_ = await agencies_of(origin, referral_id)
    other = await referred(origin, elsewhere, first)
    # An agency with an edge of its own gets no other, so the id is free for the other referral.
    word = anew(origin, await referred(origin, referral_id, first), 1, agency=second, edge_id=passing(other).edge_id)
    assert await applied(origin, word, other) == [None, None]
    assert await applied(origin, came_back(origin, word)) == [None]
    assert await applied(origin, no_objection(origin, elsewhere, OTHER)) == [None]


async def test_what_the_other_has_answered_does_not_come_back(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, first, word = await passed(origin, client)
    assert await applied(origin, word) == [None]
    back = came_back(origin, word)
    assert await applied(origin, no_objection(origin, referral_id, OTHER), back) == [None, "edge_exists"]
    assert dict(await answers(origin, referral_id))[first] == "referred"


async def test_a_hold_ends_with_its_passing_though_the_case_is_back(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, _ = await filed(client)
    first, *_ = await agencies_of(origin, referral_id)
    assert await applied(origin, place(origin, referral_id, first, WINDOW)) == [None]
    word = anew(origin, await referred(origin, referral_id, first), 2)
    back, held = came_back(origin, word, 3), place(origin, referral_id, first, WINDOW, 4)
    assert await applied(origin, word, back, held) == [None, None, None]
    assert sorted(await states(origin, referral_id)) == [(first, "active"), (first, "released")]
