"""If the database is unavailable, no subject enters retry backoff."""

from __future__ import annotations

import pytest

from shared.kernel.errors import Unavailable
from shared.kernel.ids import uuid7
from shared.party.failure_isolation import ClaimedBatch, Isolation
from shared.runtime.watch.health import Check
from shared.runtime.watch.retry_backoff import RetryBackoff
from tests.support.builders import AT
from tests.support.manual_clock import ManualClock


async def test_a_database_that_is_away_sets_nobody_aside() -> None:
    aside = RetryBackoff()
    tried = list[int]()

    async def away(taking: ClaimedBatch) -> None:
        taking.take([{"referral_id": uuid7(), "party": "x"}])
        tried.append(taking.limit)
        raise Unavailable("database_unavailable")

    with pytest.raises(Unavailable):
        await Isolation(aside, ManualClock(AT)).batch("work", 7, away)
    assert (tried, await aside.check()) == ([7], Check("rules", True))
