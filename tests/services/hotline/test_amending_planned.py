"""A referral is amended before its notice was issued: that waits on, and whoever may hold it still may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from tests.services.hotline.origin import Origin
from tests.services.hotline.test_amending import amended, filed, read, sent
from tests.services.hotline.test_holds import SLOT, WINDOW, agencies_of, applied, pass_time, place, told
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


async def test_a_hold_stands_while_its_referral_is_amended(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    agency, *_ = await agencies_of(origin, referral_id)
    assert await applied(origin, place(origin, referral_id, agency, WINDOW + timedelta(hours=8))) == [None]
    await amended(client, referral_id, body | {"media_kind": "video"})
    await pass_time(origin, WINDOW + SLOT)
    (held,) = await notices(origin, referral_id)
    assert held["delivery"] == "planned"
    await pass_time(origin, timedelta(hours=8))
    (issued,) = await notices(origin, referral_id)
    assert issued["delivery"] == "queued"


async def test_what_an_amendment_adds_has_a_window_of_its_own(origin: Origin, client: httpx.AsyncClient) -> None:
    """Agencies that the amendment changes nothing for may hold it all the same."""
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
