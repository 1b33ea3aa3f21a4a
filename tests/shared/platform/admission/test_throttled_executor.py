"""CPU-bound work runs in a worker thread, which pauses after each step."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from shared.core.errors import Refused
from shared.platform.admission import throttled_executor as module
from shared.platform.admission.throttled_executor import REST, beside, beside_each


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses so far. Each reading of the clock is 100 s after the previous one."""
    rested, looks = list[float](), iter(range(1_000))

    async def sleep(seconds: float) -> None:
        rested.append(seconds)

    monkeypatch.setattr(module, "thread_time", lambda: 100.0 * next(looks))
    monkeypatch.setattr(module, "sleep", sleep)
    return rested


async def test_after_a_dear_step_the_thread_rests_twice_as_long_as_it_worked(rests: list[float]) -> None:
    assert await beside(threading.get_ident) != threading.get_ident()
    assert rests == [REST * 100]


async def test_after_a_step_that_failed_it_rests_too(rests: list[float]) -> None:
    def step() -> None:
        raise Refused("batch_size", "too many")

    with pytest.raises(Refused):
        await beside(step)
    assert rests == [REST * 100]


async def test_little_steps_are_taken_together_until_they_are_one_and_it_rests_between(
    rests: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def steps() -> Iterator[int]:
        for step in range(5):
            threads.append(threading.get_ident())
            yield step

    assert await beside_each(steps()) == [0, 1, 2, 3, 4]
    assert len(rests) == 6  # one after each, and one after no step
    rests.clear()
    monkeypatch.setattr(module, "TOGETHER_S", 250)
    assert await beside_each(steps()) == [0, 1, 2, 3, 4]
    assert len(rests) == 3
    assert threading.get_ident() not in threads
