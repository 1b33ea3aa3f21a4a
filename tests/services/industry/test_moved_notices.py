"""A notice that moved here with its provider has its old state until something is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from shared.core.contracts.answers import ItemStatement, NoticeStatements
from shared.core.contracts.items import AnswerTrack
from shared.core.ids import uuid7
from shared.core.vocabulary.answers import NoticeAction
from tests.services.deliveries import OTHER_HOTLINE, issued, notice_withdrawn
from tests.services.industry.provider import Providers

REST = NoticeStatements(items=(ItemStatement(action=NoticeAction.REMOVED),))


def so_far(answer: str, number: int, *, moved: bool = True, removed: tuple[int, ...] = ()) -> AnswerTrack:
    items = [{"n": n, "round": 1, "action": "removed"} for n in removed]
    return AnswerTrack.model_validate({"moved": moved, "answer": answer, "number": number, "items": items})


async def state(providers: Providers, notice_id: UUID) -> str:
    return str((await providers.show(notice_id))["state"])


async def numbers(providers: Providers, notice_id: UUID) -> list[Any]:
    return [told["number"] for _, _, _, _, told in await providers.sent(notice_id)]


async def test_it_begins_as_it_stood_and_its_next_answer_counts_on(providers: Providers) -> None:
    notice_id = uuid7()
    assert await providers.receive(issued(notice_id, items=2, again=so_far("in_part", 2, removed=(1,)))) == [None]
    assert await state(providers, notice_id) == "in_part"
    assert await providers.act("answer", REST, notice_id) == "actioned"
    assert await numbers(providers, notice_id) == [3]


async def test_what_came_late_elsewhere_is_taken_up_while_nothing_was_done_here(providers: Providers) -> None:
    notice_id = uuid7()
    late = issued(notice_id, again=so_far("acknowledged", 1, moved=False))
    assert await providers.receive(issued(notice_id, again=so_far("none", 0)), late) == [None, None]
    assert await state(providers, notice_id) == "acknowledged"


async def test_once_something_was_done_here_that_counts(providers: Providers) -> None:
    notice_id = uuid7()
    await providers.receive(issued(notice_id, again=so_far("none", 0)))
    await providers.act("acknowledge", None, notice_id)
    late = issued(notice_id, again=so_far("actioned", 1, moved=False, removed=(1,)))
    assert await providers.receive(late) == [None]
    assert await state(providers, notice_id) == "acknowledged"


async def test_what_was_done_here_and_forgotten_counts_again(providers: Providers) -> None:
    """The database was restored: it knows the first act but not the second. The next act gets the next number."""
    notice_id = await providers.issue(items=2)
    await providers.act("acknowledge", None, notice_id)
    known = so_far("acknowledged", 1, moved=False).model_copy(update={"restored": True})
    assert await providers.receive(issued(notice_id, items=2, again=known)) == [None], "sent again while in transit"
    again = so_far("in_part", 2, moved=False, removed=(1,))
    assert await providers.receive(issued(notice_id, items=2, again=again)) == [None]
    assert await state(providers, notice_id) == "acknowledged", "control: a late answer from elsewhere"
    restored = again.model_copy(update={"restored": True})
    told = [await providers.receive(issued(notice_id, items=2, again=restored))]
    assert await state(providers, notice_id) == "acknowledged", "control: nothing was forgotten"
    async with providers.database.transaction() as session:
        await session.driver.execute("INSERT INTO incarnation VALUES ('industry', 'hotline', gen_random_uuid())")
    told.append(await providers.receive(issued(notice_id, items=2, again=restored)))
    assert told == [["statement_not_yours"], [None]]
    assert await state(providers, notice_id) == "in_part"
    assert await providers.act("answer", REST, notice_id) == "actioned"
    assert await numbers(providers, notice_id) == [1, 3]


async def test_what_was_taken_back_stays_so(providers: Providers) -> None:
    notice_id = uuid7()
    await providers.receive(issued(notice_id, again=so_far("none", 0)), notice_withdrawn(notice_id))
    late = issued(notice_id, again=so_far("acknowledged", 1, moved=False))
    assert await providers.receive(late) == [None]
    assert await state(providers, notice_id) == "withdrawn"


async def test_somebody_else_takes_up_nothing(providers: Providers) -> None:
    notice_id = await providers.issue()
    foreign = issued(notice_id, notifier=OTHER_HOTLINE, again=so_far("actioned", 1, moved=False))
    assert await providers.receive(foreign) == ["notice_exists"]
    assert await providers.receive(issued(notice_id)) == ["notice_exists"]


async def test_a_withdrawal_of_what_the_old_instance_never_took_is_applied(providers: Providers) -> None:
    """The old instance answered `moved` for the notice.

    The instance that serves the party now does not know of this.
    """
    gone = replace(notice_withdrawn(uuid7()), moved=True)
    assert await providers.receive(gone) == [None]
    assert await providers.receive(notice_withdrawn(uuid7())) == ["notice_unknown"]
