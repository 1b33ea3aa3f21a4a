"""Holds of several agencies, and a hold of an agency whose instance states a false time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.services.hotline.origin import Origin
from tests.services.hotline.test_holds import (
    SLOT,
    WINDOW,
    agencies_of,
    applied,
    extend,
    notice,
    pass_time,
    place,
    planned,
    told,
)

__all__ = ["planned"]  # a fixture


async def test_each_hold_ends_in_its_own_slot_whoever_else_holds(origin: Origin) -> None:
    """If a hold ended later than requested, its agency could tell that another agency holds, too."""
    referral_id = await origin.file()
    one, other, *_ = await agencies_of(origin, referral_id)
    short = place(origin, referral_id, one, WINDOW + timedelta(hours=8))
    long = place(origin, referral_id, other, WINDOW + timedelta(hours=80))
    assert await applied(origin, short, long) == [None, None]
    await pass_time(origin, WINDOW + timedelta(hours=8) + SLOT)
    assert [(each["hold"], each["end"]) for each in await told(origin, "hold_ended")] == [
        (str(short.clear.act), "expired")  # type: ignore[attr-defined]
    ]
    assert (await notice(origin, referral_id))["delivery"] == "planned"
    await pass_time(origin, timedelta(hours=80))
    assert [each["end"] for each in await told(origin, "hold_ended")] == ["expired", "expired"]
    assert (await notice(origin, referral_id))["delivery"] == "queued"


async def test_a_hold_is_bounded_by_the_origin_s_clock_whatever_its_agency_says_of_the_time(origin: Origin) -> None:
    referral_id = await origin.file()
    agency, *_ = await agencies_of(origin, referral_id)
    ahead = timedelta(days=3650)
    dated = replace(place(origin, referral_id, agency, ahead), sent_at=origin.clock.now() + ahead - timedelta(hours=1))
    assert await applied(origin, dated) == ["hold_beyond_bound"]
    placed = place(origin, referral_id, agency, timedelta(hours=80), number=2)
    assert await applied(origin, placed) == [None]
    longer = replace(extend(origin, placed, ahead, number=3), sent_at=dated.sent_at)
    assert await applied(origin, longer) == ["hold_beyond_bound"]


async def test_a_short_hold_does_not_cut_the_window_of_the_others(origin: Origin) -> None:
    referral_id = await origin.file()
    one, other, *_ = await agencies_of(origin, referral_id)
    before = (await notice(origin, referral_id))["issue_at"]
    assert await applied(origin, place(origin, referral_id, one, timedelta(minutes=20))) == [None]
    assert (await notice(origin, referral_id))["issue_at"] == before
    await pass_time(origin, timedelta(hours=1))
    assert [each["end"] for each in await told(origin, "hold_ended")] == ["expired"]
    assert await applied(origin, place(origin, referral_id, other, WINDOW)) == [None]
    assert len(await told(origin, "hold_activated")) == 2
    assert await told(origin, "hold_too_late") == []
