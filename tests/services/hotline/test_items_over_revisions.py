"""Amendments add and remove items, but the answers stay. The referral can still be shown and sent."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

import httpx

from shared.contracts.answers import NoticeNotOursClear
from shared.contracts.items import ITEMS_MAX, DisownedItem
from shared.contracts.registry import NOTICE_NOT_OURS
from shared.kernel.ids import uuid4
from tests.services.deliveries import received
from tests.services.hotline.origin import Origin, applied
from tests.services.hotline.test_amending import amended, filed, read, sent
from tests.services.hotline.transferring import EUROPE, claim, items, transfer
from tests.support.builders import HOTLINE, PROVIDER
from tests.support.exchange_world import SUBMISSION, move


def hosted(*places: int) -> list[dict[str, Any]]:
    """Return items at these places, all hosted by one provider."""
    item = SUBMISSION["items"][0]
    return [item | {"locator": {"kind": "url", "value": f"https://images.example/over/{n}"}} for n in places]


async def disown(origin: Origin, notice_id: UUID, numbers: Collection[int], *, number: int) -> None:
    said = tuple(DisownedItem(n=n) for n in numbers)
    clear = NoticeNotOursClear(notice_id=notice_id, disowned=said, act=uuid4(), number=number)
    message = received(NOTICE_NOT_OURS, clear, subject=notice_id, sender=PROVIDER, recipient=HOTLINE)
    assert await applied(origin, message) == [None]


async def notice(origin: Origin, referral_id: UUID) -> dict[str, Any]:
    return next(each for each in (await origin.show(referral_id))["edges"] if each["recipient"] == PROVIDER)


async def test_a_notice_that_was_disowned_twice_over_is_shown_amended_and_moves(
    origin: Origin, client: httpx.AsyncClient
) -> None:
    referral_id, body = await filed(client, items=hosted(*range(10)))
    notice_id = UUID((await notice(origin, referral_id))["notice_id"])
    await disown(origin, notice_id, range(1, 11), number=1)
    await amended(client, referral_id, body | {"items": hosted(*range(10, 20))})
    # One item stays unanswered, so the edge is open and follows its recipient.
    await disown(origin, notice_id, range(11, 20), number=500_000)
    assert len((await notice(origin, referral_id))["answer_detail"]["disowned"]) == 19
    await amended(client, referral_id, body | {"items": hosted(*range(10, 20)), "media_kind": "video"}, revision=2)
    await sent(origin)
    move(origin.world, PROVIDER)
    await origin.bus.follow(origin.world.documents.directory)
    told = read(origin, (await sent(origin))[PROVIDER]).again
    assert told is not None
    assert (told.number, [each.n for each in told.disowned]) == (500_000, list(range(11, 20)))


async def test_whoever_claims_what_has_had_many_items_is_told_what_was_done_about_those_that_stand(
    origin: Origin, client: httpx.AsyncClient
) -> None:
    places = items(*["NO"] * (2 * ITEMS_MAX))
    referral_id, body = await filed(client, items=places[:ITEMS_MAX])
    await amended(client, referral_id, body | {"items": places[ITEMS_MAX:]})
    assert (await transfer(origin, referral_id))[0] == 202
    assert await applied(origin, claim(referral_id, EUROPE)) == [None]
    granted = (await sent(origin))[EUROPE]
    assert granted.message.name == "claim_granted"
    done = granted.clear["done"]
    assert [each["n"] for each in done] == list(range(ITEMS_MAX + 1, 2 * ITEMS_MAX + 1))
