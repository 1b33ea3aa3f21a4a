"""A hotline's handling of referrals that others offer: each guard of its receiving half, over PostgreSQL."""

from __future__ import annotations

import httpx
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.authority import Role
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.features.offers.api import offers_router
from shared.features.offers.rules import HOTLINE as RECIPIENT
from shared.features.received.rules import ItemQuery
from shared.features.received.service.items import list_items, show_item
from tests.services.databases import stored_text
from tests.services.deliveries import AGENCY, HOTLINE, LOCATION, OTHER_HOTLINE, issued, withdrawn
from tests.services.doors import asking, door, serving
from tests.services.hotline.hotlines import KEK, Hotlines, an_offer


async def test_an_offered_referral_is_shown_with_its_opened_record(hotlines: Hotlines) -> None:
    referral_id = await hotlines.offer()
    shown = await hotlines.show(referral_id)
    assert (shown["state"], shown["origin"], shown["purpose"]) == ("offered", HOTLINE, "assessment")
    assert shown["record"]["items"][0]["locator"]["value"] == LOCATION


async def test_nothing_of_a_record_is_stored_in_the_clear(hotlines: Hotlines, endpoint: DatabaseEndpoint) -> None:
    referral_id = await hotlines.offer()
    stored = await stored_text(endpoint.owner_url, [OTHER_HOTLINE])
    assert str(referral_id) in stored
    assert LOCATION not in stored
    assert LOCATION.encode().hex() not in stored


async def test_a_referral_is_offered_once(hotlines: Hotlines) -> None:
    referral_id = uuid7()
    assert await hotlines.receive(an_offer(referral_id), an_offer(referral_id)) == [None, "offer_exists"]
    assert await hotlines.receive(an_offer(referral_id)) == ["offer_exists"]


async def test_a_message_for_another_kind_of_party_is_refused(hotlines: Hotlines) -> None:
    assert await hotlines.receive(issued(uuid7(), to=OTHER_HOTLINE)) == ["message_not_for_hotlines"]


async def test_only_the_origin_may_withdraw(hotlines: Hotlines) -> None:
    referral_id = await hotlines.offer()
    foreign = withdrawn(referral_id, to=OTHER_HOTLINE, origin=AGENCY)
    assert await hotlines.receive(foreign) == ["offer_unknown"]
    assert (await hotlines.show(referral_id))["state"] == "offered"


async def test_what_is_withdrawn_is_acknowledged_to_its_origin(hotlines: Hotlines) -> None:
    referral_id = uuid7()
    await hotlines.receive(an_offer(referral_id), withdrawn(referral_id, to=OTHER_HOTLINE))
    assert (await hotlines.show(referral_id))["state"] == "withdrawn"
    assert await hotlines.acknowledge(referral_id) == "withdrawal_acknowledged"
    shown = await hotlines.show(referral_id)
    assert (shown["record"], shown["fate"]) == (None, "erased")
    clear = {"referral_id": str(referral_id), "revision": 1, "number": 1, "fate": "erased"}
    assert await hotlines.sent(referral_id) == [
        ("causeway.withdrawal_acknowledged.v1", OTHER_HOTLINE, HOTLINE, True, clear)
    ]


async def test_a_withdrawal_is_applied_once(hotlines: Hotlines) -> None:
    referral_id = await hotlines.offer()
    twice = withdrawn(referral_id, to=OTHER_HOTLINE), withdrawn(referral_id, to=OTHER_HOTLINE)
    assert await hotlines.receive(*twice) == [None, "state_forbids"]
    assert await hotlines.receive(withdrawn(referral_id, to=OTHER_HOTLINE)) == ["state_forbids"]


async def test_no_withdrawal_is_acknowledged_before_there_is_one(hotlines: Hotlines) -> None:
    referral_id = await hotlines.offer()
    with pytest.raises(Refused) as refusal:
        await hotlines.acknowledge(referral_id)
    assert (refusal.value.code, refusal.value.status) == ("state_forbids", 409)
    assert await hotlines.sent(referral_id) == []


async def test_a_foreign_offer_is_answered_exactly_like_an_absent_one(hotlines: Hotlines) -> None:
    referral_id = uuid7()
    await hotlines.receive(an_offer(referral_id), withdrawn(referral_id, to=OTHER_HOTLINE))
    answers = []
    for asked in (referral_id, uuid7()):
        with pytest.raises(Refused) as refusal:
            await hotlines.acknowledge(asked, party=HOTLINE)
        answers.append((refusal.value.code, refusal.value.status, refusal.value.detail))
        with pytest.raises(Refused, match="not_found"):
            await hotlines.show(asked, party=HOTLINE)
    assert answers == [("not_found", 404, answers[0][2])] * 2


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR])
async def test_a_role_that_never_may_is_told_so_with_and_without_an_offer(hotlines: Hotlines, role: Role) -> None:
    referral_id = uuid7()
    await hotlines.receive(an_offer(referral_id), withdrawn(referral_id, to=OTHER_HOTLINE))
    for asked in (referral_id, uuid7()):
        with pytest.raises(Refused, match="forbidden"):
            await hotlines.acknowledge(asked, role=role)


async def test_an_auditors_role_reads_no_offers(hotlines: Hotlines) -> None:
    async with hotlines.offers("read", role=Role.AUDITOR) as acting:
        with pytest.raises(Refused, match="forbidden"):
            await show_item(RECIPIENT, uuid7(), acting)
        with pytest.raises(Refused, match="forbidden"):
            await list_items(RECIPIENT, ItemQuery(), acting)


async def test_the_door_lists_shows_and_acknowledges(hotlines: Hotlines) -> None:
    referral_id = await hotlines.offer()
    router = offers_router(serving(hotlines.database, "hotline", kek=KEK, directory=hotlines.directory))
    client: httpx.AsyncClient
    async with door(router) as client:
        listed = await client.get("/v1/inbox", params={"limit": 1}, headers=asking(OTHER_HOTLINE))
        assert LOCATION not in listed.text
        path = f"/v1/inbox/{referral_id}"
        shown = await client.get(path, headers=asking(OTHER_HOTLINE))
        assert shown.json()["record"]["items"][0]["locator"]["value"] == LOCATION
        assert (await client.get(path, headers=asking(HOTLINE))).status_code == 404
        await hotlines.receive(withdrawn(referral_id, to=OTHER_HOTLINE))
        headers = asking(OTHER_HOTLINE, key="once")
        path, erased = f"{path}:acknowledge-withdrawal", {"fate": "erased"}
        done = [await client.post(path, json=erased, headers=headers) for _ in range(2)]
        viewer = asking(OTHER_HOTLINE, role=Role.VIEWER, key="once")
        not_theirs = await client.post(path, json=erased, headers=viewer)
    # the stored answer is equally forbidden
    assert (not_theirs.status_code, not_theirs.json()["code"]) == (403, "forbidden")
    assert [(each.status_code, each.json()["state"]) for each in done] == [(202, "withdrawal_acknowledged")] * 2
    kinds = [kind for kind, *_ in await hotlines.sent(referral_id)]
    assert kinds == ["causeway.record_revealed.v1", "causeway.withdrawal_acknowledged.v1"]
