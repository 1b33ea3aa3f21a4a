"""A restored origin issues no notice that may be held until it has read the forgotten messages again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shared.kernel.ids import uuid7
from tests.services.hotline.origin import Origin
from tests.services.hotline.test_holds import (
    SLOT,
    WINDOW,
    agencies_of,
    applied,
    notice,
    pass_time,
    place,
    planned,
    release,
    told,
)

__all__ = ["planned"]  # the fixture
HOUR = timedelta(hours=1)
_CLOSED = """
INSERT INTO incarnation (writer, addressee, incarnation, closed_at) SELECT 'hotline', min(peer), $1, $2 FROM stream_pair
"""


@pytest.fixture
async def lived(origin: Origin) -> AsyncIterator[None]:
    """Undo the restore, so that other tests of the database find it as before."""
    yield
    async with origin.database.transaction() as session:
        await session.driver.execute("DELETE FROM incarnation")


async def restored(origin: Origin) -> None:
    """Continue the streams to one peer in another incarnation, as after a restore."""
    async with origin.database.transaction() as session:
        await session.driver.execute(_CLOSED, uuid7(), origin.clock.now())


@pytest.mark.usefixtures("lived")
async def test_what_is_due_waits_for_an_hour_and_then_goes(origin: Origin) -> None:
    referral_id = await origin.file()
    origin.clock.advance((WINDOW + SLOT).total_seconds())
    await restored(origin)
    await pass_time(origin, HOUR - SLOT)
    assert (await notice(origin, referral_id))["delivery"] == "planned"
    await pass_time(origin, 3 * SLOT)
    assert (await notice(origin, referral_id))["delivery"] == "queued"


async def test_without_a_restore_it_would_have_gone(origin: Origin) -> None:
    """Negative control of the test above."""
    referral_id = await origin.file()
    await pass_time(origin, WINDOW + SLOT)
    assert (await notice(origin, referral_id))["delivery"] == "queued"


@pytest.mark.usefixtures("lived")
async def test_a_hold_that_was_forgotten_is_read_again_and_kept(origin: Origin) -> None:
    """The agency's message is read again. It is answered again, and the notice waits."""
    referral_id = await origin.file()
    agency, *_ = await agencies_of(origin, referral_id)
    held = place(origin, referral_id, agency, WINDOW + 8 * HOUR)
    origin.clock.advance((WINDOW + SLOT).total_seconds())
    await restored(origin)
    assert await applied(origin, held) == [None]
    assert [each["hold"] for each in await told(origin, "hold_activated")] == [str(held.clear.act)]  # type: ignore[attr-defined]
    await pass_time(origin, 2 * HOUR)
    assert (await notice(origin, referral_id))["delivery"] == "planned"
    assert await applied(origin, release(origin, held)) == [None]
    assert [each["end"] for each in await told(origin, "hold_ended")] == ["released"]
