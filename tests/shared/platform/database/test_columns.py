"""Columns named once: the statement's text and parameters, and the values that PostgreSQL stores."""

from __future__ import annotations

from abc import ABCMeta
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import asyncpg
import pytest
from asyncpg.protocol import protocol

from shared.core.ids import uuid7
from shared.platform.database.columns import Columns, Statement, join
from shared.platform.database.transactions import ARRAYS, Database


@dataclass(frozen=True, slots=True)
class Sample:
    """A row with a field that has no column."""

    sample_id: UUID
    unstored: frozenset[str] = frozenset()


class Place(NamedTuple):
    """A place."""

    topic: str
    partition: int


SAMPLE = Columns.of(Sample, without=("unstored",), doubled="bigint")
PLACE = Columns.of(Place)
ACT = Statement("UPDATE sample SET state = {following}, {note.kept}", note=SAMPLE, following="text")


@pytest.fixture
async def driver(database: Database) -> AsyncIterator[asyncpg.Connection]:
    async with database.transaction() as session:
        yield session.driver


@pytest.mark.parametrize(
    ("mistaken", "said"),
    [
        (lambda: Statement("SELECT {a}", a="text", b="text"), r"\['b'\]"),
        (lambda: Statement("SELECT {a}, {b}", a="text"), r"\['b'\]"),
        (lambda: ACT.bind(following="x"), r"\['note'\]"),
        (lambda: ACT.bind(following="x", note=PLACE.rows([])), "its own columns"),
        (lambda: SAMPLE.rows([Sample(uuid7())], tripled=[3]), "tripled"),
        (lambda: Columns.of(Sample), "frozenset"),
    ],
    ids=["not used", "not declared", "not bound", "bound by others", "no such column", "no such type"],
)
def test_a_mistaken_name_fails_at_once(mistaken: Callable[[], object], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        mistaken()


def test_every_row_gets_its_value() -> None:
    with pytest.raises(ValueError, match="doubled: 1 values for 2 rows"):
        SAMPLE.rows([Sample(uuid7()), Sample(uuid7())], doubled=[2])


@pytest.mark.parametrize(("kinds", "least", "most"), [(ARRAYS, 0, 10), (Iterable, 1000, 5000)])
async def test_of_no_element_of_an_array_an_abstract_class_is_asked(
    driver: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, kinds: object, least: int, most: int
) -> None:
    """The control: the driver's own default asks one for each element."""
    asked, ask = [], ABCMeta.__instancecheck__

    def counting(kind: ABCMeta, each: object) -> bool:
        asked.append(kind)
        return ask(kind, each)

    monkeypatch.setattr(protocol, "IterableABC", kinds)
    with monkeypatch.context() as counted:
        counted.setattr(ABCMeta, "__instancecheck__", counting)
        total = await driver.fetchval("SELECT sum(n) FROM unnest($1::bigint[]) AS n", list(range(1000)))
    assert total == sum(range(1000))
    assert least <= len(asked) <= most


@pytest.mark.parametrize("given", [[1, 2], (1, 2), {1, 2}, frozenset({1, 2}), deque([1, 2]), {1: 0, 2: 0}.keys()])
async def test_an_array_is_whatever_has_its_elements(driver: asyncpg.Connection, given: object) -> None:
    assert await driver.fetchval("SELECT $1::bigint[]", given) == [1, 2]


@pytest.mark.parametrize("given", ["12", {"a": 1}, 7, iter([1])])
async def test_what_is_no_array_is_refused(driver: asyncpg.Connection, given: object) -> None:
    with pytest.raises(asyncpg.DataError):
        await driver.fetchval("SELECT $1::text[]", given)


async def test_an_array_within_an_array_is_still_one(driver: asyncpg.Connection) -> None:
    assert await driver.fetchval("SELECT $1::bigint[]", [[1, 2], [3, 4]]) == [[1, 2], [3, 4]]


@pytest.mark.parametrize("text", ["SELECT $1::int AS n", "WITH own AS (SELECT $1::int AS n) SELECT n FROM own"])
async def test_parts_run_with_the_statement_that_takes_them_along(driver: asyncpg.Connection, text: str) -> None:
    await driver.execute("CREATE TEMPORARY TABLE kept (word text, n bigint)")
    add = Statement("INSERT INTO kept VALUES ({word}, {n})", word="text", n="bigint")
    parts = [add.part(word="one", n=1), add.part(word="two", n=2)]
    assert await driver.fetchval(*join(parts, text, 7)) == 7
    assert await driver.fetch("SELECT * FROM kept ORDER BY n") == [("one", 1), ("two", 2)]
    assert join([], text, 7) == (text, 7)
