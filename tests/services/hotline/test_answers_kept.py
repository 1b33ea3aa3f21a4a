"""An origin stores and shows the answers to its notices, by its own item numbers and as totals."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

from shared.core.authority import Role
from shared.core.contracts.answers import NoticeAnsweredClear
from shared.core.contracts.items import ItemAnswer
from shared.core.contracts.registry import NOTICE_ANSWERED
from shared.core.ids import uuid7
from shared.core.protocol.message import Received
from shared.core.vocabulary.answers import NoticeAction, NoticeRejection
from shared.features.filing.service.answers import EdgeAnswers
from shared.features.filing.store.edges import PostgresEdges
from shared.platform.database.transactions import RowScope
from tests.services.databases import until_one_waits_for_a_lock
from tests.services.deliveries import numbered, received
from tests.services.hotline.origin import KEK, Origin
from tests.support.builders import AT, HOTLINE, PROVIDER
from tests.support.exchange_world import ELSEWHERE, SUBMISSION

APPLYING = RowScope([HOTLINE], Role.SERVICE, "apply")
#: Only the second and third item concern the provider. Its notice numbers them 1 and 2.
ITEMS = [SUBMISSION["items"][1], SUBMISSION["items"][0], SUBMISSION["items"][0]]


def answered(notice_id: UUID, number: int, *items: ItemAnswer, act: UUID | None = None) -> Received:
    clear = NoticeAnsweredClear(notice_id=notice_id, items=items, **numbered(number) | ({"act": act} if act else {}))
    return received(NOTICE_ANSWERED, clear, subject=notice_id, sender=PROVIDER, recipient=HOTLINE)


async def applied(origin: Origin, *messages: Received) -> list[str | None]:
    """Apply one batch of answers; return their codes, and None for each applied one."""
    async with origin.database.transaction(APPLYING) as session:
        refusals = await EdgeAnswers(PostgresEdges(session.driver, KEK), AT).apply(messages)
    return [refusals.get(message.message_id) for message in messages]


async def edge_to(origin: Origin, referral_id: UUID, recipient: str) -> dict[str, Any]:
    return next(edge for edge in (await origin.show(referral_id))["edges"] if edge["recipient"] == recipient)


async def test_answers_add_up_under_the_origins_own_numbers_in_one_batch_and_over_several(origin: Origin) -> None:
    assert ITEMS[0]["locator"]["value"] == ELSEWHERE
    referral_id = await origin.file(items=ITEMS)
    notice_id = UUID((await edge_to(origin, referral_id, PROVIDER))["notice_id"])
    removed = ItemAnswer(n=2, round=1, action=NoticeAction.REMOVED)
    preserved = ItemAnswer(n=2, round=1, action=NoticeAction.PRESERVED)
    not_found = ItemAnswer(n=1, round=1, rejection=NoticeRejection.NOT_FOUND)
    both = answered(notice_id, 1, removed), answered(notice_id, 2, preserved)
    assert await applied(origin, *both) == [None, None]
    half = await edge_to(origin, referral_id, PROVIDER)
    assert (half["answer"], [each["n"] for each in half["answer_detail"]["items"]]) == ("in_part", [3, 3])
    assert await applied(origin, answered(notice_id, 3, not_found)) == [None]
    whole = await edge_to(origin, referral_id, PROVIDER)
    assert (whole["answer"], whole["answer_detail"]["number"]) == ("actioned", 3)
    kept = [(each["n"], each.get("action") or each["rejection"]) for each in whole["answer_detail"]["items"]]
    assert kept == [(3, "removed"), (3, "preserved"), (2, "not_found")]


async def test_no_answer_takes_effect_in_a_time_to_come(origin: Origin) -> None:
    notice_id = UUID((await edge_to(origin, await origin.file(items=ITEMS), PROVIDER))["notice_id"])
    ahead = ItemAnswer(n=1, round=1, action=NoticeAction.REMOVED, effective_at=AT.replace(year=9999))
    assert await applied(origin, answered(notice_id, 1, ahead)) == ["time_ahead"]


async def test_the_same_act_never_counts_twice_and_is_answered_as_the_first_time(origin: Origin) -> None:
    """This holds for any number and for the same or a later batch. The repeat is applied or refused like the first."""
    referral_id = await origin.file(items=ITEMS)
    notice_id = UUID((await edge_to(origin, referral_id, PROVIDER))["notice_id"])
    removed = ItemAnswer(n=1, round=1, action=NoticeAction.REMOVED)
    once = answered(notice_id, 1, removed)
    act = once.clear.act  # type: ignore[attr-defined]
    other = removed.model_copy(update={"n": 2})
    again = [answered(notice_id, number, other, act=act) for number in (2, 3)]
    assert await applied(origin, once, again[0]) == [None, None]
    assert await applied(origin, again[1]) == [None]
    edge = await edge_to(origin, referral_id, PROVIDER)
    assert (edge["answer"], [each["n"] for each in edge["answer_detail"]["items"]]) == ("in_part", [2])
    refused = answered(notice_id, 4, removed)
    assert await applied(origin, refused) == ["item_action_repeated"]
    act = refused.clear.act  # type: ignore[attr-defined]
    assert await applied(origin, answered(notice_id, 5, other, act=act)) == ["item_action_repeated"]
    # Control: the same content under a new id moves the edge.
    assert await applied(origin, answered(notice_id, 6, other)) == [None]
    assert (await edge_to(origin, referral_id, PROVIDER))["answer"] == "actioned"


async def test_an_act_of_another_party_with_the_same_id_is_another_act(origin: Origin) -> None:
    referral_id = await origin.file(items=ITEMS)
    notice_id = UUID((await edge_to(origin, referral_id, PROVIDER))["notice_id"])
    once = answered(notice_id, 1, ItemAnswer(n=1, round=1, action=NoticeAction.REMOVED))
    foreign = replace(once, sender="provider-999.example", message_id=uuid7())
    assert await applied(origin, foreign, once) == ["answer_unmatched", None]


async def test_what_a_provider_may_not_say_changes_nothing_at_its_origin(origin: Origin) -> None:
    referral_id = await origin.file(items=ITEMS)
    notice_id = UUID((await edge_to(origin, referral_id, PROVIDER))["notice_id"])
    removed = ItemAnswer(n=1, round=1, action=NoticeAction.REMOVED)
    batch = (
        answered(notice_id, 1, removed),
        answered(notice_id, 2, removed),
        answered(notice_id, 2, removed.model_copy(update={"n": 3})),
        answered(notice_id, 1, removed.model_copy(update={"n": 2})),
    )
    assert await applied(origin, *batch) == [None, "item_action_repeated", "item_unknown", "answer_repeated"]
    edge = await edge_to(origin, referral_id, PROVIDER)
    assert (edge["answer"], len(edge["answer_detail"]["items"])) == ("in_part", 1)


async def test_answers_lock_edges_in_the_order_of_referrals_and_ids(origin: Origin) -> None:
    referrals = [await origin.file() for _ in range(3)]

    async def lock() -> None:
        async with origin.database.transaction(APPLYING) as session:
            await PostgresEdges(session.driver, KEK).answerable(referrals)

    async with origin.database.transaction(APPLYING) as session:
        of = "SELECT edge_id FROM edge WHERE referral_id = ANY($1) AND notice_id IS NULL ORDER BY referral_id, edge_id"
        first, *others = [row["edge_id"] for row in await session.driver.fetch(of, referrals)]
        await session.driver.execute("SELECT FROM edge WHERE edge_id = $1 FOR UPDATE", first)
        locking = asyncio.create_task(lock())
        await until_one_waits_for_a_lock(origin.database)
        free = "SELECT FROM edge WHERE edge_id = ANY($1) FOR UPDATE SKIP LOCKED"
        assert len(others) > 9
        assert len(await session.driver.fetch(free, others)) == len(others)
    await locking
