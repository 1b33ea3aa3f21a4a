"""The notifier's recheck results as the provider stores them, and reinstatements by the provider."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest

from shared.contracts.answers import (
    ItemsCheckedClear,
    ItemStatement,
    NoticeStatements,
    Reinstatement,
    ReinstateStatement,
)
from shared.contracts.base import Contract
from shared.contracts.items import ItemCheck
from shared.contracts.registry import ITEMS_CHECKED
from shared.exchange.message import Received
from shared.kernel.authority import Role
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid4
from shared.vocabulary.answers import CheckedBy, ItemFound, NoticeAction, ReinstateReason
from tests.services.deliveries import AT, HOTLINE, OTHER_HOTLINE, PROVIDER, notice_withdrawn, received
from tests.services.industry.provider import Providers

REMOVED: Contract = NoticeStatements(items=(ItemStatement(action=NoticeAction.REMOVED),))
BACK = Reinstatement(reinstated=(ReinstateStatement(n=1, reason=ReinstateReason.COURT_ORDER),))


def checked(
    notice_id: UUID, found: ItemFound, *, n: int = 1, of: int = 1, by: str = HOTLINE, at: datetime = AT
) -> Received:
    check = ItemCheck(n=n, round=of, found=found, by=CheckedBy.PERSON, at=at)
    clear = ItemsCheckedClear(notice_id=notice_id, act=uuid4(), checked=(check,))
    return received(ITEMS_CHECKED, clear, subject=notice_id, sender=by, recipient=PROVIDER)


async def removed(providers: Providers, *, items: int = 2) -> UUID:
    notice_id = await providers.issue(items=items)
    assert await providers.act("answer", REMOVED, notice_id) == "actioned"
    return notice_id


async def test_what_reappeared_is_open_again_and_answered_in_a_round_of_its_own(providers: Providers) -> None:
    notice_id = await removed(providers)
    assert await providers.receive(checked(notice_id, ItemFound.REAPPEARED, n=2)) == [None]
    shown = await providers.show(notice_id)
    assert (shown["state"], [(each["n"], each["found"]) for each in shown["checked"]]) == (
        "reappeared",
        [(2, "reappeared")],
    )
    assert await providers.act("answer", REMOVED, notice_id) == "actioned"
    answers = (await providers.show(notice_id))["items"]
    assert [(each["n"], each["round"]) for each in answers] == [(1, 1), (2, 1), (2, 2)]
    with pytest.raises(Refused, match="state_forbids"):
        await providers.act("answer", REMOVED, notice_id)


async def test_what_is_gone_changes_no_state_and_is_kept(providers: Providers) -> None:
    notice_id = await removed(providers)
    await providers.receive(checked(notice_id, ItemFound.GONE))
    shown = await providers.show(notice_id)
    assert (shown["state"], shown["checked"][0]["found"]) == ("actioned", "gone")


@pytest.mark.parametrize(
    ("by", "n", "code"), [(OTHER_HOTLINE, 1, "notice_unknown"), (HOTLINE, 3, "item_unknown")], ids=["by", "n"]
)
async def test_nobody_else_opens_it_and_no_other_item(providers: Providers, by: str, n: int, code: str) -> None:
    notice_id = await removed(providers)
    assert await providers.receive(checked(notice_id, ItemFound.REAPPEARED, n=n, by=by)) == [code]
    assert (await providers.show(notice_id))["state"] == "actioned"


async def test_nobody_has_looked_at_a_time_to_come(providers: Providers) -> None:
    notice_id = await removed(providers)
    message = checked(notice_id, ItemFound.GONE, at=AT.replace(year=9999))
    assert await providers.receive(message) == ["time_ahead"]


async def test_a_check_and_a_withdrawal_in_one_batch_end_withdrawn(providers: Providers) -> None:
    notice_id = await removed(providers)
    batch = checked(notice_id, ItemFound.REAPPEARED), notice_withdrawn(notice_id)
    assert await providers.receive(*batch) == [None, None]
    assert (await providers.show(notice_id))["state"] == "withdrawn"
    assert await providers.receive(checked(notice_id, ItemFound.GONE)) == ["state_forbids"]


async def test_a_provider_goes_back_on_what_it_did_with_a_reason(providers: Providers) -> None:
    notice_id = await removed(providers)
    with pytest.raises(Refused, match="forbidden"):
        await providers.act("reinstate", BACK, notice_id, role=Role.VIEWER)
    assert await providers.act("reinstate", BACK, notice_id) == "reappeared"
    with pytest.raises(Refused, match="item_not_acted_on"):
        await providers.act("reinstate", BACK, notice_id)
    *_, (kind, _, to, _, clear) = await providers.sent(notice_id)
    assert (kind, to) == ("causeway.notice_reinstated.v1", HOTLINE)
    assert clear["reinstated"] == [{"n": 1, "round": 1, "reason": "court_order"}]


async def test_nothing_is_reinstated_that_was_not_acted_on(providers: Providers) -> None:
    notice_id = await providers.issue()
    with pytest.raises(Refused, match="state_forbids"):
        await providers.act("reinstate", BACK, notice_id)
