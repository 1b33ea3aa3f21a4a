"""A notice is amended: its record changes, its answers stay, and the clock of its items continues."""

from __future__ import annotations

from shared.contracts.answers import Reinstatement, ReinstateStatement
from shared.contracts.items import CHECKS_MAX, ITEMS_EVER_MAX, ITEMS_MAX, ROUNDS_MAX
from shared.kernel.ids import uuid7
from shared.party.recipient.domain import ItemQuery
from shared.vocabulary.answers import ItemFound, ReinstateReason
from tests.services.deliveries import OTHER_PROVIDER, PROVIDER, issued
from tests.services.doors import as_told
from tests.services.industry.provider import Providers, disowning
from tests.services.industry.test_checked_notices import checked, removed
from tests.services.industry.test_notices import ACTION


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
