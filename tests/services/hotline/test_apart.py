"""A subject with a defect stops no other subject of an origin's timed work. It is tried again later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import pytest

from shared.core.ids import uuid7
from shared.features.contacts import effects as contacts_effects
from shared.features.filing import effects
from shared.features.filing.rules import HttpReply, Request
from shared.features.filing.service.intake import Intake
from shared.platform.database.failure_isolation import Act, ClaimedBatch, Isolation
from shared.platform.database.transactions import RowScope
from shared.platform.observability.metrics import REGISTRY
from shared.platform.observability.retry_backoff import PAUSE_MAX
from tests.services.doors import until_idle
from tests.services.hotline.origin import APPLYING, Origin
from tests.services.hotline.test_contacts import BE, NL, accepted, answered
from tests.services.hotline.test_contacts import filed as met
from tests.services.hotline.test_duplicates import at, linking, spellings
from tests.services.hotline.test_edges_wait import BEHIND, upgraded
from tests.services.hotline.test_holds import WINDOW_H, nothing_planned, timers
from tests.services.hotline.test_second_person import over_budget
from tests.support.builders import AT, POLICE, PROVIDER
from tests.support.exchange_world import move, submission
from tests.support.windowed import windowed

Look = Callable[[], Awaitable[object]]


async def run(origin: Origin, statement: str, *arguments: Any) -> Any:
    """Run a statement; return the first value, if it has any."""
    rows = await origin.sql(statement, *arguments)
    return rows[0][0] if rows else None


@dataclass(frozen=True)
class Loop:
    """One kind of work. `due` makes it due for a referral; `done` tells whether it is done.

    `breaks` is the value that damages the column `kept` of the referral's row. The test repairs the column later.
    """

    file: Callable[[Origin], Awaitable[UUID]]
    look: Callable[[Origin], Look]
    done: str
    due: str = ""
    kept: str = "content"
    breaks: str = "'broken'"
    begins: Callable[[Origin], object] | None = None


async def _waits(origin: Origin) -> UUID:
    origin.world.reads = BEHIND
    return await origin.file()


async def _met(origin: Origin) -> UUID:
    referral_id = await met(origin, f"apart-{uuid7().hex}")
    await answered(origin, accepted(referral_id, NL), accepted(referral_id, BE))
    return referral_id


async def _planned(origin: Origin) -> UUID:
    origin.world.place(windowed(origin.world.policy, WINDOW_H, version=90), AT - timedelta(minutes=1))
    return await origin.file()


def _of_bus(name: str) -> Callable[[Origin], Look]:
    return lambda origin: partial(getattr(origin.bus, name), APPLYING)


_POLICES: Final = f"referral_id = $1 AND recipient = '{POLICE}'"
PROVIDERS: Final = f"referral_id = $1 AND recipient = '{PROVIDER}'"
LOOPS: Final = {
    "decides again what has waited for it": Loop(
        Origin.file,
        _of_bus("due"),
        due=f"UPDATE edge SET redecide_at = '{AT.isoformat()}' WHERE {_POLICES}",
        done=f"SELECT count(*) = 2 FROM edge WHERE {_POLICES}",
    ),
    "issues anew what its recipient lacks": Loop(
        Origin.file,
        _of_bus("missing"),
        due=f"UPDATE edge SET is_missing = true WHERE {_POLICES}",
        done=f"SELECT NOT is_missing FROM edge WHERE {_POLICES}",
    ),
    "tells again what was taken back": Loop(
        Origin.file,
        _of_bus("missing"),
        due=f"""
WITH gone AS (UPDATE referral SET state = 'withdrawn', withdrawn_reason = 'filed_in_error' WHERE referral_id = $1)
UPDATE edge SET is_missing = true WHERE {_POLICES}
""",
        done=f"SELECT NOT is_missing FROM edge WHERE {_POLICES}",
        kept="withdrawn_reason",
    ),
    "erases what nobody has looked at": Loop(
        lambda origin: origin.file(items=over_budget()["items"]),
        _of_bus("expire"),
        due="UPDATE referral SET accepted_at = accepted_at - interval '30 days' WHERE referral_id = $1",
        done="SELECT state = 'dropped' FROM referral WHERE referral_id = $1",
        kept="filed_by",
    ),
    "suggests contact": Loop(
        _met,
        lambda origin: partial(contacts_effects.suggest, origin.bus, APPLYING),
        done="SELECT EXISTS (SELECT FROM contact WHERE referral_id = $1)",
        kept="revision",
        breaks="0",
    ),
    "sends what can be read now": Loop(
        _waits,
        _of_bus("issue"),
        begins=upgraded,
        done="SELECT NOT EXISTS (SELECT FROM edge WHERE referral_id = $1 AND state = 'waiting')",
    ),
    "sends anew what can be read now": Loop(
        Origin.file,
        _of_bus("issue"),
        due=f"UPDATE edge SET is_unreadable = true WHERE {_POLICES}",
        done=f"SELECT NOT is_unreadable FROM edge WHERE {_POLICES}",
    ),
    "follows who has moved": Loop(
        Origin.file,
        lambda origin: lambda: origin.bus.follow(origin.world.documents.directory),
        begins=lambda origin: move(origin.world, PROVIDER),
        done=f"SELECT instance = 'industry_two' FROM edge WHERE {PROVIDERS}",
    ),
    "issues what is planned": Loop(
        _planned,
        lambda origin: timers(origin).look,
        due=f"UPDATE edge SET issue_due_at = '{AT.isoformat()}' WHERE referral_id = $1 AND state = 'planned'",
        done="SELECT NOT EXISTS (SELECT FROM edge WHERE referral_id = $1 AND state = 'planned')",
    ),
    "links places": Loop(
        lambda origin: origin.file(**at(spellings(uuid7().hex)[0])),
        lambda origin: linking(origin).look,
        done="SELECT EXISTS (SELECT FROM location_token WHERE referral_id = $1)",
    ),
}


@pytest.fixture(autouse=True)
async def _nothing_else(origin: Origin) -> None:
    await nothing_else(origin)


async def nothing_else(origin: Origin) -> None:
    """Clear the due work of other tests."""
    await nothing_planned(origin)
    await run(
        origin,
        "UPDATE edge SET redecide_at = NULL, is_missing = false, is_unreadable = false, unnotified_instances = NULL",
    )
    await run(origin, "UPDATE edge SET state = 'superseded' WHERE state IN ('emitted', 'waiting')")
    await run(origin, "DELETE FROM contact_suggestion_queue")
    await until_idle(linking(origin))


@dataclass
class Pair:
    """Two referrals with the same due work. The earlier one has a defect."""

    origin: Origin
    loop: Loop
    bad: UUID
    good: UUID
    saved: Any

    @classmethod
    async def of(cls, origin: Origin, loop: Loop) -> Pair:
        bad, good = [await loop.file(origin) for _ in range(2)]
        for each in (bad, good):
            if loop.due:
                await run(origin, loop.due, each)
        saved = await run(origin, f"SELECT {loop.kept} FROM referral WHERE referral_id = $1", bad)
        await run(origin, f"UPDATE referral SET {loop.kept} = {loop.breaks} WHERE referral_id = $1", bad)
        if loop.begins is not None:
            loop.begins(origin)
        return cls(origin, loop, bad, good, saved)

    async def done(self) -> tuple[bool, bool]:
        """Return whether the work is done for the defective referral, and for the other."""
        bad, good = [await run(self.origin, self.loop.done, each) for each in (self.bad, self.good)]
        return bad, good

    async def mend(self) -> None:
        await run(
            self.origin, f"UPDATE referral SET {self.loop.kept} = $2 WHERE referral_id = $1", self.bad, self.saved
        )


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
async def test_one_with_a_defect_stops_no_other_and_is_tried_again(origin: Origin, loop: Loop) -> None:
    pair, look = await Pair.of(origin, loop), loop.look(origin)
    await look()
    assert await pair.done() == (False, True)
    assert REGISTRY.get_sample_value("causeway_subjects_aside") == 1
    await pair.mend()
    await look()
    assert await pair.done() == (False, True), "not yet: it would be a busy loop"
    origin.clock.advance(PAUSE_MAX.total_seconds())
    await look()
    assert await pair.done() == (True, True)
    assert REGISTRY.get_sample_value("causeway_subjects_aside") == 0


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
async def test_together_it_would_stop_the_others(origin: Origin, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: without retry backoff."""

    async def together(_: Isolation, work: str, limit: int, act: Act, *, whole: bool = True) -> int:
        await act(taking := ClaimedBatch(limit))
        return taking.rows

    pair = await Pair.of(origin, loop)
    with monkeypatch.context() as off:
        off.setattr(Isolation, "batch", together)
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the defect is
            await loop.look(origin)()
    assert await pair.done() == (False, False)
    await pair.mend()
    await loop.look(origin)()


async def test_a_full_batch_that_fails_last_is_sent_one_by_one(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rollback at the end sent nothing, so no later subject is skipped."""
    referrals = [await _waits(origin) for _ in range(2)]
    waiting = "SELECT count(*) FROM edge WHERE referral_id = ANY($1::uuid[]) AND state = 'waiting'"
    monkeypatch.setattr(effects, "DUE_MAX", await run(origin, waiting, referrals))
    upgraded(origin)
    last_step, tried = origin.database.last_step, list[int]()
    assert last_step is not None

    async def fails_once(driver: Any, gathered: Sequence[Any]) -> None:
        tried.append(len(gathered))
        if len(tried) == 1:
            raise ZeroDivisionError
        await last_step(driver, gathered)

    monkeypatch.setattr(origin.database, "last_step", fails_once)
    await origin.bus.issue(APPLYING)
    assert await run(origin, waiting, referrals) == 0
    assert len(tried) > 2


async def test_each_kind_of_work_has_its_scope_and_stops_no_other(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits too long is erased of suspended parties, too.

    A failure before any subject was claimed belongs to no subject. It is reported, and the rest of the turn is done.
    """
    heard, served = replace(APPLYING, parties=[]), APPLYING
    within = dict[str, RowScope]()

    def looks(work: str) -> Callable[[RowScope], Awaitable[int]]:
        async def look(scope: RowScope) -> int:
            within[work] = scope
            raise ZeroDivisionError

        return look

    async def ends(_: float) -> None:
        raise EndOfTurn

    for work in ("due", "missing", "expire"):
        monkeypatch.setattr(origin.bus, work, looks(work))
    monkeypatch.setattr(origin.bus, "works", [lambda _, scope: looks("suggest")(scope)])
    monkeypatch.setattr("asyncio.sleep", ends)
    with pytest.raises(EndOfTurn):
        await origin.bus.run(lambda: heard, erasing=lambda: served)
    assert within == {"due": heard, "missing": heard, "expire": served, "suggest": heard}


def fresh(origin: Origin) -> Request:
    return origin.request(submission(external_ref=f"apart-{uuid7().hex[:24]}"))


async def test_a_request_that_breaks_its_batch_breaks_no_other(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare, together, broken = Intake._prepare, list[int](), fresh(origin)

    async def fails(self: Intake, requests: Sequence[Request], *given: Any) -> Any:
        together.append(len(requests))
        if broken in requests:
            raise ZeroDivisionError
        return await prepare(self, requests, *given)

    monkeypatch.setattr(Intake, "_prepare", fails)
    async with origin.intake.running():
        filed = [origin.intake.submit(each) for each in (broken, fresh(origin))]
        bad, good = await asyncio.gather(*filed, return_exceptions=True)
    assert isinstance(bad, ZeroDivisionError)
    assert isinstance(good, HttpReply)
    assert (good.status, max(together)) == (202, 2)


class EndOfTurn(Exception):
    """Ends the turn in a test."""
