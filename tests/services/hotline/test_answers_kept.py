"""What an origin stores and shows of the answers to it.

Answers to its notices count by its own item numbers and as totals. It rechecks the items. Outcomes that an agency
reports stay: each in the timeline, the known values in the view.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.core.authority import Role
from shared.core.contracts.answers import CaseRecord
from shared.core.ids import uuid7
from shared.core.protocol.message import Received
from shared.core.vocabulary.referral import WithdrawalReason
from shared.features.filing.store.edges import PostgresEdges
from tests.services.databases import stored_text, until_one_waits_for_a_lock
from tests.services.hotline.origin import APPLYING, KEK, Origin, act, answered, applied, said
from tests.support.builders import AT, HOTLINE, POLICE
from tests.support.exchange_world import ELSEWHERE, SUBMISSION

#: Only the second and third item concern the provider. Its notice numbers them 1 and 2.
ITEMS = [SUBMISSION["items"][1], SUBMISSION["items"][0], SUBMISSION["items"][0]]
REMOVED = {"action": "removed"}
STRANGER = "hotline-nl.example"
UP = {"checked": [{"n": 1, "found": "up", "by": "tool"}]}
GONE = {"checked": [{"n": 1, "found": "gone"}]}
REFERENCE = "2026/000417"


async def test_answers_add_up_under_the_origins_own_numbers_in_one_batch_and_over_several(origin: Origin) -> None:
    assert ITEMS[0]["locator"]["value"] == ELSEWHERE
    referral_id = await origin.file(items=ITEMS)
    notice_id = await origin.notice_id(referral_id)
    both = answered(notice_id, 1, REMOVED | {"n": 2}), answered(notice_id, 2, {"n": 2, "action": "preserved"})
    assert await applied(origin, *both) == [None, None]
    half = await origin.edge(referral_id)
    assert (half["answer"], [each["n"] for each in half["answer_detail"]["items"]]) == ("in_part", [3, 3])
    assert await applied(origin, answered(notice_id, 3, {"rejection": "not_found"})) == [None]
    whole = await origin.edge(referral_id)
    assert (whole["answer"], whole["answer_detail"]["number"]) == ("actioned", 3)
    kept = [(each["n"], each.get("action") or each["rejection"]) for each in whole["answer_detail"]["items"]]
    assert kept == [(3, "removed"), (3, "preserved"), (2, "not_found")]


async def test_the_same_act_never_counts_twice_and_is_answered_as_the_first_time(origin: Origin) -> None:
    """This holds for any number and for the same or a later batch. The repeat is applied or refused like the first."""
    referral_id = await origin.file(items=ITEMS)
    notice_id = await origin.notice_id(referral_id)
    once = answered(notice_id, 1, REMOVED)
    known = once.clear.act  # type: ignore[attr-defined]
    other = REMOVED | {"n": 2}
    again = [answered(notice_id, number, other, act=known) for number in (2, 3)]
    assert await applied(origin, once, again[0]) == [None, None]
    assert await applied(origin, again[1]) == [None]
    edge = await origin.edge(referral_id)
    assert (edge["answer"], [each["n"] for each in edge["answer_detail"]["items"]]) == ("in_part", [2])
    refused = answered(notice_id, 4, REMOVED)
    assert await applied(origin, refused) == ["item_action_repeated"]
    known = refused.clear.act  # type: ignore[attr-defined]
    assert await applied(origin, answered(notice_id, 5, other, act=known)) == ["item_action_repeated"]
    # Control: the same content under a new id moves the edge.
    assert await applied(origin, answered(notice_id, 6, other)) == [None]
    assert (await origin.edge(referral_id))["answer"] == "actioned"


async def test_what_a_provider_may_not_say_changes_nothing_at_its_origin(origin: Origin) -> None:
    referral_id = await origin.file(items=ITEMS)
    notice_id = await origin.notice_id(referral_id)
    ahead = answered(notice_id, 1, REMOVED | {"effective_at": AT.replace(year=9999)})
    foreign = replace(answered(notice_id, 1, REMOVED), sender="provider-999.example")
    assert await applied(origin, ahead, foreign) == ["time_ahead", "answer_unmatched"]
    batch = (
        answered(notice_id, 1, REMOVED, act=foreign.clear.act),  # type: ignore[attr-defined]
        answered(notice_id, 2, REMOVED),
        answered(notice_id, 2, REMOVED | {"n": 3}),
        answered(notice_id, 1, REMOVED | {"n": 2}),
    )
    assert await applied(origin, *batch) == [None, "item_action_repeated", "item_unknown", "answer_repeated"]
    edge = await origin.edge(referral_id)
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


# -- Rechecks.


async def removed(origin: Origin) -> UUID:
    """Submit a referral whose provider reports its item as removed."""
    referral_id = await origin.file()
    told = answered(await origin.notice_id(referral_id), 1, {"action": "removed"})
    assert await applied(origin, told) == [None]
    return referral_id


async def test_removed_closes_nothing_what_is_up_has_reappeared(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id = await removed(origin)
    assert await act(client, referral_id, "check", GONE) == (202, "routed")
    assert (await origin.edge(referral_id))["answer"] == "actioned", "that it is gone confirms it"
    assert await act(client, referral_id, "check", UP) == (202, "reappeared")
    edge = await origin.edge(referral_id)
    (_, found) = edge["answer_detail"]["checked"]
    assert (edge["answer"], found["found"], found["by"], found["round"]) == ("reappeared", "reappeared", "tool", 1)
    assert edge["answer_detail"]["items"][0]["action"] == "removed"
    assert await act(client, referral_id, "check", UP) == (202, "routed")


@pytest.mark.parametrize(
    ("posted", "code"),
    [
        ({"checked": [{"n": 9, "found": "gone"}]}, "item_unknown"),
        ({"checked": [{"n": 1, "found": "reappeared"}]}, "item_never_gone"),
        ({"checked": [{"n": 1, "found": "lost"}]}, "fields_invalid"),
        ({"checked": [{"n": 1, "found": "gone"}, {"n": 1, "found": "up"}]}, "fields_invalid"),
    ],
)
async def test_what_is_wrong_has_its_code(origin: Origin, client: httpx.AsyncClient, posted: Any, code: str) -> None:
    assert await act(client, await origin.file(), "check", posted) == (422, code)


async def test_nobody_else_looks_and_nothing_that_was_taken_back(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id = await removed(origin)
    assert await act(client, referral_id, "check", UP, party=STRANGER) == (404, "not_found")
    assert await act(client, uuid7(), "check", UP) == (404, "not_found")
    assert await act(client, referral_id, "check", UP, role=Role.VIEWER) == (403, "forbidden")
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await act(client, referral_id, "check", UP) == (409, "state_forbids")


# -- Outcomes.


def accepted(referral_id: UUID) -> Received:
    return said("case_accepted", referral_id, POLICE, sealed=CaseRecord(case_reference=REFERENCE))


def outcome(referral_id: UUID, number: int, reached: str, known: str) -> Received:
    words: dict[str, Any] = {"outcome": reached, "child_identified": known, "child_safeguarded": known}
    words["close_reason"] = "other" if reached == "closed" else None
    return said("outcome_reported", referral_id, POLICE, number, **words)


async def closed_case(origin: Origin) -> UUID:
    """Submit a referral whose agency reports an arrest, and then closes its case as unknown."""
    referral_id = await origin.file()
    closing = outcome(referral_id, 3, "closed", "unknown")
    reported = accepted(referral_id), outcome(referral_id, 2, "arrest", "yes"), closing
    for each in reported:
        assert await applied(origin, each) == [None]
    return referral_id


async def test_a_case_that_is_closed_keeps_that_a_child_was_identified(origin: Origin) -> None:
    referral_id = await closed_case(origin)
    assert await applied(origin, outcome(referral_id, 4, "arrest", "yes")) == ["answer_out_of_order"]
    edge = await origin.edge(referral_id, POLICE)
    detail = edge["answer_detail"]
    assert (edge["answer"], detail["outcome"], detail["number"]) == ("closed", "closed", 3)
    assert (detail["child_identified"], detail["child_safeguarded"]) == ("yes", "yes")
    told = [(a["number"], a["answer"], a.get("outcome"), a.get("child_identified")) for a in edge["timeline"]]
    assert told == [(1, "accepted", None, None), (2, "ongoing", "arrest", "yes"), (3, "closed", "closed", "unknown")]
    assert all(each["at"] for each in edge["timeline"])
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await applied(origin, said("withdrawal_acknowledged", referral_id, POLICE, 4, fate="erased")) == [None]
    edge = await origin.edge(referral_id, POLICE)
    detail = edge["answer_detail"]
    assert (edge["answer"], detail["fate"], detail["outcome"]) == ("withdrawal_acknowledged", "erased", "closed")
    assert detail["child_identified"] == "yes"
    assert [each["number"] for each in edge["timeline"]] == [1, 2, 3, 4]


async def test_the_agencys_reference_is_shown_until_its_record_is_erased(origin: Origin, endpoint: Any) -> None:
    referral_id = await closed_case(origin)
    assert (await origin.edge(referral_id, POLICE))["case_reference"] == REFERENCE
    others = [edge for edge in (await origin.show(referral_id))["edges"] if edge["recipient"] != POLICE]
    assert others
    assert all("case_reference" not in edge for edge in others)
    stored = await stored_text(endpoint.owner_url, [HOTLINE])
    assert REFERENCE not in stored
    assert REFERENCE.encode().hex() not in stored
    await origin.erase(referral_id)
    assert "case_reference" not in await origin.edge(referral_id, POLICE)
