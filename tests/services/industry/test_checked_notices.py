"""The notifier's recheck results as the provider stores them, and reinstatements by the provider."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest

from shared.core.authority import Role
from shared.core.contracts.answers import (
    ItemsCheckedClear,
    ItemStatement,
    NoticeStatements,
    Reinstatement,
    ReinstateStatement,
)
from shared.core.contracts.base import Contract
from shared.core.contracts.items import CHECKS_MAX, ITEMS_EVER_MAX, ITEMS_MAX, ROUNDS_MAX, ItemCheck
from shared.core.contracts.registry import ITEMS_CHECKED
from shared.core.errors import Refused
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import Received
from shared.core.vocabulary.answers import CheckedBy, ItemFound, NoticeAction, NoticeRejection, ReinstateReason
from shared.features.received.rules import ItemQuery
from tests.services.deliveries import (
    AT,
    HOTLINE,
    OTHER_HOTLINE,
    OTHER_PROVIDER,
    PROVIDER,
    issued,
    notice_withdrawn,
    received,
)
from tests.services.doors import as_told
from tests.services.industry.provider import Providers, disowning
from tests.services.industry.test_notices import ACTION

REMOVED: Contract = NoticeStatements(items=(ItemStatement(action=NoticeAction.REMOVED),))
BACK = Reinstatement(reinstated=(ReinstateStatement(n=1, reason=ReinstateReason.COURT_ORDER),))


def checked(
    notice_id: UUID, found: ItemFound, *, n: int = 1, of: int = 1, by: str = HOTLINE, at: datetime = AT
) -> Received:
    check = ItemCheck(n=n, round=of, found=found, by=CheckedBy.PERSON, at=at)
    clear = ItemsCheckedClear(notice_id=notice_id, act=uuid4(), checked=(check,))
    return received(ITEMS_CHECKED, clear, subject=notice_id, sender=by, recipient=PROVIDER)


async def removed(providers: Providers) -> UUID:
    notice_id = await providers.issue(items=2)
    assert await providers.act("answer", REMOVED, notice_id) == "actioned"
    return notice_id


async def test_what_reappeared_is_open_again_and_answered_in_a_round_of_its_own(providers: Providers) -> None:
    notice_id = await removed(providers)
    assert await providers.receive(checked(notice_id, ItemFound.REAPPEARED, n=2)) == [None]
    shown = await providers.show(notice_id)
    assert (shown["state"], [(it["n"], it["found"]) for it in shown["checked"]]) == ("reappeared", [(2, "reappeared")])
    assert await providers.act("answer", REMOVED, notice_id) == "actioned"
    answers = (await providers.show(notice_id))["items"]
    assert [(each["n"], each["round"]) for each in answers] == [(1, 1), (2, 1), (2, 2)]
    with pytest.raises(Refused, match="state_forbids"):
        await providers.act("answer", REMOVED, notice_id)


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


# -- A notice is amended: its record changes, its answers stay, and the clock of its items continues.


async def test_an_amended_notice_keeps_what_was_answered_and_asks_for_what_is_new(providers: Providers) -> None:
    notice_id = await providers.issue()
    await providers.act("answer", ACTION, notice_id)
    assert await providers.receive(issued(notice_id, items=2, revision=2)) == [None]
    shown = await providers.show(notice_id)
    assert (shown["state"], shown["numbers"], shown["revision"]) == ("in_part", [1, 2], 2)
    assert len(shown["record"]["items"]) == 2
    assert {each["n"] for each in shown["items"]} == {1}


async def test_what_was_disowned_over_all_revisions_is_shown_and_listed(providers: Providers) -> None:
    """Each revision has ten items at other places. The answers about the earlier ones stay."""
    notice_id = uuid7()
    for revision, first in enumerate(range(1, ITEMS_EVER_MAX, ITEMS_MAX), 1):
        count = min(ITEMS_MAX, ITEMS_EVER_MAX + 1 - first)
        message = issued(notice_id, items=count, first=first, revision=None if revision == 1 else revision)
        assert await providers.receive(message) == [None]
        assert await providers.act("not_ours", disowning(OTHER_PROVIDER), notice_id) == "not_ours"
        assert len((await providers.show(notice_id))["disowned"]) == first + count - 1
    async with providers.notices("read") as notices:
        listed = as_told(await notices.page(PROVIDER, ItemQuery(None, None, 10)))["items"]
    assert next(len(each["disowned"]) for each in listed if each["notice_id"] == str(notice_id)) == ITEMS_EVER_MAX


async def test_what_is_reinstated_without_a_number_is_what_the_notice_has_still(providers: Providers) -> None:
    notice_id = await removed(providers)
    await providers.receive(issued(notice_id, items=1, first=2, revision=2))
    everything = Reinstatement(reinstated=(ReinstateStatement(reason=ReinstateReason.COURT_ORDER),))
    assert await providers.act("reinstate", everything, notice_id) == "reappeared"
    assert [each["n"] for each in (await providers.show(notice_id))["reinstated"]] == [2]


async def test_what_an_origin_says_it_has_found_ends_where_it_ends_for_the_origin(providers: Providers) -> None:
    """Otherwise a notifier could make a notice that its provider can never open again."""
    notice_id = await removed(providers)
    assert await providers.receive(checked(notice_id, ItemFound.REAPPEARED, of=ROUNDS_MAX)) == ["item_rounds_exhausted"]
    codes = await providers.receive(*(checked(notice_id, ItemFound.GONE) for _ in range(CHECKS_MAX + 1)))
    assert codes == [*[None] * CHECKS_MAX, "checks_exhausted"]
    assert len((await providers.show(notice_id))["checked"]) == CHECKS_MAX


# -- Items of a notice that its provider does not host: answered one by one as wrong provider, next to other answers.


NOT_FOUND = ItemStatement(rejection=NoticeRejection.NOT_FOUND)


async def test_items_are_disowned_one_by_one_and_the_others_can_still_be_answered(providers: Providers) -> None:
    notice_id = await providers.issue(items=3)
    assert await providers.act("not_ours", disowning(OTHER_PROVIDER, 2), notice_id) == "in_part"
    for said, code in ((disowning(None, 2), "item_action_repeated"), (disowning(None, 4), "item_unknown")):
        with pytest.raises(Refused, match=code):
            await providers.act("not_ours", said, notice_id)
    with pytest.raises(Refused, match="item_answer_contradicts"):
        await providers.act("answer", NoticeStatements(items=(NOT_FOUND.model_copy(update={"n": 2}),)), notice_id)
    assert await providers.act("answer", NoticeStatements(items=(NOT_FOUND,)), notice_id) == "rejected"
    shown = await providers.show(notice_id)
    assert [each["n"] for each in shown["items"]] == [1, 3]
    assert shown["disowned"] == [{"suggested": OTHER_PROVIDER, "n": 2}]
    told = [clear for *_, clear in await providers.sent(notice_id)]
    assert told[0]["disowned"] == [{"n": 2, "suggested": OTHER_PROVIDER}]
