"""Statements find their rows by keys even if the planner has no statistics of their small tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Final

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.ids import uuid7
from shared.messaging.store import PostgresMessagingTx, exceptions, incoming, outgoing, resync
from shared.messaging.streams import Lane, Pair
from shared.platform.database.transactions import Database
from tests.shared.platform.plans import generic_plan
from tests.support.messaging_stores import OWN, messaging_database, opened_database

#: Each statement, and the key by which it must find rows.
KEYED: Final = {
    "list": (outgoing._LIST_SEGMENTS, "first >="),
    "chain": (outgoing._CHAIN, "first <="),
    "drop": (outgoing._DROP, "incarnation = $2"),
    "streams": (outgoing._LOAD_LOCKED, "peer = ANY"),
    "received": (incoming._LOAD_LOCKED, "writer = $1"),
    "exceptions": (exceptions._END, "message_id = ANY"),
    "closed": (incoming._CLOSED_OF, "addressee = $2"),
}
#: The control: a key that no index has.
UNKEYED: Final = "SELECT FROM segment WHERE count = $1::integer"


class _UndoneError(Exception):
    """Raised to roll back the whole transaction."""


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with messaging_database(tmp_path_factory.mktemp("plans")) as made:
        yield made


@pytest.fixture
async def database(endpoint: DatabaseEndpoint) -> AsyncIterator[Database]:
    async with opened_database(endpoint) as opened:
        yield opened


async def explain(database: Database, statement: str) -> list[str]:
    """Return the lines of the generic plan, made over empty tables."""
    with suppress(_UndoneError):
        async with database.transaction(keeps_plans=True) as session:
            plan = await generic_plan(session, statement)
            raise _UndoneError
    return plan


async def find_conditions(database: Database, statement: str) -> list[str]:
    """Return the condition of each scan by an index."""
    plan = await explain(database, statement)
    return [line.partition("Index Cond: ")[2] for line in plan if "Index Cond" in line]


@pytest.mark.parametrize("name", KEYED)
async def test_rows_are_found_by_their_keys_over_tables_that_were_empty_once(database: Database, name: str) -> None:
    statement, key = KEYED[name]
    assert any(key in each for each in await find_conditions(database, statement))


async def test_a_statement_without_a_key_is_found_out(database: Database) -> None:
    assert await find_conditions(database, UNKEYED) == []


async def test_the_exceptions_of_a_stream_are_measured_in_the_index_alone(database: Database) -> None:
    """Each batch counts them while it holds the lock of the pair. Their records are on thousands of pages."""
    plan = await explain(database, incoming._LOAD_LOCKED)
    assert sum("Index Only Scan using exception_stream" in line for line in plan) == 2


async def test_the_open_lines_of_a_peer_are_counted_in_the_index_alone(database: Database) -> None:
    plan = await explain(database, resync._COUNT_LINES)
    assert any("Index Only Scan using operator_line_open" in line for line in plan)


async def test_statements_find_their_rows_by_an_index(database: Database) -> None:
    """A plan that reads a whole table would read all peers' rows, and all segments of a day."""
    texts, incarnation = list[str](), uuid7()
    async with database.transaction(keeps_plans=True) as session:
        tx = PostgresMessagingTx(session, OWN)
        with session.driver.query_logger(lambda record: texts.append(record.query)):
            await tx.load_outgoing(["police"], lock=False)
            await tx.list_segments("police", incarnation, Lane.ORDINARY, above=1, messages_max=9)
            await tx.find_chain("police", incarnation, Lane.ORDINARY, number=1)
            await tx.load_incoming(Pair("police", OWN), lock=True)
            await tx.list_exceptions(subjects=[incarnation])
            await tx.list_exceptions(rows_max=1)
        plans = ["\n".join(await generic_plan(session, text)) for text in texts if "typeinfo" not in text]
    assert len(plans) == 8
    assert [plan for plan in plans if "Seq Scan" in plan] == []
