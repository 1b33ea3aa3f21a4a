"""A referral is amended while its notice is planned. The notice stays planned, goes once, and can still be held."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.services.hotline.origin import APPLYING, Origin
from tests.services.hotline.test_amending import amended, filed, read, sent
from tests.services.hotline.test_holds import (
    SLOT,
    WINDOW,
    agencies_of,
    applied,
    no_objection,
    notice,
    pass_time,
    place,
    told,
)
from tests.services.hotline.test_holds import planned as planned  # every notice has a window here
from tests.support.builders import PROVIDER

OTHER_PROVIDER = "provider-003.example"


async def notices(origin: Origin, referral_id: UUID, provider: str = PROVIDER) -> list[dict[str, Any]]:
    edges = (await origin.show(referral_id))["edges"]
    return [edge for edge in edges if edge["recipient"] == provider]


async def test_what_is_planned_stays_so_and_goes_once_as_it_was_amended(
    origin: Origin, client: httpx.AsyncClient
) -> None:
    referral_id, body = await filed(client)
    await origin.forget()
    answer = await amended(client, referral_id, body | {"media_kind": "video"})
    assert (PROVIDER in answer["added"], PROVIDER in answer["replaced"]) == (False, True)
    assert PROVIDER not in await sent(origin), "an agency may still hold it"
    (planned,) = await notices(origin, referral_id)
    assert planned["delivery"] == "planned"
    await pass_time(origin, WINDOW + SLOT)
    (issued,) = await notices(origin, referral_id)
    assert issued["delivery"] == "queued"
    origin.world.at = origin.clock.now()
    message = read(origin, (await sent(origin))[PROVIDER])
    assert message.sealed.media_kind.value == "video"  # type: ignore[union-attr]
    answer = await amended(client, referral_id, body | {"media_kind": "text"}, revision=2)
    assert PROVIDER in answer["replaced"]
    again = read(origin, (await sent(origin))[PROVIDER])
    assert again.subject == message.subject, "there is one notice"


async def test_what_an_amendment_adds_has_a_window_of_its_own(origin: Origin, client: httpx.AsyncClient) -> None:
    """Agencies that the amendment does not concern may hold it, too."""
    referral_id, body = await filed(client)
    await pass_time(origin, WINDOW + SLOT)
    await origin.forget()
    item, other = body["items"]
    hosting = [*item["hosting"], {"provider": OTHER_PROVIDER, "method": "stated"}]
    answer = await amended(client, referral_id, body | {"items": [item | {"hosting": hosting}, other]})
    assert OTHER_PROVIDER in answer["added"]
    assert OTHER_PROVIDER not in await sent(origin)
    (added,) = await notices(origin, referral_id, OTHER_PROVIDER)
    assert added["delivery"] == "planned"
    await pass_time(origin, WINDOW - SLOT)
    assert OTHER_PROVIDER not in await sent(origin)
    await pass_time(origin, 2 * SLOT)
    assert OTHER_PROVIDER in await sent(origin)


async def test_a_planned_notice_that_concerns_its_provider_no_more_is_dropped_and_its_hold_lapses(
    origin: Origin, client: httpx.AsyncClient
) -> None:
    referral_id, body = await filed(client)
    agency, *_ = await agencies_of(origin, referral_id)
    assert await applied(origin, place(origin, referral_id, agency, WINDOW + timedelta(hours=8))) == [None]
    item, other = body["items"]
    unknown = [{name: value for name, value in each.items() if name != "provider"} for each in item["hosting"]]
    await amended(client, referral_id, body | {"items": [item | {"hosting": unknown}, other]})
    assert await notices(origin, referral_id) == []
    assert [each["end"] for each in await told(origin, "hold_ended")] == ["lapsed"]
    await pass_time(origin, 2 * WINDOW)
    assert PROVIDER not in await sent(origin)


async def issued(origin: Origin) -> int:
    """Return how many messages would go to the provider."""
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


async def test_each_notice_that_is_planned_is_there_once(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    for revision, kind in enumerate(["video", "image", "video"], start=1):
        await amended(client, referral_id, body | {"media_kind": kind}, revision=revision)
    async with origin.database.transaction(APPLYING) as session:
        counted = "SELECT count(*) FROM edge WHERE referral_id = $1 AND state = 'planned'"
        assert await session.driver.fetchval(counted, referral_id) == 1
