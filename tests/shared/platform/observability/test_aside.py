"""Subjects in retry backoff wait for their pause and no longer, in spite of clock changes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.core.ids import uuid7
from shared.platform.observability.retry_backoff import FIRST_PAUSE, PAUSE_MAX, RetryBackoff
from tests.support.builders import AT

KEY = (uuid7(), "party.example")


@pytest.mark.parametrize(("failed", "pause"), [(1, FIRST_PAUSE), (2, 2 * FIRST_PAUSE), (9, PAUSE_MAX)])
def test_it_waits_for_its_pause(failed: int, pause: timedelta) -> None:
    aside = RetryBackoff()
    for _ in range(failed):
        aside.put("work", KEY, AT)
    for at in (AT, AT + pause - timedelta(seconds=1)):
        assert (aside.waiting("work", at), aside.again("work", at)) == ([KEY], [])
    assert (aside.waiting("work", AT + pause), aside.again("work", AT + pause)) == ([], [KEY])


def test_what_a_clock_that_was_ahead_has_set_aside_is_tried_again() -> None:
    aside = RetryBackoff()
    aside.put("work", KEY, AT + timedelta(days=1))
    assert (aside.waiting("work", AT), aside.again("work", AT)) == ([], [KEY])


def test_what_is_tried_again_is_found_without_comparing_each_with_each() -> None:
    compared = list[object]()

    class Id(str):
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            compared.append(other)
            return str.__eq__(self, str(other))

    aside = RetryBackoff()
    for n in range(100):
        aside.put("work", (Id(n), "party.example"), AT)
    compared.clear()
    assert aside.again("work", AT) == []
    assert len(compared) <= 100
