"""Items of a notice that its provider does not host: answered one by one as wrong provider, next to other answers."""

from __future__ import annotations

import pytest

from shared.contracts.answers import ItemStatement, NoticeStatements
from shared.kernel.errors import Refused
from shared.vocabulary.answers import NoticeRejection
from tests.services.deliveries import OTHER_PROVIDER
from tests.services.industry.provider import Providers, disowning

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


async def test_a_notice_is_not_ours_once_every_item_is(providers: Providers) -> None:
    notice_id = await providers.issue(items=3)
    assert await providers.act("not_ours", disowning(None, 1, 3), notice_id) == "in_part"
    assert await providers.act("not_ours", disowning(OTHER_PROVIDER), notice_id) == "not_ours"
    kept = (await providers.show(notice_id))["disowned"]
    assert [(each["n"], each.get("suggested")) for each in kept] == [(1, None), (3, None), (2, OTHER_PROVIDER)]
