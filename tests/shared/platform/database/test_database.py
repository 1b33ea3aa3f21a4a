"""Transactions: atomic, bound to one scope that ends with them, and all faults are `Unavailable`."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from uuid import UUID

import asyncpg
import pytest

from shared.core.errors import Defect, Unavailable
from shared.core.ids import uuid7
from shared.platform.database.columns import Statement
from shared.platform.database.failure_isolation import ClaimedBatch, Isolation
from shared.platform.database.transactions import Database, RowScope, gather_part, take_parts, write_parts
from shared.platform.observability.retry_backoff import RetryBackoff
from tests.support.builders import AT
from tests.support.manual_clock import ManualClock

ADD = "INSERT INTO process_lease (name, holder, fencing_token, expires_at) VALUES ($1::uuid::text, $1, 1, now())"
COUNT = "SELECT count(*) FROM process_lease WHERE holder = $1"
BOUND = "SELECT current_setting('causeway.parties', true), current_setting('causeway.action', true)"


async def held(database: Database, subject: UUID) -> int:
    return int((await database.fetch(COUNT, subject))[0][0])


async def broken(database: Database, subject: UUID) -> None:
    async with database.transaction() as session:
        await session.driver.execute(ADD, subject)
        raise ZeroDivisionError


async def hanging(database: Database, subject: UUID) -> None:
    async with database.transaction() as session:
        await session.driver.execute(ADD, subject)
        await asyncio.Event().wait()


async def swallowing(database: Database, subject: UUID) -> None:
    async with database.transaction() as session:
        await session.driver.execute(ADD, subject)
        with suppress(asyncpg.UniqueViolationError):
            await session.driver.execute(ADD, subject)


async def test_what_ends_well_is_kept_and_what_fails_leaves_nothing(database: Database) -> None:
    kept, lost = uuid7(), uuid7()
    async with database.transaction() as session:
        await session.driver.execute(ADD, kept)
    with pytest.raises(ZeroDivisionError):
        await broken(database, lost)
    assert (await held(database, kept), await held(database, lost)) == (1, 0)


async def test_a_scope_is_bound_for_one_transaction_and_forgotten_after_it(database: Database) -> None:
    async with database.transaction(RowScope(["a.example", "b.example"], "service", "apply")) as session:
        assert tuple(await session.driver.fetchrow(BOUND)) == ("a.example,b.example", "apply")
    for _ in range(8):
        assert set((await database.fetch(BOUND))[0]) <= {"", None}


@pytest.mark.parametrize("text", ["a'; DROP TABLE outbox; --", "a\\", "A", "a b", "a\n"])
async def test_nothing_that_could_end_a_literal_is_bound(database: Database, text: str) -> None:
    for scope in (
        RowScope([text], "service", "apply"),
        RowScope(["a"], text, "apply"),
        RowScope(["a"], "service", text),
    ):
        with pytest.raises(Defect, match="scope_malformed"):
            async with database.transaction(scope):
                raise AssertionError("it was bound")


async def test_a_failure_that_was_swallowed_is_not_taken_for_success(database: Database) -> None:
    subject = uuid7()
    with pytest.raises(Defect, match="transaction_aborted"):
        await swallowing(database, subject)
    assert await held(database, subject) == 0


async def test_a_lost_connection_is_unavailable_and_the_next_one_works(database: Database) -> None:
    with pytest.raises(Unavailable, match="database_unavailable"):
        async with database.transaction() as session:
            await session.driver.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await held(database, uuid7()) == 0


@pytest.mark.timing
async def test_work_that_never_ends_is_undone_and_the_next_one_works(database: Database) -> None:
    database.work_s_max, lost, kept = 0.5, uuid7(), uuid7()
    with pytest.raises(Defect, match="work_hangs"):
        await hanging(database, lost)
    async with database.transaction() as session:
        await session.driver.execute(ADD, kept)
    assert (await held(database, lost), await held(database, kept)) == (0, 1)


@pytest.mark.timing
async def test_after_a_step_has_hung_the_next_ones_have_a_shorter_limit(database: Database) -> None:
    database.work_s_max, ends_s = 4.0, [time.monotonic()]
    async with database.transaction() as session:
        for _ in range(2):
            with pytest.raises(Defect, match="work_hangs"):
                async with session.savepoint():
                    await asyncio.Event().wait()
            ends_s.append(time.monotonic())
    assert ends_s[2] - ends_s[1] < 0.6 * (ends_s[1] - ends_s[0])


@pytest.mark.timing
async def test_work_that_hangs_holds_up_no_other_subject_of_its_batch(database: Database) -> None:
    stuck, done = (uuid7(), "party.example"), (uuid7(), "party.example")
    apart = Isolation(RetryBackoff(), ManualClock(AT))
    database.work_s_max = 0.5

    async def act(taking: ClaimedBatch) -> None:
        async with database.transaction() as session:
            for key in [each for each in (stuck, done) if each not in taking.but][: taking.limit]:
                taking.note([key])
                await session.driver.execute(ADD, key[0])
                await (asyncio.Event().wait() if key == stuck else asyncio.sleep(0))

    for _ in range(2):
        await apart.batch("work", 7, act)
    assert (await held(database, stuck[0]), await held(database, done[0])) == (0, 1)
    assert apart.aside.waiting("work", AT) == [stuck]


async def test_a_database_that_keeps_work_waiting_is_unavailable(database: Database) -> None:
    database.work_s_max = 0.4
    for depth in range(3):
        with pytest.raises(Unavailable, match="database_unavailable"):
            await sleeping(database, depth)


async def sleeping(database: Database, depth: int) -> None:
    async with database.transaction() as session, AsyncExitStack() as steps:
        for _ in range(depth):
            await steps.enter_async_context(session.savepoint())
        run = (session.driver.execute, session.driver.fetch, session.driver.executemany)[depth]
        await run("SELECT pg_sleep(30)", *([[()]] if depth == 2 else []))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT pg_terminate_backend(pg_backend_pid())", Unavailable),
        ("SELECT pg_cancel_backend(pg_backend_pid())", Unavailable),
        ("SELECT 1 / 0", asyncpg.DivisionByZeroError),
    ],
)
async def test_trouble_is_unavailable_within_a_savepoint_too_and_a_fault_stays_one(
    database: Database, statement: str, expected: type[Exception]
) -> None:
    left: list[Exception] = []
    with suppress(Unavailable):  # the end of a transaction on a lost connection
        async with database.transaction() as session:
            try:
                async with session.savepoint():
                    await session.driver.execute(statement)
            except Exception as error:
                left.append(error)
    assert [type(each) for each in left] == [expected]


async def test_a_savepoint_that_fails_undoes_those_within_it_and_none_before_it(database: Database) -> None:
    before, within, after = uuid7(), uuid7(), uuid7()
    async with database.transaction() as session:
        async with session.savepoint():
            await session.driver.execute(ADD, before)
        with suppress(ZeroDivisionError):
            async with session.savepoint():
                async with session.savepoint():
                    await session.driver.execute(ADD, within)
                raise ZeroDivisionError
        async with session.savepoint():
            await session.driver.execute(ADD, after)
    assert [await held(database, each) for each in (before, within, after)] == [1, 0, 1]


async def test_a_savepoint_that_fails_drops_the_parts_that_were_gathered_in_it(database: Database) -> None:
    note = Statement("SELECT set_config('causeway.test', {word}, true)", word="text")
    async with database.transaction() as session:
        with suppress(ZeroDivisionError):
            async with session.savepoint():
                gather_part(session.driver, note.part(word="within"))
                raise ZeroDivisionError
        gather_part(session.driver, note.part(word="after"))
        assert [part.arguments for part in take_parts(session.driver)] == [["after"]]


async def test_a_savepoint_that_fails_keeps_the_parts_that_were_gathered_before_it(database: Database) -> None:
    kept = uuid7()
    add = Statement(
        "INSERT INTO process_lease (name, holder, fencing_token, expires_at) VALUES ({id}::text, {id}, 1, now())",
        id="uuid",
    )
    async with database.transaction() as session:
        gather_part(session.driver, add.part(id=kept))
        with suppress(ZeroDivisionError):
            async with session.savepoint():
                await write_parts(session.driver)
                raise ZeroDivisionError
    assert await held(database, kept) == 1


async def test_a_savepoint_that_fails_restores_the_scope_that_is_bound_and_noted(database: Database) -> None:
    given, other = RowScope(["hotline-nl.example"], "analyst", "read"), RowScope([], "service", "apply")
    async with database.transaction(given) as session:
        with suppress(ZeroDivisionError):
            async with session.savepoint():
                await session.bind(other)
                raise ZeroDivisionError
        assert await session.driver.fetchval("SELECT current_setting('causeway.action')") == given.action
        assert session.driver.scope == given


@pytest.mark.parametrize(("keeps_plans", "counted"), [(False, (0, 12)), (True, (12, 0))])
async def test_a_plan_outlives_the_size_of_its_table_only_where_that_is_asked_for(
    database_url: str, keeps_plans: bool, counted: tuple[int, int]
) -> None:
    """PostgreSQL would keep one after five calls. A plan of an empty outbox took 33 s with 18,000 rows."""
    alone = Database(database_url, pool_size=1)
    for _ in range(12):
        async with alone.transaction(keeps_plans=keeps_plans) as session:
            await session.driver.fetchval(COUNT, uuid7())
    kept = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1"
    plans = await alone.fetch(kept, COUNT)
    await alone.close()
    assert [tuple(row) for row in plans] == [counted]


async def test_a_statement_is_prepared_once_a_connection_whatever_its_size(database: Database) -> None:
    long = f"SELECT 1 /* {'x' * 20_000} */"
    async with database.transaction() as session:
        await session.driver.fetchval(long)
        statements = await session.driver.fetch("SELECT statement FROM pg_prepared_statements")
    assert long in [row["statement"] for row in statements]
