"""What a recipient says that it holds, compared with what its origin has: what either side has forgotten shows.

The database is real, and shared by the tests of this service: each looks at its own referrals.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from shared.contracts.delivery import HeldEdge, StandingClear
from shared.contracts.registry import NOTICE_WITHDRAWN
from shared.exchange.message import Draft
from shared.kernel.canonical import digest
from shared.kernel.ids import uuid4, uuid7
from shared.party.origin.store import standings
from shared.runtime.post.ports import Signed
from shared.vocabulary.answers import ReceiptOutcome
from shared.vocabulary.referral import WithdrawalReason
from tests.services.hotline.origin import APPLYING, Origin
from tests.services.hotline.test_moves import NEW, acknowledged, answered, follow
from tests.support.builders import AT, PROVIDER, settlement
from tests.support.exchange_world import move, opened, told_to_audit

INDUSTRY = "industry"
_STRAYS = "SELECT instance, edge_id FROM stray ORDER BY edge_id"
_MISSING = "SELECT count(*) FROM edge WHERE missing"


@pytest.fixture(autouse=True)
async def _nothing_else_is_here(origin: Origin) -> None:
    """What other tests have filed lies nowhere, and nothing of it is listed."""
    async with origin.database.transaction(APPLYING) as session:
        await session.driver.execute("UPDATE edge SET state = 'superseded', missing = false WHERE state = 'emitted'")
        await session.driver.execute("DELETE FROM stray")
        await session.driver.execute("UPDATE referral SET work_reason = NULL WHERE work_reason = 'recipient_ahead'")


async def delivered(origin: Origin) -> tuple[UUID, Signed]:
    """A referral, and the notice to the provider, all of it receipted; the outbox is empty."""
    referral_id = await origin.file()
    rows = await origin.waiting()
    [notice] = [each for each in rows if each.draft.recipient == PROVIDER]
    await origin.forget()
    return referral_id, notice


def edge_of(notice: Draft) -> UUID:
    return UUID(json.loads(notice.body)["clear"]["edge_id"])


def held(notice: Signed, **changes: Any) -> HeldEdge:
    stated = {"edge_id": edge_of(notice.draft), "digest": notice.digest, "track": 0, "withdrawn": False}
    return HeldEdge.model_validate(stated | changes)


async def stood(origin: Origin, *edges: HeldEdge, by: str = INDUSTRY, **bounds: UUID) -> list[Signed]:
    """What goes out after an instance has said what it holds."""
    standing = StandingClear(held=tuple(sorted(edges, key=lambda each: each.edge_id)), **bounds)
    async with origin.database.transaction(APPLYING) as session:
        unit: Any = type("Unit", (), {"connection": session})()
        await origin.bus.compare(unit, by, standing)
    await origin.bus.missing(APPLYING)
    return [each for each in await origin.waiting() if each.draft.recipient != "audit"]


async def strays(origin: Origin) -> list[tuple[str, UUID]]:
    return [tuple(row) for row in await origin.database.fetch(_STRAYS)]


def messages(rows: Sequence[Signed]) -> list[tuple[str, UUID]]:
    return [(each.draft.recipient, edge_of(each.draft)) for each in rows]


async def test_what_is_not_held_is_issued_anew_under_its_own_ids_and_once(origin: Origin) -> None:
    _, notice = await delivered(origin)
    [again] = await stood(origin)
    assert messages([again]) == [(PROVIDER, edge_of(notice.draft))]
    assert again.draft.subject == notice.draft.subject
    assert opened(origin.world, again.draft)["again"] == {"restored": True, "answer": "none", "number": 0}
    [fact] = [row.draft for row in await origin.waiting() if row.draft.recipient == "audit"]
    assert told_to_audit(origin.world, fact)["superseded"] == [str(edge_of(notice.draft))]
    assert len(await stood(origin)) == 1, "it is under way"


async def test_what_is_held_or_under_way_or_was_refused_is_let_be(origin: Origin) -> None:
    _, notice = await delivered(origin)
    assert await stood(origin, held(notice)) == []
    await origin.file()
    before = messages(await origin.waiting_edges())
    assert messages(await stood(origin, held(notice))) == before, "nobody has answered for these yet"
    await origin.receipted(await origin.waiting(), "refused")
    assert messages(await stood(origin, held(notice))) == before, "it would be refused again"
    await origin.receipted(await origin.waiting(), "applied")
    assert len(await stood(origin, held(notice))) == len(before) + 1, "control"


async def test_an_earlier_revision_is_issued_anew(origin: Origin) -> None:
    """The row says what an amendment has."""
    referral_id, notice = await delivered(origin)
    assert await stood(origin, held(notice, revision=1)) == []
    async with origin.database.transaction(APPLYING) as session:
        await session.driver.execute("UPDATE edge SET revision = 2 WHERE referral_id = $1", referral_id)
    [again] = await stood(origin, held(notice, revision=1))
    assert messages([again]) == [(PROVIDER, edge_of(notice.draft))]


async def test_what_an_amendment_took_back_is_not_ahead(origin: Origin) -> None:
    """Its recipient has a withdrawal of ours, and so have we: of the edge, not of the referral."""
    referral_id, notice = await delivered(origin)
    await stood(origin, held(notice, withdrawn=True))
    assert await origin.work("recipient_ahead") == [referral_id], "control"
    async with origin.database.transaction(APPLYING) as session:
        await session.driver.execute("UPDATE referral SET work_reason = NULL WHERE referral_id = $1", referral_id)
        taken = "UPDATE edge SET taken_back = true WHERE referral_id = $1 AND notice_id IS NOT NULL"
        await session.driver.execute(taken, referral_id)
    await stood(origin, held(notice, withdrawn=True))
    assert await origin.work("recipient_ahead") == []


async def test_acts_that_a_recipient_has_forgotten_are_told_with_its_edge(origin: Origin) -> None:
    referral_id, notice = await delivered(origin)
    assert await answered(origin, acknowledged(notice.draft, by=INDUSTRY)) == {}
    assert await stood(origin, held(notice, track=1)) == []
    [again] = await stood(origin, held(notice))
    assert opened(origin.world, again.draft)["again"] == {"restored": True, "answer": "acknowledged", "number": 1}
    assert await origin.work("recipient_ahead") == []
    assert referral_id


async def test_acts_are_told_also_where_what_is_under_way_tells_fewer(origin: Origin) -> None:
    """Its recipient has forgotten it and what it did: taken later, what is under way would begin it from nothing."""
    await origin.file()
    [notice] = [each for each in await origin.waiting() if each.draft.recipient == PROVIDER]
    assert await answered(origin, acknowledged(notice.draft, by=INDUSTRY)) == {}

    async def noticed(*edges: HeldEdge) -> list[Draft]:
        return [each.draft for each in await stood(origin, *edges) if each.draft.recipient == PROVIDER]

    assert await noticed(held(notice, track=1)) == [notice.draft], "it is under way, and nothing is forgotten"
    [_, again] = await noticed()
    assert opened(origin.world, again)["again"] == {"restored": True, "answer": "acknowledged", "number": 1}
    assert len(await noticed()) == 2, "what is under way now tells of it"


async def test_a_part_says_nothing_of_what_lies_outside_its_bounds(origin: Origin) -> None:
    _, notice = await delivered(origin)
    edge = edge_of(notice.draft)
    assert await stood(origin, above=edge) == []
    assert await stood(origin, upto=UUID(int=edge.int - 1)) == []
    assert len(await stood(origin, above=UUID(int=edge.int - 1), upto=edge)) == 1


async def test_nothing_is_said_of_what_the_recipient_has_compacted(origin: Origin) -> None:
    _, notice = await delivered(origin)
    assert await stood(origin, compacted=notice.draft.message_id) == []
    assert len(await stood(origin, compacted=UUID(int=notice.draft.message_id.int - 1))) == 1, "control"


async def test_a_withdrawal_that_a_recipient_has_forgotten_is_told_again(origin: Origin) -> None:
    referral_id, notice = await delivered(origin)
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert [each.draft.recipient for each in await stood(origin, held(notice))].count(PROVIDER) == 1, "under way"
    await origin.forget()
    assert await stood(origin, held(notice, withdrawn=True)) == []
    assert await stood(origin) == [], "where the edge is forgotten there is nothing to take back"
    [again] = await stood(origin, held(notice))
    assert (again.draft.message, again.draft.subject) == (NOTICE_WITHDRAWN, notice.draft.subject)


async def test_what_was_taken_back_is_so_again_where_its_recipient_was_before_it_moved(origin: Origin) -> None:
    referral_id, notice = await delivered(origin)
    move(origin.world, PROVIDER)
    await follow(origin)
    assert {each.draft.recipient_instance for each in await stood(origin, held(notice))} == {NEW}, "it is open"
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    await origin.forget()
    shown = await origin.show(referral_id)
    assert await stood(origin, held(notice, withdrawn=True)) == []
    assert await stood(origin) == [], "where the edge is forgotten there is nothing to take back"
    [again] = await stood(origin, held(notice))
    assert (again.draft.message, again.draft.subject) == (NOTICE_WITHDRAWN, notice.draft.subject)
    assert again.draft.recipient_instance == INDUSTRY
    assert await origin.show(referral_id) == shown, "it is shown where it lies"
    [_, there] = await stood(origin, held(notice), by=NEW)
    assert there.draft.recipient_instance == NEW, "to each its own"


async def test_what_was_taken_back_is_so_where_its_recipient_is_by_now_though_that_is_forgotten_here(
    origin: Origin,
) -> None:
    """An origin that was restored to before it had followed a move. Nobody else is told what it says that it holds."""
    referral_id, notice = await delivered(origin)
    move(origin.world, PROVIDER)
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    await origin.forget()
    assert await stood(origin, held(notice), by="law_enforcement") == []
    [again] = await stood(origin, held(notice), by=NEW)
    assert (again.draft.message, again.draft.recipient_instance) == (NOTICE_WITHDRAWN, NEW)


async def test_what_nobody_can_be_told_any_more_is_let_be(origin: Origin) -> None:
    """Its recipient has left the directory since it has said that it holds it."""
    referral_id, notice = await delivered(origin)
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    await origin.forget()
    document = origin.world.document
    others = tuple(each for each in document.parties if each.id != PROVIDER)
    origin.world.place(document.model_copy(update={"version": 2, "parties": others}), AT)
    async with asyncio.timeout(30):
        assert await stood(origin, held(notice)) == []
    assert (await origin.database.fetch(_MISSING))[0][0] == 0


@pytest.mark.parametrize(("before", "again"), [(True, 1), (False, 0)], ids=["after", "with"])
async def test_what_is_taken_after_its_withdrawal_is_taken_back_once_more(
    origin: Origin, before: bool, again: int
) -> None:
    """As by a recipient that was restored between the two. Receipts that come together say nothing of their order."""
    referral_id, notice = await delivered(origin)
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    [withdrawal] = [each for each in await origin.waiting() if each.draft.message is NOTICE_WITHDRAWN]
    await origin.forget()
    taken = [notice] if before else [withdrawal, notice]
    assert [each.draft.message for each in await applied(origin, *taken)].count(NOTICE_WITHDRAWN) == again


async def test_an_earlier_message_of_it_that_is_taken_after_its_withdrawal_is_taken_back_too(origin: Origin) -> None:
    """As one that its recipient had parked, before it was restored to before the withdrawal."""
    referral_id, notice = await delivered(origin)
    [newer] = await stood(origin)
    await origin.forget()
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    await origin.forget()
    other = replace(notice, draft=replace(notice.draft, message_id=uuid7()))
    assert await applied(origin, other) == [], "it has not carried this edge"
    [again] = [each for each in await applied(origin, notice) if each.draft.recipient != "audit"]
    assert (again.draft.message, again.draft.subject) == (NOTICE_WITHDRAWN, newer.draft.subject)


async def test_what_is_taken_late_where_its_recipient_was_is_taken_back_there(origin: Origin) -> None:
    referral_id, notice = await delivered(origin)
    move(origin.world, PROVIDER)
    await follow(origin)
    await origin.forget()
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    await origin.forget()
    [again] = [each for each in await applied(origin, notice) if each.draft.recipient != "audit"]
    assert (again.draft.message, again.draft.recipient_instance) == (NOTICE_WITHDRAWN, INDUSTRY)


@pytest.mark.parametrize("first", [INDUSTRY, NEW])
async def test_what_is_taken_late_at_both_places_at_once_is_taken_back_at_both(origin: Origin, first: str) -> None:
    """Their receipts come in one batch, in whichever order."""
    referral_id, notice = await delivered(origin)
    move(origin.world, PROVIDER)
    await follow(origin)
    [moved] = [each for each in await origin.waiting() if each.draft.recipient == PROVIDER]
    await origin.forget()
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    await origin.forget()
    taken = {INDUSTRY: notice, NEW: moved}
    said = [(taken.pop(first), first), *((row, by) for by, row in taken.items())]
    again = [each.draft for each in await settled(origin, said) if each.draft.message is NOTICE_WITHDRAWN]
    assert sorted(each.recipient_instance for each in again) == [INDUSTRY, NEW]


async def applied(origin: Origin, *rows: Signed, by: str = INDUSTRY) -> list[Signed]:
    """What goes out after an instance has said that it applied these."""
    return await settled(origin, [(each, by) for each in rows])


async def settled(origin: Origin, taken: Sequence[tuple[Signed, str]]) -> list[Signed]:
    """What goes out after each of these was applied by an instance, as receipts of one batch say."""
    async with origin.database.transaction(APPLYING) as session:
        unit: Any = type("Unit", (), {"connection": session})()
        said = [
            settlement(
                each.draft.message_id,
                each.digest,
                ReceiptOutcome.APPLIED,
                by=by,
                edge_id=json.loads(each.draft.body)["clear"].get("edge_id"),
            )
            for each, by in taken
        ]
        await origin.bus.settled(unit, said)
    await origin.bus.missing(APPLYING)
    return await origin.waiting()


async def test_edges_that_we_have_forgotten_are_listed_until_they_are_not_held(origin: Origin) -> None:
    _, notice = await delivered(origin)
    forgotten = HeldEdge(edge_id=uuid4(), digest="4b" * 32, track=0, withdrawn=False)
    for _ in range(2):
        assert await stood(origin, held(notice), forgotten) == []
        assert await strays(origin) == [(INDUSTRY, forgotten.edge_id)]
    await stood(origin, held(notice))
    assert await strays(origin) == []


@pytest.mark.parametrize(
    "ahead", [{"track": 1}, {"withdrawn": True}, {"digest": "4b" * 32}], ids=["acts", "withdrawal", "message"]
)
async def test_what_a_recipient_knows_and_we_do_not_goes_on_the_work_list(
    origin: Origin, ahead: dict[str, object]
) -> None:
    """Nothing is raised or taken back by itself: what one recipient says must not reach the others."""
    referral_id = await origin.file()
    await origin.receipted(await origin.waiting(), "applied")
    [notice] = [each for each in await origin.waiting() if each.draft.recipient == PROVIDER]
    before = len(await origin.waiting())
    await stood(origin, held(notice))
    assert await origin.work("recipient_ahead") == []
    await stood(origin, held(notice, **ahead))
    assert await origin.work("recipient_ahead") == [referral_id]
    assert len(await origin.waiting()) == before
    assert (await origin.show(referral_id))["state"] == "routed"


async def test_what_is_refused_as_taken_back_and_was_not_here_goes_on_the_work_list(origin: Origin) -> None:
    """Its recipient has our withdrawal and never had the edge: no standing names it."""
    referral_id, taken_back = await origin.file(), await origin.file()
    await origin.withdraw(taken_back, WithdrawalReason.FILED_IN_ERROR)
    rows = await origin.waiting()
    await origin.refused(rows, "guard_refused")
    assert await origin.work("recipient_ahead") == []
    await origin.refused(rows, "subject_withdrawn")
    assert await origin.work("recipient_ahead") == [referral_id]


async def test_a_liar_costs_nobody_else_anything(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance speaks of what lies with it, and what it invents is bounded."""
    monkeypatch.setattr(standings, "STRAYS_MAX", 2)
    referral_id, notice = await delivered(origin)
    by_other = await stood(origin, held(notice, track=9, withdrawn=True), by="law_enforcement")
    assert {each.draft.recipient_instance for each in by_other} == {"law_enforcement"}, "what it says that it lacks"
    assert PROVIDER not in {each.draft.recipient for each in by_other}
    assert await origin.work("recipient_ahead") == []
    assert await strays(origin) == [("law_enforcement", edge_of(notice.draft))]
    for _ in range(5):
        await stood(
            origin, *(HeldEdge(edge_id=uuid4(), digest=digest(b""), track=0, withdrawn=False) for _ in range(2))
        )
    assert len(await strays(origin)) <= 3
    assert referral_id


async def test_many_are_issued_in_batches(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.party.origin.bus.DUE_MAX", 2)
    edges = sorted([edge_of((await delivered(origin))[1].draft) for _ in range(5)])
    assert sorted(edge for _, edge in messages(await stood(origin))) == edges
    assert (await origin.database.fetch(_MISSING))[0][0] == 0
