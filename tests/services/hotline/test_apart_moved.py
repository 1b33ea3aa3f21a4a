"""A referral that cannot follow a moved recipient stops no other. It is tried again at growing intervals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.features.filing import effects
from shared.platform.database.failure_isolation import ClaimedBatch
from shared.platform.observability.metrics import REGISTRY
from shared.platform.observability.retry_backoff import PAUSE_MAX
from tests.services.hotline.origin import Origin
from tests.services.hotline.test_apart import LOOPS, PROVIDERS, EndOfTurn, Pair, nothing_else, run


@pytest.fixture(autouse=True)
async def _nothing_else(origin: Origin) -> None:
    await nothing_else(origin)


async def test_after_a_move_it_is_tried_by_one_directory(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = await Pair.of(origin, LOOPS["follows who has moved"])
    looks = list[int]()

    async def later(_: float) -> None:
        """Advance the clock under one directory; then repair the defect."""
        looks.append(1)
        origin.clock.advance(effects.FOLLOWED.total_seconds())
        if len(looks) == 8:
            assert await pair.done() == (False, True)
            await pair.mend()
            origin.clock.advance(PAUSE_MAX.total_seconds())
        if len(looks) == 10:
            raise EndOfTurn

    monkeypatch.setattr("asyncio.sleep", later)
    with pytest.raises(EndOfTurn):
        await origin.bus.follow_moves()
    assert await pair.done() == (True, True)
    assert REGISTRY.get_sample_value("causeway_subjects_aside") == 0


async def test_what_others_have_followed_meanwhile_is_set_aside_no_more(origin: Origin) -> None:
    pair = await Pair.of(origin, LOOPS["follows who has moved"])
    directory = origin.world.documents.directory
    await origin.bus.follow(directory)
    assert REGISTRY.get_sample_value("causeway_subjects_aside") == 1
    await run(origin, f"UPDATE edge SET instance = 'industry_two' WHERE {PROVIDERS}", pair.bad)
    await pair.mend()
    origin.clock.advance(PAUSE_MAX.total_seconds())
    await origin.bus.follow(directory)
    assert REGISTRY.get_sample_value("causeway_subjects_aside") == 0


async def test_what_fails_beside_others_waits_longer_each_time(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock advances while a directory is followed, so the failure is later than the beginning."""
    pair, tried = await Pair.of(origin, LOOPS["follows who has moved"]), list[int]()
    again, begun = type(origin.bus.redecider), origin.clock.now()
    left_behind = again.left_behind

    async def slowly(self: Any, edges: Any, taking: ClaimedBatch, **place: str) -> None:
        origin.clock.advance(0.002)
        try:
            await left_behind(self, edges, taking, **place)
        finally:
            if pair.bad in {subject for subject, _ in taking.taken}:
                tried.append((origin.clock.now() - begun) // timedelta(minutes=1))

    monkeypatch.setattr(again, "left_behind", slowly)
    for _ in range(10):
        await origin.bus.follow(origin.world.documents.directory)
        assert REGISTRY.get_sample_value("causeway_subjects_aside") == 1
        origin.clock.advance(60)
    assert sorted({*tried}) == [0, 1, 3, 7]
    await pair.mend()
