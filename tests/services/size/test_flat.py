"""Every query reads only as many rows as it shows, however many exist. It scans and sorts no whole table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import make_url

from deploy.operator import retention
from shared.core.acts.states import WITHDRAWAL_NOTED, final_answers, finished
from shared.core.clock import EPOCH
from shared.core.ids import first_uuid7
from shared.platform.database.migrate import upgrade
from shared.platform.database.transactions import Database, RowScope
from tests.benchmarks.filled import BIG, END, FILLED, PAGE, TINY, Question, fill, look, questions, unforced
from tests.services.databases import running_databases

ROWS = 100_000
#: The first release's list query: ordered by ids, with row-level security only.
_BEFORE = """
SELECT referral_id, state FROM referral WHERE ($1::text IS NULL OR state = $1)
ORDER BY referral_id DESC LIMIT $2
"""


@pytest.fixture(scope="session")
async def filled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Database]]:
    with running_databases(tmp_path_factory.mktemp("size"), *FILLED, forced=False) as endpoints:
        async with AsyncExitStack() as opened:
            databases = {}
            for service in FILLED:
                made = endpoints[service]
                await asyncio.to_thread(upgrade, service, made.owner_url)
                owner = await asyncpg.connect(made.owner_url)
                async with unforced(owner):
                    await fill(owner, service, ROWS, content_bytes=100)
                if service != "audit":
                    # Retention runs as the owner and deletes deadlines.
                    await owner.execute(f"GRANT DELETE ON deadline TO {make_url(made.service_url).username}")
                await owner.close()
                databases[service] = Database(made.service_url, pool_size=2)
                opened.push_async_callback(databases[service].close)
            yield databases


async def found(database: Database, question: Question) -> str | None:
    """Return the fault of a query, or None."""
    seen = await look(database, question)
    if seen.scanned or seen.rows > question.rows_max or seen.sorted > question.rows_max:
        return f"{question.name}: read whole {seen.scanned}, {seen.rows} rows read, {seen.sorted} sorted"
    return None


@pytest.mark.parametrize("service", FILLED)
async def test_no_look_reads_more_than_it_shows(filled: dict[str, Database], service: str) -> None:
    asked = list(questions(service, ROWS))
    wrong = [await found(filled[service], each) for each in asked]
    assert [each for each in wrong if each is not None] == []
    assert len(asked) >= 6


async def test_the_list_of_the_first_release_is_found(filled: dict[str, Database]) -> None:
    """Negative control: for a small party it reads past the rows of all others."""
    name = f"referrals of {TINY}, first page, state any, any, ever"
    (page,) = [each for each in questions("hotline", ROWS) if each.name == name]
    before = replace(page, statement=_BEFORE, arguments=(None, PAGE + 1))
    assert await found(filled["hotline"], before) is not None


#: The first month of the two years is past its retention period.
_PAST = END - timedelta(days=700)
_OF_THE_MONTH = ROWS * 30 // 730


def ending(service: str) -> Iterator[Question]:
    """Yield the queries that erase the records of that month: they find, lock, join and change each record."""
    asked = partial(Question, rows_max=10 * _OF_THE_MONTH, settings=retention.BY_ROW)
    scope = RowScope([BIG, TINY, *(f"p{n}.example" for n in range(40))], "service", "apply")
    page = _PAST, retention.ROWS_MAX
    ended = sorted(finished(retention._RECEIVES[service]))
    yield asked("received", retention._records("received"), (*page, EPOCH, "", ended), scope)
    if service == "hotline":
        further = (sorted(final_answers()), sorted(WITHDRAWAL_NOTED), first_uuid7(_PAST))
        yield asked("referral", retention._REFERRALS, (*page, UUID(int=0), *further), scope)


async def _count_keys(database: Database, each: Question) -> int:
    """Return the number of records that still have their keys."""
    async with database.transaction(each.scope) as session:
        return int(await session.driver.fetchval(f"SELECT count(wrapped_key) FROM {each.name}"))


@pytest.mark.parametrize("service", ["hotline", "industry", "law_enforcement"])
async def test_a_month_past_its_time_is_all_that_its_end_reads(filled: dict[str, Database], service: str) -> None:
    for each in ending(service):
        before = await _count_keys(filled[service], each)
        assert await found(filled[service], each) is None
        assert before - await _count_keys(filled[service], each) > _OF_THE_MONTH * 9 // 10
        later = replace(each, arguments=(_PAST + timedelta(days=400), *each.arguments[1:]))
        assert each.name == "referral" or await found(filled[service], later) is not None, "control: a year of them"
