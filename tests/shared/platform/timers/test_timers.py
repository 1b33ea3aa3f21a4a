"""Timers on a real database: each fires once, none early, in spite of dying workers and wrong clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from threading import get_ident
from typing import Any, cast

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.errors import Unavailable
from shared.core.protocol.timers import Deadline, to_time
from shared.core.routing.clocks import Law
from shared.core.vocabulary.answers import AnswerState
from shared.platform.database.transactions import Database
from shared.platform.observability.health import Check
from shared.platform.observability.metrics import REGISTRY
from shared.platform.timers import timers as timers_module
from shared.platform.timers.timers import AGAIN_AFTER, COUNTED_EVERY, Timers
from tests.shared.core.routing.test_clocks import AT, DIRECTORY, SAMPLE_LAW
from tests.shared.platform.timers.workers import (
    HOUR,
    SCOPE,
    WORKERS,
    SteppingClock,
    begin,
    begun,
    hours,
    law_at,
    look_through,
    notices,
    rows_of,
    steps_of,
    timers_kept,
    timers_of,
    told,
)

EDGES = 1000
OWNER, REGISTRAR = "practice-notice-to-owner", "practice-notice-to-registrar"


async def test_each_is_told_once_and_none_early_with_eight_workers_that_die_and_clocks_that_step(
    database: Database, endpoint: DatabaseEndpoint, record_property: Any
) -> None:
    random = Random(14)
    edges = await begun(database, EDGES)
    clocks = [SteppingClock(AT) for _ in range(WORKERS)]
    await hours(endpoint, clocks, [5, 12, 30, 1, 24, 24, 48, 24, 30], random=random)
    said = await told(database)
    record_property("told", len(said))
    assert len(set(said)) == len(said)
    now = clocks[0].true
    assert all(at <= now for *_, at in said)
    for rung, after in ((OWNER, 72), (REGISTRAR, 144)):
        due = {(each.edge_id, each.started_at + after * HOUR) for each in edges}
        at_end = [(edge_id, at) for edge_id, name, _, at in said if name == rung and (edge_id, at) in due]
        assert sorted(at_end) == sorted(due)


async def test_a_clock_that_is_believed_tells_early(database: Database, endpoint: DatabaseEndpoint) -> None:
    """The control: without a second clock for comparison, a clock that is an hour ahead fires an hour early."""
    (edge,) = await begun(database, 1)
    clock = SteppingClock(edge.started_at + 17.5 * HOUR)
    clock.off = HOUR
    await timers_of(database, clock).look()
    assert await told(database) == []
    assert len(await timers_kept(database)) == 6, "counted, and they wait"
    await timers_of(database, clock, believed=True).look()
    early = await told(database)
    assert {name for _, name, _, _ in early} == {"acknowledge-by", "eu-dsa-16-acknowledgement"}
    assert all(at > clock.true for *_, at in early)


async def test_dropped_and_made_again_they_are_the_same_rows(database: Database) -> None:
    edges = await begun(database, 50)
    clock = SteppingClock(AT + 100 * HOUR)
    timers = timers_of(database, clock)
    await look_through(timers)
    for number, edge in enumerate(edges):
        state = (AnswerState.NONE, AnswerState.ACKNOWLEDGED, AnswerState.ACTIONED)[number % 3]
        async with database.transaction(SCOPE) as session:
            await timers_module.clock(session.driver, (), steps_of(edge, state, edge.started_at + 3 * HOUR))
    await look_through(timers)
    before, said = await rows_of(database), await told(database)
    async with database.transaction(SCOPE) as session:
        await session.driver.execute("UPDATE deadline SET timers = NULL, overdue_at = NULL, due_at = NULL")
    assert await timers.rebuild() == 50
    assert await rows_of(database) == before
    assert await told(database) == said
    assert {OWNER, REGISTRAR} <= {clock for row in before for _, clock, *_ in row.timers or ()}


async def test_what_ends_a_rebuild_takes_no_timer(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await begun(database, 3)
    timers = timers_of(database, SteppingClock(AT))
    await timers.look()
    before = await timers_kept(database)

    async def dies(*_: object) -> int:
        raise Unavailable("database_unavailable")

    monkeypatch.setattr(Timers, "_renew", dies)
    with pytest.raises(Unavailable):
        await timers.rebuild()
    assert before
    assert await timers_kept(database) == before


#: A time that no clock calculation can handle.
BEYOND = datetime(9999, 12, 30, tzinfo=UTC)


async def test_one_that_cannot_be_reckoned_stops_no_other(database: Database) -> None:
    good, bad = notices(2)
    bad = replace(bad, started_at=BEYOND)
    await begin(database, good, bad)
    clock = SteppingClock(good.started_at + 200 * HOUR)
    timers = timers_of(database, clock)
    assert timers.check() == Check("timers", True)
    await look_through(timers)
    assert {edge_id for edge_id, *_ in await told(database)} == {good.edge_id}
    assert timers.check() == Check("timers", True, "clocks_aside")
    assert REGISTRY.get_sample_value("causeway_clocks_aside_rows") == 1
    assert await aside(database) == {bad.edge_id: "clock_defect"}
    clock.true += AGAIN_AFTER
    assert await timers.look() == 1, "it is tried again, and not at once"
    assert await timers.rebuild() == 2, "nor does it prevent the rebuild of all timers"
    async with database.transaction(SCOPE) as session:
        await session.driver.execute("UPDATE deadline SET started_at = $1, due_at = $1", good.started_at)
    await look_through(timers)
    assert (await aside(database), timers.check().reason) == ({}, "")
    assert {edge_id for edge_id, *_ in await told(database)} == {good.edge_id, bad.edge_id}


@pytest.mark.parametrize("witness_ahead", [False, True])
async def test_a_clock_that_was_ahead_sets_aside_for_no_longer(database: Database, witness_ahead: bool) -> None:
    """The other clock may have contradicted it, or may have been ahead with it."""
    (edge,) = notices(1)
    await begin(database, replace(edge, started_at=BEYOND))
    day, clock = timedelta(days=1), SteppingClock(edge.started_at + 200 * HOUR)
    timers, true = timers_of(database, clock), clock.true
    clock.off, clock.true = (timedelta(), true + day) if witness_ahead else (day, true)
    assert await timers.look() == 1
    clock.off, clock.true = timedelta(), true
    async with database.transaction(SCOPE) as session:
        await session.driver.execute("UPDATE deadline SET started_at = $1", edge.started_at)
    assert 1 in [await timers.look() for _ in range(COUNTED_EVERY + 1)]
    assert (await aside(database), bool(await told(database))) == ({}, True)


async def test_what_is_dated_before_there_was_law_counts_from_then(database: Database) -> None:
    (edge,) = notices(1)
    edge = replace(edge, started_at=datetime(1970, 1, 1, tzinfo=UTC))
    await begin(database, edge)
    clock = SteppingClock(AT)
    timers = Timers(
        database, lambda _: Law(DIRECTORY, SAMPLE_LAW, since=AT), clock, scope=lambda: SCOPE, witness=clock.witness
    )
    await timers.look()
    due = {clock: to_time(at) for _, (at, clock, *_) in await timers_kept(database)}
    assert due[OWNER] == AT + 72 * HOUR
    assert min(due.values()) > AT
    assert await told(database) == []


async def test_without_that_one_stops_all(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a calculation error ends the run, and the next one begins with the same row."""
    good, bad = notices(2)
    await begin(database, good, replace(bad, started_at=BEYOND))

    def unguarded(self: Timers, row: Deadline, now: datetime | None) -> Any:
        return self._counted(row, now)

    async def together(self: Timers) -> None:
        raise OverflowError

    monkeypatch.setattr(Timers, "_looked", unguarded)
    monkeypatch.setattr(Timers, "_look_alone", together)
    timers = timers_of(database, SteppingClock(good.started_at + 200 * HOUR))
    for _ in range(2):
        with pytest.raises(OverflowError):
            await timers.look()
    assert await told(database) == []


async def test_one_whose_timers_cannot_be_kept_stops_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = notices(2)
    await begin(database, good, bad)
    counted = Timers._counted

    def unwritable(self: Timers, row: Deadline, now: datetime | None) -> Any:
        looked = counted(self, row, now)
        is_bad = row.edge.edge_id == bad.edge_id
        return replace(looked, row=replace(looked.row, overdue_at=cast("datetime", "never"))) if is_bad else looked

    clock = SteppingClock(good.started_at + 200 * HOUR)
    timers = timers_of(database, clock)
    with monkeypatch.context() as defect:
        defect.setattr(Timers, "_counted", unwritable)
        await look_through(timers)
    assert {edge_id for edge_id, *_ in await told(database)} == {good.edge_id}
    assert await aside(database) == {bad.edge_id: "clock_defect"}
    clock.true += AGAIN_AFTER
    await look_through(timers)
    assert {edge_id for edge_id, *_ in await told(database)} == {good.edge_id, bad.edge_id}
    assert await aside(database) == {}


async def test_what_fails_before_an_edge_is_taken_is_nobodys_and_is_not_passed_over(database: Database) -> None:
    await begun(database, 2)
    clock = SteppingClock(AT)

    async def broken(_: object) -> datetime:
        raise ZeroDivisionError

    timers = Timers(database, law_at, clock, scope=lambda: SCOPE, witness=broken)
    with pytest.raises(ZeroDivisionError):
        await timers.look()
    assert await aside(database) == {}


async def test_that_an_edge_cannot_be_kept_is_said_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (bad,) = await begun(database, 1)

    async def fails(*_: object) -> int:
        raise ZeroDivisionError

    clock = SteppingClock(bad.started_at)
    timers = timers_of(database, clock)
    monkeypatch.setattr(Timers, "_renew", fails)
    said = list[int]()
    for _ in range(3):
        assert await timers.look() == 1
        clock.true += AGAIN_AFTER
        said.append(capsys.readouterr().err.count("clock_set_aside"))
    assert said == [1, 0, 0]
    assert await aside(database) == {bad.edge_id: "clock_defect"}


async def test_a_step_that_nobody_knows_here_stops_no_other(database: Database) -> None:
    """A later release wrote it, and was rolled back."""
    good, bad = await begun(database, 2)
    async with database.transaction(SCOPE) as session:
        await session.driver.execute(
            """UPDATE deadline SET steps = '[[0, "unheard_of", "", 0]]', due_at = '-infinity' WHERE edge_id = $1""",
            bad.edge_id,
        )
    timers = timers_of(database, SteppingClock(good.started_at + 200 * HOUR))
    await look_through(timers)
    assert {edge_id for edge_id, *_ in await told(database)} == {good.edge_id}
    assert await aside(database) == {bad.edge_id: "clock_defect"}


async def aside(database: Database) -> dict[Any, str]:
    """Return the edges in retry backoff, with the reason."""
    async with database.transaction(SCOPE) as session:
        rows = await session.driver.fetch("SELECT edge_id, failure_code FROM deadline WHERE failure_code IS NOT NULL")
    return {row["edge_id"]: row["failure_code"] for row in rows}


async def test_what_is_done_is_told_no_more_and_leaves_the_list(database: Database) -> None:
    (edge,) = await begun(database, 1)
    clock = SteppingClock(edge.started_at)
    timers = timers_of(database, clock)
    await timers.look()
    assert await timers.look() == 0, "nothing is due"
    async with database.transaction(SCOPE) as session:
        await timers_module.clock(session.driver, (), steps_of(edge, AnswerState.ACTIONED, edge.started_at))
    clock.true += 500 * HOUR
    assert await timers.look() == 1
    assert (await timers_kept(database), await told(database)) == ([], [])


async def test_a_long_outage_is_told_once(database: Database) -> None:
    (edge,) = notices(1)
    await begin(database, edge, edge)
    clock = SteppingClock(edge.started_at + timedelta(days=30))
    timers = timers_of(database, clock)
    await look_through(timers)
    said = await told(database)
    assert sorted(name for _, name, _, _ in said) == sorted(
        [
            *("acknowledge-by", "eu-dsa-16-acknowledgement", "practice-notice-reminder"),
            *(OWNER, REGISTRAR, "practice-notice-to-regulator"),
        ]
    )
    clock.true += timedelta(hours=1)
    assert await timers.look() == 0


async def test_a_pass_of_long_counts_leaves_rows_to_the_next_and_the_loop_runs_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(database, *notices(3))
    timers, counted, loop_thread = timers_of(database, SteppingClock(AT)), Timers._counted, get_ident()

    def long(self: Timers, row: Deadline, now: datetime | None) -> Any:
        assert get_ident() != loop_thread
        return counted(self, row, now)

    monkeypatch.setattr(Timers, "_counted", long)
    monkeypatch.setattr(timers_module, "COUNTING_S_MAX", 0)
    assert [await timers.look() for _ in range(4)] == [1, 1, 1, 0]
    assert len({edge_id for edge_id, _ in await timers_kept(database)}) == 3
    assert await aside(database) == {}
