"""What is amended or rerouted while notices are planned: nobody's hold is passed by, and nothing goes twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.services.hotline.origin import APPLYING, Origin
from tests.services.hotline.test_amending import amended, filed
from tests.services.hotline.test_holds import (
    SLOT,
    WINDOW,
    agencies_of,
    applied,
    no_objection,
    notice,
    pass_time,
    place,
    planned,
    told,
)
from tests.support.builders import PROVIDER

__all__ = ["planned"]  # fixtures


async def notices(origin: Origin, referral_id: UUID) -> list[dict[str, Any]]:
    """The edges to the provider that stand."""
    return [each for each in (await origin.show(referral_id))["edges"] if each["recipient"] == PROVIDER]


async def issued(origin: Origin) -> int:
    """How many messages would go to the provider."""
    return sum(row.recipient == PROVIDER for row in await origin.waiting())


async def test_an_amendment_does_not_issue_what_is_held(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    agency, *_ = await agencies_of(origin, referral_id)
    assert await applied(origin, place(origin, referral_id, agency, WINDOW + timedelta(hours=8))) == [None]
    before = await notice(origin, referral_id)
    said = await amended(client, referral_id, body | {"media_kind": "video"})
    assert PROVIDER in said["replaced"]
    assert await issued(origin) == 0
    (stands,) = await notices(origin, referral_id)
    assert (stands["delivery"], stands["issue_at"]) == ("planned", before["issue_at"])
    await pass_time(origin, WINDOW + SLOT)
    assert await issued(origin) == 0
    await pass_time(origin, timedelta(hours=8))
    assert (await issued(origin), len(await notices(origin, referral_id))) == (1, 1)
    assert [each["end"] for each in await told(origin, "hold_ended")] == ["expired"]


async def test_an_amendment_leaves_the_window_where_it_was(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    await pass_time(origin, WINDOW - SLOT)
    await amended(client, referral_id, body | {"media_kind": "video"})
    assert await issued(origin) == 0
    await pass_time(origin, 2 * SLOT)
    assert await issued(origin) == 1


@pytest.mark.parametrize("shown", [{"media_kind": "video"}, {"viewed_by": "automated_only"}], ids=["all", "agencies"])
async def test_what_nobody_objects_to_goes_in_the_next_slot_all_the_same(
    origin: Origin, client: httpx.AsyncClient, shown: dict[str, str]
) -> None:
    referral_id, body = await filed(client)
    looked = [no_objection(origin, referral_id, each) for each in await agencies_of(origin, referral_id)]
    assert await applied(origin, *looked) == [None] * len(looked)
    await amended(client, referral_id, body | shown)
    assert await issued(origin) == 0
    await pass_time(origin, SLOT)
    assert await issued(origin) == 1


async def test_a_hold_of_what_is_amended_away_lapses(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    agency, *_ = await agencies_of(origin, referral_id)
    assert await applied(origin, place(origin, referral_id, agency, WINDOW)) == [None]
    items = [each | {"hosting": []} for each in body["items"]]
    await amended(client, referral_id, body | {"items": items})
    await pass_time(origin, SLOT)
    assert await notices(origin, referral_id) == []
    assert [each["end"] for each in await told(origin, "hold_ended")] == ["lapsed"]


async def test_each_notice_that_is_planned_is_there_once(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    for revision, kind in enumerate(["video", "image", "video"], start=1):
        await amended(client, referral_id, body | {"media_kind": kind}, revision=revision)
    async with origin.database.transaction(APPLYING) as session:
        counted = "SELECT count(*) FROM edge WHERE referral_id = $1 AND state = 'planned'"
        assert await session.driver.fetchval(counted, referral_id) == 1
