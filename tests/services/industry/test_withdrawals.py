"""Every withdrawal is answered, by a person or by automation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from shared.core.contracts.answers import ItemStatement, NoticeStatements, WithdrawalAnswer
from shared.core.errors import Refused, Unavailable
from shared.core.vocabulary.answers import NoticeAction
from shared.features.notices.store import PostgresNotices
from shared.platform.database.journal import ErasedRecord
from shared.platform.observability.health import Check
from shared.platform.observability.retry_backoff import PAUSE_MAX
from tests.services.deliveries import AT, ERASED, HOTLINE, PROVIDER, directory
from tests.services.doors import until_idle
from tests.services.industry.withdrawing import World

LONG_H, DAY_S = 1000.0, 86_400.0
HELD_BY_LAW = WithdrawalAnswer.model_validate(
    {
        "fate": "kept",
        "kept": {"retention": "minimal", "basis": "legal_hold", "until": f"{AT + timedelta(days=365):%Y-%m-%d}"},
    }
)
REMOVED = NoticeStatements(items=(ItemStatement(action=NoticeAction.REMOVED, effective_at=AT),))


async def test_a_withdrawal_that_nobody_answers_is_answered_by_the_rules(world: World) -> None:
    silent, acted = await world.taken_back(), await world.taken_back(REMOVED)
    await until_idle(world.withdrawals())
    told = [(await world.providers.sent(each))[-1][-1] for each in (silent, acted)]
    assert told[0] == {"notice_id": str(silent), "number": 1, "fate": "erased"}
    kept = {"retention": "minimal", "basis": "open_complaint", "until": "2026-11-04"}
    assert told[1] == {"notice_id": str(acted), "number": 2, "fate": "kept", "kept": kept}
    assert await world.record(silent) is None
    assert await world.record(acted) is not None


async def test_for_who_is_suspended_it_waits_since_nobody_would_hear_the_answer(world: World) -> None:
    notice_id = await world.taken_back()
    served, world.providers.directory = world.providers.directory, directory(suspended=PROVIDER)
    assert await world.withdrawals().look() == 0
    assert await world.record(notice_id) is not None
    world.providers.directory = served
    await until_idle(world.withdrawals())
    assert (await world.providers.sent(notice_id))[-1][-1]["fate"] == "erased"


async def test_what_who_is_suspended_has_kept_is_erased_on_its_day_and_told_once_it_is_served(world: World) -> None:
    notice_id = await world.taken_back(REMOVED)
    await world.withdrawals().look()
    world.clock.advance(185 * DAY_S)
    served, world.providers.directory = world.providers.directory, directory(suspended=PROVIDER)
    await until_idle(world.withdrawals())
    shown = await world.providers.show(notice_id)
    assert (shown["state"], shown["record"]) == ("withdrawal_acknowledged", None)
    world.providers.directory = served
    await world.withdrawals().look()
    assert (await world.providers.show(notice_id))["state"] == "record_erased"
    told = (await world.providers.sent(notice_id))[-1][-1]
    assert told == {"notice_id": str(notice_id), "number": 3, "fate": "erased"}


async def test_one_that_fails_at_the_commit_keeps_nobody_waiting(world: World) -> None:
    broken, silent = await world.taken_back(), await world.taken_back()
    database = world.providers.database
    step = database.last_step
    assert step is not None

    async def fails(driver: asyncpg.Connection, gathered: Sequence[Any]) -> None:
        if any(isinstance(each, ErasedRecord) and each.subject == broken for each in gathered):
            raise ZeroDivisionError
        await step(driver, gathered)

    database.last_step = fails
    await until_idle(world.withdrawals())
    database.last_step = step
    assert [await world.record(each) is None for each in (broken, silent)] == [False, True]
    assert await world.aside.check() == Check("rules", True, "subjects_set_aside")


async def test_people_have_their_time(world: World) -> None:
    notice_id = await world.taken_back()
    await world.withdrawals(LONG_H).look()
    assert (await world.providers.show(notice_id))["state"] == "withdrawn"
    assert await world.places(notice_id) > 0
    assert await world.providers.act("acknowledge_withdrawal", ERASED, notice_id) == "withdrawal_acknowledged"
    assert await world.places(notice_id) == 0


async def test_what_can_be_complained_about_is_not_wiped_by_a_person_either(world: World) -> None:
    notice_id = await world.taken_back(REMOVED)
    with pytest.raises(Refused) as refusal:
        await world.providers.act("acknowledge_withdrawal", ERASED, notice_id)
    assert (refusal.value.code, refusal.value.field, refusal.value.status) == ("notice_is_kept", "/fate", 409)
    assert await world.record(notice_id) is not None


async def test_what_is_kept_is_erased_when_its_day_is_over_and_the_origin_is_told(world: World) -> None:
    notice_id = await world.taken_back(REMOVED)
    await world.withdrawals().look()
    world.clock.advance(184 * DAY_S)
    await world.withdrawals().look()
    assert (await world.providers.show(notice_id))["state"] == "withdrawal_acknowledged"
    world.clock.advance(DAY_S)
    await world.withdrawals().look()
    shown = await world.providers.show(notice_id)
    assert (shown["state"], shown["fate"], shown["record"]) == ("record_erased", "erased", None)
    *_, (kind, _, _, _, clear) = await world.providers.sent(notice_id)
    assert kind == "causeway.notice_record_erased.v1"
    assert clear == {"notice_id": str(notice_id), "number": 3, "fate": "erased"}


async def test_one_that_fails_is_set_aside_and_keeps_nobody_waiting(world: World) -> None:
    acted, broken, silent = await world.taken_back(REMOVED), await world.taken_back(REMOVED), await world.taken_back()
    rules, broken_said = world.withdrawals(), "jsonb_set(answers, '{items,0,action}', '\"none\"')"
    owner = await world.owner()
    # The first due row, with a value that no service writes.
    set_ = f"answers = {broken_said}, changed_at = changed_at - interval '1 hour'"
    await owner.execute(f"UPDATE received SET {set_} WHERE subject = $1", broken)
    for _ in range(2):
        await rules.look()
    query = "SELECT state FROM received WHERE subject = $1"
    states = [await owner.fetchval(query, each) for each in (acted, broken, silent)]
    assert states == ["withdrawal_acknowledged", "withdrawn", "withdrawal_acknowledged"]
    assert await world.aside.check() == Check("rules", True, "subjects_set_aside")
    mended = "UPDATE received SET answers = jsonb_set(answers, '{items,0,action}', '\"removed\"') WHERE subject = $1"
    await owner.execute(mended, broken)
    await rules.look()
    assert await owner.fetchval("SELECT state FROM received WHERE subject = $1", broken) == "withdrawn", "not yet"
    world.clock.advance(PAUSE_MAX.total_seconds())
    await rules.look()
    assert await owner.fetchval("SELECT state FROM received WHERE subject = $1", broken) == "withdrawal_acknowledged"
    assert await world.aside.check() == Check("rules", True)
    await owner.close()


async def test_a_lost_connection_sets_nobody_aside(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    due = [await world.taken_back() for _ in range(3)]
    act = PostgresNotices.act

    async def cut_off(self: PostgresNotices, *_: object, **__: object) -> None:
        await self._driver.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(PostgresNotices, "act", cut_off)
    with pytest.raises(Unavailable, match="database_unavailable"):
        await world.withdrawals().look()
    assert await world.aside.check() == Check("rules", True)
    monkeypatch.setattr(PostgresNotices, "act", act)
    await world.withdrawals().look()
    assert [await world.record(each) for each in due] == [None] * 3, "at once, and none a pause later"


async def test_what_is_to_be_erased_waits_for_no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await world.taken_back(REMOVED)
    rules = world.withdrawals()
    await rules.look()
    world.clock.advance(185 * DAY_S)

    async def cut_off(*_: object, **__: object) -> None:
        raise Unavailable("cut_off")

    monkeypatch.setattr(PostgresNotices, "taken_back", cut_off)
    with pytest.raises(Unavailable, match="cut_off"):
        await rules.look()
    assert (await world.providers.show(kept))["state"] == "record_erased"


async def test_what_one_that_has_left_took_back_is_erased_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    silent, acted, by_hand = await world.taken_back(), await world.taken_back(REMOVED), await world.taken_back()
    monkeypatch.setattr(world.providers, "directory", directory(HOTLINE))
    assert await world.providers.act("acknowledge_withdrawal", ERASED, by_hand) == "withdrawal_acknowledged"
    rules = world.withdrawals()
    await rules.look()
    assert [await world.record(each) for each in (silent, by_hand)] == [None, None]
    world.clock.advance(185 * DAY_S)
    await rules.look()
    assert (await world.providers.show(acted))["state"] == "record_erased"
    for each in (silent, by_hand):
        assert await world.providers.sent(each) == [], "nobody is there to be told"
