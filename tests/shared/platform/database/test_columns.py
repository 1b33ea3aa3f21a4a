"""Columns named once: the statement's text and parameters, and the values that PostgreSQL stores."""

from __future__ import annotations

from abc import ABCMeta
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import asyncpg
import pytest
from asyncpg.protocol import protocol

from shared.core.ids import uuid7
from shared.platform.database.columns import Columns, Json, Statement, insert, join
from shared.platform.database.transactions import ARRAYS, Database


class Colour(StrEnum):
    """A closed list."""

    RED = "red"


@dataclass(frozen=True, slots=True)
class Sample:
    """One field of every kind that rows have."""

    sample_id: UUID
    colour: Colour
    offset: int
    live: bool
    body: bytes | None
    at: datetime | None
    edge: Json
    rules: tuple[str, ...]
    unstored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Note:
    """The additional values of an act."""

    rules: tuple[str, ...] | None = None
    at: datetime | None = None
    edge: Json | None = None


class Place(NamedTuple):
    """A place."""

    topic: str
    partition: int


SAMPLE = Columns.of(Sample, without=("unstored",), doubled="bigint")
NOTE = Columns.of(Note)
PLACE = Columns.of(Place)
ADD = insert("sample", SAMPLE, fixed={"state": "'new'"}, end='ON CONFLICT (sample_id) DO NOTHING RETURNING "offset"')
ACT = Statement(
    "UPDATE sample SET state = {following}, {note.kept} WHERE sample_id = {sample_id} RETURNING sample_id",
    note=NOTE,
    following="text",
    sample_id="uuid",
)
AT = datetime(2026, 1, 2, tzinfo=UTC)


def sample(offset: int, *, at: datetime | None = None, rules: tuple[str, ...] = ()) -> Sample:
    return Sample(uuid7(), Colour.RED, offset, offset > 1, None, at, '{"a": [1]}', rules)


@pytest.fixture
async def driver(database: Database) -> AsyncIterator[asyncpg.Connection]:
    async with database.transaction() as session:
        await session.driver.execute(
            "CREATE TEMPORARY TABLE sample (sample_id uuid PRIMARY KEY, colour text NOT NULL, "
            '"offset" integer NOT NULL, live bool NOT NULL, body bytea, at timestamptz, edge jsonb NOT NULL, '
            "rules text[] NOT NULL, doubled bigint, state text NOT NULL) ON COMMIT DROP"
        )
        yield session.driver


async def test_rows_are_stored_as_they_are(driver: asyncpg.Connection) -> None:
    first, second = sample(1, at=AT, rules=("a", "b,c")), sample(2)
    added = await driver.fetch(*ADD.bind(rows=SAMPLE.rows([first, second, first], doubled=[2, 4, 2])))
    assert [row["offset"] for row in added] == [1, 2]
    rows = await driver.fetch('SELECT * FROM sample ORDER BY "offset"')
    assert [dict(row) for row in rows] == [
        {
            "sample_id": each.sample_id,
            "colour": "red",
            "offset": each.offset,
            "live": each.live,
            "body": None,
            "at": each.at,
            "edge": {"a": [1]},
            "rules": list(each.rules),
            "doubled": 2 * each.offset,
            "state": "new",
        }
        for each in (first, second)
    ]


async def test_no_row_is_no_change(driver: asyncpg.Connection) -> None:
    assert await driver.execute(*ADD.bind(rows=SAMPLE.rows([], doubled=[]))) == "INSERT 0 0"


async def test_a_note_leaves_what_it_does_not_say(driver: asyncpg.Connection) -> None:
    one = sample(1, at=AT, rules=("a",))
    await driver.execute(*ADD.bind(rows=SAMPLE.rows([one], doubled=[0])))
    await driver.execute(*ACT.bind(following="noted", sample_id=one.sample_id, note=NOTE.one(Note(rules=("x", "y")))))
    await driver.execute(*ACT.bind(following="closed", sample_id=one.sample_id, note=NOTE.one(Note(edge="[]"))))
    row = await driver.fetchrow("SELECT state, rules, at, edge FROM sample")
    assert tuple(row) == ("closed", ["x", "y"], AT, [])


@pytest.mark.parametrize(
    ("mistaken", "said"),
    [
        (lambda: Statement("SELECT {a}", a="text", b="text"), r"\['b'\]"),
        (lambda: Statement("SELECT {a}, {b}", a="text"), r"\['b'\]"),
        (lambda: ACT.bind(following="x", sample_id=uuid7()), r"\['note'\]"),
        (lambda: ACT.bind(following="x", sample_id=uuid7(), note=PLACE.rows([])), "its own columns"),
        (lambda: SAMPLE.rows([sample(1)], tripled=[3]), "tripled"),
        (lambda: Columns.of(Sample), "frozenset"),
    ],
    ids=["not used", "not declared", "not bound", "bound by others", "no such column", "no such type"],
)
def test_a_mistaken_name_fails_at_once(mistaken: Callable[[], object], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        mistaken()


def test_every_row_gets_its_value() -> None:
    with pytest.raises(ValueError, match="doubled: 1 values for 2 rows"):
        SAMPLE.rows([sample(1), sample(2)], doubled=[2])


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
