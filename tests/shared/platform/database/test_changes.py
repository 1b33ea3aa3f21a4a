"""Loops pause longer while the database is idle, and not longer than usual after a change."""

from __future__ import annotations

import asyncio

import pytest

from shared.platform.database import changes
from shared.platform.database.changes import Changes
from shared.platform.database.feed import FeedListener
from shared.platform.database.transactions import Database
from tests.support.running import until


@pytest.mark.timing
async def test_a_loop_pauses_longer_while_idle_until_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "IDLE_AFTER_S", 0.0)
    monkeypatch.setattr(changes, "IDLE_PAUSES_S", (60.0, 60.0))
    noted, woken = Changes(hears_others=True), list[int]()
    noted.wake = lambda: woken.append(1)
    pausing = asyncio.create_task(noted.pause(0.01))
    assert (await asyncio.wait([pausing], timeout=0.5))[1]
    noted.note()
    async with asyncio.timeout(30):
        await pausing
    assert woken == [1]


@pytest.mark.timing
async def test_without_word_of_other_processes_or_soon_after_a_change_no_pause_is_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "IDLE_PAUSES_S", (60.0, 60.0))
    async with asyncio.timeout(30):
        await Changes(hears_others=True).pause(0.01)  # this process has just begun
        monkeypatch.setattr(changes, "IDLE_AFTER_S", 0.0)
        await Changes().pause(0.01)


async def test_a_process_is_woken_by_another_one_and_stops_counting_on_it_when_it_hears_no_more(
    database_url: str,
) -> None:
    """A transaction whose process has no relay tells of its segments in this way (`InstanceParts`)."""
    here, there = Database(database_url), Database(database_url)
    woken = asyncio.Event()
    here.changes.wake = woken.set
    listening = asyncio.create_task(FeedListener(here).run())
    await until(lambda: _is_true(here.changes.hears_others))
    woken.clear()
    FeedListener(there).announce({"hotline": 0})
    async with asyncio.timeout(30):
        await woken.wait()
    listening.cancel()
    await asyncio.wait([listening])
    assert not here.changes.hears_others
    await here.close()
    await there.close()


async def _is_true(value: bool) -> bool:
    return value
