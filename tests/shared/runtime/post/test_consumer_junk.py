"""What nobody can take: junk is folded into counted rows, and what is not authentic stays a hole."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from tests.shared.exchange.wrong_records import PARTY_KEYS, signed
from tests.shared.runtime.post.test_consumer_waits import APPLIED, PARKED, offers
from tests.support.builders import AT, POLICE
from tests.support.consuming import Desk
from tests.support.exchange_world import World, world


@pytest.fixture(scope="module")
def here() -> World:
    return world()


async def test_junk_is_one_row_an_hour_and_one_fact(here: World) -> None:
    desk = Desk(here)
    junk = [replace(offers(here)[0], headers=(), offset=1_000 + number) for number in range(200)]
    await desk.consume(junk[:150])
    await desk.consume(junk[150:])
    later = replace(junk[0], broker_time=AT + timedelta(hours=1), offset=2_000)
    await desk.consume([later])
    assert [each.offset for each in desk.stated] == [1_000, 2_000]
    assert sorted(count for _, count in desk.database.state.quarantine.values()) == [1, 200]


async def test_a_message_that_breaks_the_service_is_one_row_however_often_it_comes(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(here)
    (offer,) = offers(here)

    async def fails(*_: object) -> dict[UUID, str]:
        raise ValueError

    apply = desk.handler.apply
    monkeypatch.setattr(desk.handler, "apply", fails)
    for number in range(3):
        (verdict,) = await desk.consume([replace(offer, offset=offer.offset + number)])
        assert (verdict.outcome, verdict.code) == (PARKED, "handler_defect")
    assert (len(desk.parked()), len(desk.stated)) == (1, 1)
    # Mended, it is taken when it comes again.
    monkeypatch.setattr(desk.handler, "apply", apply)
    assert [each.outcome for each in await desk.consume([offer])] == [APPLIED]


async def test_what_is_authentic_is_taken_and_what_is_not_stays_a_hole() -> None:
    desk = Desk(world(party_keys=PARTY_KEYS))
    here = desk.here
    records = offers(here, 4)
    broken = replace(records[1], value=(records[1].value or b"") + b" ")
    deferred = signed(type="causeway.referral_offered.v2")(here, records[3])
    await desk.consume([records[0], broken, records[2], deferred])
    async with desk.inbox.unit() as unit:
        (mark,) = [each for each in await unit.taken.taken_marks("hotline") if each.recipient == POLICE]
    assert (mark.through, mark.holes) == (1, ((2, 2),))
