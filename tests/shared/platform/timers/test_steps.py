"""Steps of acts on a real database: each transaction writes a deadline once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from shared.core.authority import Role
from shared.core.ids import uuid4
from shared.core.protocol.clocks import EdgeStep
from shared.core.routing.clocks import LawAt
from shared.core.vocabulary.answers import AnswerState
from shared.platform.database.transactions import Database, RowScope
from shared.platform.timers.timers import begin_like, clock, end
from tests.shared.platform.timers.workers import (
    PARTY,
    SteppingClock,
    acting,
    begin,
    begun,
    law_at,
    look_through,
    notices,
    rows_of,
    steps_of,
    timers_kept,
    timers_of,
)


async def noted(database: Database, steps: Sequence[EdgeStep], *, law: LawAt | None = law_at) -> None:
    """Store an act with these steps, while the law is available."""
    async with acting(database, law) as session:
        await clock(session.driver, (), steps)


async def writes(database: Database) -> tuple[int, int, int]:
    """Return the rows of the table that were inserted, updated and deleted so far, in all sessions."""
    async with database.transaction() as session:
        await session.driver.execute("SELECT pg_stat_force_next_flush()")
    async with database.transaction() as session:
        query = "SELECT n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables WHERE relname = 'deadline'"
        return tuple(await session.driver.fetchrow(query))


async def test_an_act_counts_its_deadline_in_one_update_and_the_scheduler_has_nothing_to_do(database: Database) -> None:
    (edge,) = notices(1)
    clock = SteppingClock(edge.started_at)
    await begin(database, edge, law=law_at)
    before = await writes(database)
    for _ in range(2):  # the second time it is the same act, repeated
        await noted(database, steps_of(edge, AnswerState.ACKNOWLEDGED, edge.started_at))
    inserted, updated, deleted = (after - first for after, first in zip(await writes(database), before, strict=True))
    assert (inserted, updated, deleted) == (0, 1, 0)
    kept = await rows_of(database)
    assert await timers_of(database, clock).look() == 0
    assert await timers_of(database, clock).rebuild() == 1
    assert await rows_of(database) == kept
    assert "acknowledge-by" not in {name for _, (_, name, *_) in await timers_kept(database)}


async def test_steps_of_one_transaction_are_written_once(database: Database) -> None:
    (edge,) = notices(1)
    before = await writes(database)
    async with acting(database) as session:
        await clock(session.driver, [edge], steps_of(edge, AnswerState.ACKNOWLEDGED, edge.started_at))
        await clock(session.driver, (), steps_of(edge, AnswerState.REAPPEARED, edge.started_at))
    assert [after - first for after, first in zip(await writes(database), before, strict=True)] == [1, 0, 0]


async def test_without_law_an_act_leaves_the_count_to_the_scheduler(database: Database) -> None:
    (edge,) = await begun(database, 1)
    clock = SteppingClock(edge.started_at)
    await look_through(timers_of(database, clock))
    await noted(database, steps_of(edge, AnswerState.ACTIONED, edge.started_at), law=None)
    assert await timers_kept(database), "as they were"
    assert await timers_of(database, clock).look() == 1
    assert await timers_kept(database) == []


async def test_steps_are_written_under_the_scope_of_their_act(database: Database) -> None:
    (edge,) = notices(1)
    await begin(database, edge, law=law_at)
    async with acting(database) as session:
        await clock(session.driver, (), steps_of(edge, AnswerState.ACTIONED, edge.started_at))
        await session.bind(RowScope(["provider-de.example"], Role.VIEWER, "read"))
    assert await timers_kept(database) == []


async def test_a_step_that_is_rolled_back_to_a_savepoint_is_not_written(database: Database) -> None:
    (edge,) = notices(1)
    await begin(database, edge, law=law_at)
    kept = await rows_of(database)
    async with acting(database) as session:
        with suppress(ZeroDivisionError):
            async with session.savepoint():
                await clock(session.driver, (), steps_of(edge, AnswerState.ACTIONED, edge.started_at))
                raise ZeroDivisionError
    assert await rows_of(database) == kept


async def test_an_edge_that_is_begun_on_the_terms_of_another_and_ended_owes_nothing(database: Database) -> None:
    """All in one transaction, whose rows are not written yet."""
    (edge,) = notices(1)
    kept, ended = uuid4(), uuid4()
    async with acting(database) as session:
        await clock(session.driver, [edge], ())
        for new in (kept, ended):
            await begin_like(session.driver, edge.edge_id, new, recipient=PARTY, at=edge.started_at)
        await end(session.driver, [ended])
    owing = {edge_id for edge_id, _ in await timers_kept(database)}
    assert {row.edge.edge_id for row in await rows_of(database)} == {edge.edge_id, kept, ended}
    assert owing == {edge.edge_id, kept}
