"""What is dear is done beside the event loop, and the thread that does it rests in between."""

from __future__ import annotations

import threading

import pytest

from shared.party.origin.use_cases import beside as module
from shared.party.origin.use_cases.beside import beside


async def test_after_a_dear_step_the_thread_rests_three_times_as_long_as_it_worked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worked, rests = iter([1.0, 1.25]), list[float]()

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(module, "thread_time", lambda: next(worked))
    monkeypatch.setattr(module, "sleep", sleep)
    assert await beside(threading.get_ident) != threading.get_ident()
    assert rests == [0.75]
