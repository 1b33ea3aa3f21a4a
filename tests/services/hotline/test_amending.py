"""A referral is amended. Recipients without a change get no message; the others get the change that concerns them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.core.contracts.items import ITEMS_MAX
from shared.core.ids import uuid7
from shared.core.protocol.accept import accept
from shared.core.protocol.message import Draft, Received
from tests.services.doors import asking
from tests.services.hotline.origin import Origin, applied, body_of, said
from tests.services.hotline.transferring import EUROPE, claim, items, transfer
from tests.support.builders import HOTLINE, PROVIDER
from tests.support.exchange_world import SUBMISSION, move, told_to_audit


async def filed(client: httpx.AsyncClient, **changes: Any) -> tuple[UUID, dict[str, Any]]:
    """Submit a referral; return its id and the posted body."""
    body = body_of(**changes)
    answer = await client.post("/v1/referrals", json=body, headers=asking(HOTLINE, key=uuid7().hex))
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["referral_id"]), body


async def amend(
    client: httpx.AsyncClient, referral_id: UUID, body: dict[str, Any], *, revision: int | None = 1
) -> httpx.Response:
    headers = asking(HOTLINE, key=uuid7().hex) | ({} if revision is None else {"If-Match": f'"{revision}"'})
    return await client.post(f"/v1/referrals/{referral_id}:amend", json=body, headers=headers)


async def amended(
    client: httpx.AsyncClient, referral_id: UUID, body: dict[str, Any], *, revision: int = 1
) -> dict[str, Any]:
    answer = await amend(client, referral_id, body, revision=revision)
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def sent(origin: Origin) -> dict[str, Draft]:
    """Return the sent messages by recipient, and forget them."""
    rows = await origin.waiting()
    await origin.forget()
    return {each.recipient: each for each in rows}


def read(origin: Origin, row: Draft) -> Received:
    """Return the message as its recipient's instance accepts it."""
    return accept(origin.world.records([row])[0], origin.world.reader(row.recipient_instance))


def judged(*finals: str, status: str = "final") -> dict[str, Any]:
    """Return a submission whose first item has these INTERPOL baseline assessments."""
    (item, *others) = SUBMISSION["items"]
    stated = [{"scheme": "interpol_baseline", "value": each, "status": status} for each in finals]
    return {"items": [item | {"assessments": stated}, *others]}


async def test_an_amendment_names_the_items_in_another_spelling(client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    (item, *others) = SUBMISSION["items"]
    pasted = item | {"locator": {"kind": "url", "value": "hxxps://site[.]example/new"}}
    told = await amended(client, referral_id, body | {"items": [pasted, *others]})
    assert told["respelled"] == [1]


@pytest.mark.parametrize(("first", "second"), [("baseline", "not_illegal"), ("not_illegal", "baseline")])
async def test_a_final_finding_stays_final(client: httpx.AsyncClient, first: str, second: str) -> None:
    posted, headers = body_of(**judged(first, second)), asking(HOTLINE, key=uuid7().hex)
    told = (await client.post("/v1/referrals", json=posted, headers=headers)).json()
    assert (told["status"], told["code"], told["field"]) == (422, "assessment_final", "/items/0/assessments")
    await filed(client, **judged(first, second, status="provisional"))
    referral_id, body = await filed(client, **judged(first))
    for finals in ((second,), (first, second)):
        answer = await amend(client, referral_id, body | judged(*finals))
        assert (answer.status_code, answer.json()["code"]) == (422, "assessment_final")
    await amended(client, referral_id, body | judged(first) | {"media_kind": "video"})


async def test_a_record_cannot_contradict_what_a_hotline_found(origin: Origin, client: httpx.AsyncClient) -> None:
    (item,) = items("NO")
    referral_id, body = await filed(client, items=[item | {"assessments": []}])
    found = {"n": 1, "assessment": "not_illegal", "reason": "other"}
    by_number = [("offer_accepted", {}), ("offer_assessed", {"assessed": [found]})]
    told = [said(name, referral_id, EUROPE, number, **words) for number, (name, words) in enumerate(by_number, 1)]
    assert await applied(origin, *told) == [None, None]
    answer = await amend(client, referral_id, body | {"items": [item]})
    assert (answer.status_code, answer.json()["code"]) == (422, "assessment_final")
    await amended(client, referral_id, body | {"media_kind": "video"})
    crossed, body = await filed(client, items=[item])
    told = [said(name, crossed, EUROPE, number, **words) for number, (name, words) in enumerate(by_number, 1)]
    assert await applied(origin, *told) == [None, None]
    await amended(client, crossed, body | {"media_kind": "video"})


async def test_each_recipient_gets_the_change_under_the_same_ids(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    first = await sent(origin)
    told = await amended(client, referral_id, body)
    assert (told["revision"], told["replaced"], told["added"], told["taken_back"]) == (1, [], [], [])
    assert len(told["unchanged"]) == 5
    assert await sent(origin) == {}, "the same again changes nothing"
    told = await amended(client, referral_id, body | {"media_kind": "video"})
    assert (told["revision"], told["unchanged"], len(told["replaced"])) == (2, [], 5)
    second = await sent(origin)
    assert second.keys() == first.keys()
    for recipient in told["replaced"]:
        before, after = read(origin, first[recipient]), read(origin, second[recipient])
        assert (before.subject, before.clear.edge_id) == (after.subject, after.clear.edge_id)  # type: ignore[attr-defined]
        assert after.clear.revision == 2  # type: ignore[attr-defined]
        assert after.sealed.media_kind.value == "video"  # type: ignore[union-attr]
    fact = told_to_audit(origin.world, second["audit"])
    assert (fact["revision"], fact["facts"]["media_kind"], len(fact["edges"])) == (2, "video", 5)


async def test_a_provider_is_told_nothing_of_what_it_is_not_shown(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    await origin.forget()
    told = await amended(client, referral_id, body | {"viewed_by": "automated_only"})
    assert (told["unchanged"], PROVIDER in told["replaced"]) == ([PROVIDER], False)
    assert PROVIDER not in await sent(origin)


# -- Amendments add and remove items, but the answers stay. The referral can still be shown and sent.


def hosted(*places: int) -> list[dict[str, Any]]:
    """Return items at these places, all hosted by one provider."""
    item = SUBMISSION["items"][0]
    return [item | {"locator": {"kind": "url", "value": f"https://images.example/over/{n}"}} for n in places]


async def disown(origin: Origin, notice_id: UUID, numbers: Collection[int], *, number: int) -> None:
    disowned = tuple({"n": n} for n in numbers)
    assert await applied(origin, said("notice_not_ours", notice_id, PROVIDER, number, disowned=disowned)) == [None]


async def test_a_notice_disowned_twice_is_shown_amended_and_moves(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client, items=hosted(*range(10)))
    notice_id = await origin.notice_id(referral_id)
    await disown(origin, notice_id, range(1, 11), number=1)
    await amended(client, referral_id, body | {"items": hosted(*range(10, 20))})
    # One item stays unanswered, so the edge is open and follows its recipient.
    await disown(origin, notice_id, range(11, 20), number=500_000)
    assert len((await origin.edge(referral_id))["answer_detail"]["disowned"]) == 19
    await amended(client, referral_id, body | {"items": hosted(*range(10, 20)), "media_kind": "video"}, revision=2)
    await sent(origin)
    move(origin.world, PROVIDER)
    await origin.bus.follow(origin.world.documents.directory)
    told = read(origin, (await sent(origin))[PROVIDER]).again
    assert told is not None
    assert (told.number, [each.n for each in told.disowned]) == (500_000, list(range(11, 20)))


async def test_who_claims_it_is_told_what_was_done_about_its_items(origin: Origin, client: httpx.AsyncClient) -> None:
    places = items(*["NO"] * (2 * ITEMS_MAX))
    referral_id, body = await filed(client, items=places[:ITEMS_MAX])
    await amended(client, referral_id, body | {"items": places[ITEMS_MAX:]})
    assert (await transfer(origin, referral_id))[0] == 202
    assert await applied(origin, claim(referral_id, EUROPE)) == [None]
    granted = (await sent(origin))[EUROPE]
    assert granted.message.name == "claim_granted"
    done = granted.clear["done"]
    assert [each["n"] for each in done] == list(range(ITEMS_MAX + 1, 2 * ITEMS_MAX + 1))
