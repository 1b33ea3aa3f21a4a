"""A hotline claims a transferred referral, and learns whether the claim was granted."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from shared.core.authority import Role
from shared.core.contracts.answers import ClaimGoneClear, ClaimGrantedClear, ItemProgress, TransferOfferedClear
from shared.core.contracts.base import Contract
from shared.core.contracts.referral import ReferralSubmission
from shared.core.contracts.registry import CLAIM_GONE, CLAIM_GRANTED, TRANSFER_OFFERED, MessageType
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.derived_referral import derived_from
from shared.core.protocol.message import Received
from shared.core.vocabulary.referral import TransferReason
from shared.features.attention.rules import ListPlace
from shared.features.offers.store import transfers_waiting
from shared.platform.database.transactions import RowScope
from tests.services.deliveries import HOTLINE, OTHER_HOTLINE, received, withdrawn
from tests.services.doors import asking
from tests.services.hotline.hotlines import Hotlines, Prompt, an_offer


def said(message: MessageType, clear: Contract, referral_id: UUID, sender: str = HOTLINE) -> Received:
    return received(message, clear, subject=referral_id, sender=sender, recipient=OTHER_HOTLINE, instance="hotline")


def offered_over(referral_id: UUID, sender: str = HOTLINE) -> Received:
    clear = TransferOfferedClear(referral_id=referral_id, revision=1, act=uuid4(), reason=TransferReason.NO_MANDATE)
    return said(TRANSFER_OFFERED, clear, referral_id, sender)


def granted(referral_id: UUID) -> Received:
    done = (ItemProgress(n=1, issued=2, actioned=1),)
    return said(
        CLAIM_GRANTED, ClaimGrantedClear(referral_id=referral_id, revision=1, claim=uuid4(), done=done), referral_id
    )


def gone(referral_id: UUID) -> Received:
    return said(CLAIM_GONE, ClaimGoneClear(referral_id=referral_id, revision=1), referral_id)


async def test_what_is_transferred_is_claimed_and_then_the_hotlines_own(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    assert await prompt.act(referral_id, "claim") == (409, "state_forbids")
    assert await hotlines.receive(offered_over(referral_id)) == [None]
    shown = await hotlines.show(referral_id)
    assert (shown["state"], shown["transfer"]) == ("claimable", "no_mandate")
    assert await prompt.act(referral_id, "claim", role=Role.VIEWER) == (403, "forbidden")
    assert await prompt.act(referral_id, "claim", party=HOTLINE) == (404, "not_found")
    assert await prompt.act(referral_id, "claim") == (202, "claimed")
    assert await prompt.act(referral_id, "claim") == (409, "state_forbids")
    assert [kind for kind, *_ in await hotlines.sent(referral_id)] == ["causeway.offer_claimed.v1"]
    assert await hotlines.receive(granted(referral_id)) == [None]
    shown = await hotlines.show(referral_id)
    assert (shown["state"], shown["done"]) == ("transferred", [{"n": 1, "issued": 2, "actioned": 1}])


@pytest.mark.parametrize("claims", [True, False])
async def test_who_comes_second_or_never_learns_it_is_gone(hotlines: Hotlines, prompt: Prompt, *, claims: bool) -> None:
    referral_id = uuid7()
    await hotlines.receive(an_offer(referral_id), offered_over(referral_id))
    if claims:
        assert await prompt.act(referral_id, "claim") == (202, "claimed")
    assert await hotlines.receive(gone(referral_id)) == [None]
    assert (await hotlines.show(referral_id))["state"] == "gone"
    assert await prompt.act(referral_id, "claim") == (409, "state_forbids")
    assert await hotlines.receive(withdrawn(referral_id, to=OTHER_HOTLINE)) == [None]
    assert await hotlines.acknowledge(referral_id) == "withdrawal_acknowledged"


async def test_what_was_declined_can_be_claimed_once_it_is_transferred(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    assert await prompt.act(referral_id, "decline", {"reason": "no_capacity"}) == (202, "declined")
    await hotlines.receive(offered_over(referral_id))
    assert await prompt.act(referral_id, "claim") == (202, "claimed")


async def waiting(hotlines: Hotlines, referral_id: UUID) -> list[tuple[tuple[str, ...], str]]:
    """Return the reasons and suggested actions for a referral in the hotline's attention list, over all pages."""
    found = []
    async with hotlines.offers("read") as acting:
        driver, place = acting.items._driver, ListPlace(-1, datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))  # type: ignore[attr-defined]
        while rows := await transfers_waiting(driver, OTHER_HOTLINE, place, rank_max=1, limit=3):
            found += [(each.row.reasons, each.row.mend.value) for each in rows if each.row.subject == referral_id]
            place = rows[-1].place
    return found


@pytest.mark.parametrize("priority", ["p2_normal", "p0_child_at_risk"])
async def test_what_was_handed_over_is_listed_until_filed(hotlines: Hotlines, prompt: Prompt, priority: str) -> None:
    referral_id, path = uuid7(), "/v1/inbox/{}/draft"
    await hotlines.receive(an_offer(referral_id, priority=priority), offered_over(referral_id))
    # An open offer with a child at risk is already on the list.
    assert await waiting(hotlines, referral_id) == ([] if priority.startswith("p0") else [(("claimable",), "claim")])
    await prompt.act(referral_id, "claim")
    headers = asking(OTHER_HOTLINE, role=Role.ANALYST)
    answer = await prompt.client.get(path.format(referral_id), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "state_forbids")
    assert await revealed(hotlines, referral_id) == 0
    assert await waiting(hotlines, referral_id) == []
    await hotlines.receive(granted(referral_id))
    assert await waiting(hotlines, referral_id) == [(("handed_over",), "file")]
    answer = await prompt.client.get(path.format(referral_id), headers=headers)
    assert derived_from(ReferralSubmission.model_validate(answer.json()).model_dump(mode="json")) == [referral_id]
    assert await revealed(hotlines, referral_id) == 1
    for headers, status in ((asking(HOTLINE, role=Role.ANALYST), 404), (asking(OTHER_HOTLINE, role=Role.AUDITOR), 403)):
        assert (await prompt.client.get(path.format(referral_id), headers=headers)).status_code == status
    async with hotlines.database.transaction(RowScope([OTHER_HOTLINE], Role.SERVICE, "apply")) as session:
        filed = (
            "INSERT INTO referral_relation (party, referral_id, other_referral_id, kind) "
            "VALUES ($1, $2, $3, 'derived_from')"
        )
        await session.driver.execute(filed, OTHER_HOTLINE, uuid7(), referral_id)
    assert await waiting(hotlines, referral_id) == []


async def revealed(hotlines: Hotlines, referral_id: UUID) -> int:
    return [kind for kind, *_ in await hotlines.sent(referral_id)].count("causeway.record_revealed.v1")


async def test_only_its_origin_says_who_has_it(hotlines: Hotlines, prompt: Prompt) -> None:
    referral_id = await hotlines.offer()
    assert await hotlines.receive(offered_over(referral_id, "hotline-c.example")) == ["offer_unknown"]
    assert await hotlines.receive(granted(referral_id)) == ["state_forbids"]
    assert await hotlines.receive(gone(referral_id)) == ["state_forbids"]
    assert (await hotlines.show(referral_id))["state"] == "offered"
