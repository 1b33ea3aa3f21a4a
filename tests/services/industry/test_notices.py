"""Acts of providers on notices, over the real database and its row-level security."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.acts.act import NoticeState
from shared.core.authority import Role
from shared.core.contracts.answers import (
    CaseAcceptedClear,
    ItemAnswers,
    ItemStatement,
    NoticeStatements,
    RetentionStatement,
    WithdrawalAnswer,
)
from shared.core.contracts.registry import CASE_ACCEPTED
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.core.protocol.items import ItemLog, answered
from shared.core.protocol.message import Received
from shared.core.vocabulary.answers import KeptBasis, NoticeAction, NoticeRejection, ReceiptOutcome, WithdrawalFate
from shared.core.vocabulary.judgement import RetentionClass
from shared.delivery.sending import Unit
from shared.features.received.rules import ItemAct
from shared.platform.database.transactions import RowScope
from tests.services.databases import stored_text
from tests.services.deliveries import (
    AGENCY,
    AT,
    ERASED,
    HOTLINE,
    LOCATION,
    OTHER_HOTLINE,
    OTHER_PROVIDER,
    PROVIDER,
    issued,
    notice_withdrawn,
    numbered,
    offered,
    received,
)
from tests.services.doors import paged
from tests.services.industry.provider import Providers, disowning
from tests.support.builders import settlement

REMOVED = ItemStatement(action=NoticeAction.REMOVED, effective_at=AT)
ACTION = NoticeStatements(items=(REMOVED, ItemStatement(action=NoticeAction.PRESERVED, effective_at=AT)))
REJECT = NoticeStatements(items=(ItemStatement(rejection=NoticeRejection.DISPUTED_LEGALITY),))
DONE, EFFECTIVE = ("removed", "preserved"), "2026-05-04T12:00:00.000Z"
KEPT = WithdrawalAnswer(
    fate=WithdrawalFate.KEPT,
    kept=RetentionStatement(retention=RetentionClass.EU_1Y, basis=KeptBasis.OPEN_COMPLAINT, until=date(2027, 5, 4)),
)
DISOWN = disowning(OTHER_PROVIDER)
#: The fields of `ACTION`'s message about a notice of one item.
TOLD = ItemAnswers(items=answered(ACTION.items, (1,), ItemLog()).answers)
_REFERRAL = """
INSERT INTO referral (referral_id, party, external_ref, revision, exercise, disposition, state, arrival, priority,
                      decided, content, body_sha256, accepted_at)
VALUES ($1::uuid, $2, $1::uuid::text, 1, true, 'routed', 'routed', 1, 'p2_normal', '', '', '', now())
"""
_EDGE = """
INSERT INTO edge (edge_id, instance, referral_id, party, recipient, message_id, purpose, reason, rules,
    document_digests, decided_at)
VALUES ($1, 'law_enforcement', $2, $3, $4, $5, 'investigation', 'user_location', '{}', '', now())
"""


async def test_an_issued_notice_is_shown_with_its_opened_record(providers: Providers) -> None:
    notice_id = await providers.issue()
    shown = await providers.show(notice_id)
    assert (shown["state"], shown["notifier"], shown["language"]) == ("issued", HOTLINE, "en")
    assert shown["record"]["items"][0]["locator"]["value"] == LOCATION


async def test_nothing_of_a_record_is_stored_in_the_clear(providers: Providers, endpoint: DatabaseEndpoint) -> None:
    notice_id = await providers.issue()
    stored = await stored_text(endpoint.owner_url, [PROVIDER])
    assert str(notice_id) in stored
    assert LOCATION not in stored
    assert LOCATION.encode().hex() not in stored


async def test_a_notice_shows_no_earlier_id(providers: Providers) -> None:
    notice_id = await providers.issue()
    assert "referral_id" not in nested_keys(await providers.show(notice_id))


async def test_a_notice_id_is_issued_once(providers: Providers) -> None:
    notice_id = uuid7()
    assert await providers.receive(issued(notice_id), issued(notice_id)) == [None, "notice_exists"]
    assert await providers.receive(issued(notice_id, notifier=OTHER_HOTLINE)) == ["notice_exists"]
    assert (await providers.show(notice_id))["notifier"] == HOTLINE


async def test_the_same_notice_id_at_another_provider_is_another_notice(providers: Providers) -> None:
    notice_id = uuid7()
    assert await providers.receive(issued(notice_id), issued(notice_id, to=OTHER_PROVIDER)) == [None, None]
    await providers.act("answer", ACTION, notice_id)
    assert (await providers.show(notice_id, party=OTHER_PROVIDER))["state"] == "issued"


async def test_a_message_for_another_kind_of_party_is_refused(providers: Providers) -> None:
    assert await providers.receive(offered(uuid7(), to=PROVIDER)) == ["message_not_for_providers"]


@pytest.mark.parametrize(
    ("act", "move", "state", "kind", "said"),
    [
        ("acknowledge", None, "acknowledged", "notice_acknowledged", {}),
        (
            "answer",
            ACTION,
            "actioned",
            "notice_answered",
            {"items": [{"n": 1, "round": 1, "action": each, "effective_at": EFFECTIVE} for each in DONE]},
        ),
        (
            "answer",
            REJECT,
            "rejected",
            "notice_answered",
            {"items": [{"n": 1, "round": 1, "rejection": "disputed_legality"}]},
        ),
        ("not_ours", DISOWN, "not_ours", "notice_not_ours", {"disowned": [{"n": 1, "suggested": OTHER_PROVIDER}]}),
    ],
)
async def test_each_answer_is_told_to_the_notifier_in_its_own_words(
    providers: Providers, act: str, move: Any, state: str, kind: str, said: dict[str, Any]
) -> None:
    notice_id = await providers.issue()
    assert await providers.act(act, move, notice_id) == state
    clear = {"notice_id": str(notice_id), "number": 1} | said
    assert await providers.sent(notice_id) == [(f"causeway.{kind}.v1", PROVIDER, HOTLINE, True, clear)]
    assert (await providers.show(notice_id))["state"] == state


async def test_what_was_done_and_said_is_kept(providers: Providers) -> None:
    actioned, rejected, disowned = uuid7(), uuid7(), uuid7()
    await providers.receive(issued(actioned), issued(rejected), issued(disowned))
    await providers.act("answer", ACTION, actioned)
    await providers.act("answer", REJECT, rejected)
    await providers.act("not_ours", DISOWN, disowned)
    done = await providers.show(actioned)
    assert [(each["action"], each["effective_at"]) for each in done["items"]] == [(each, EFFECTIVE) for each in DONE]
    assert (await providers.show(rejected))["items"][0]["rejection"] == "disputed_legality"
    assert (await providers.show(disowned))["disowned"] == [{"suggested": OTHER_PROVIDER, "n": 1}]


async def test_items_are_answered_one_by_one_and_their_fold_is_the_notices_state(providers: Providers) -> None:
    notice_id = await providers.issue(items=3)
    assert (await providers.show(notice_id))["numbers"] == [1, 2, 3]
    first = REMOVED.model_copy(update={"n": 2})
    not_found = ItemStatement(rejection=NoticeRejection.NOT_FOUND)
    assert await providers.act("answer", NoticeStatements(items=(first,)), notice_id) == "in_part"
    assert await providers.act("answer", NoticeStatements(items=(not_found,)), notice_id) == "actioned"
    told = [clear for *_, clear in await providers.sent(notice_id)]
    assert [(each["number"], [item["n"] for item in each["items"]]) for each in told] == [(1, [2]), (2, [1, 3])]
    kept = (await providers.show(notice_id))["items"]
    assert [(each["n"], each.get("rejection")) for each in kept] == [(2, None), (1, "not_found"), (3, "not_found")]


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        ([REMOVED.model_copy(update={"n": 4})], "item_unknown", "/items/0/n"),
        ([REMOVED.model_copy(update={"n": 1})], "item_action_repeated", "/items/0"),
        ([REMOVED, REMOVED], "item_action_repeated", "/items/1"),
        ([ItemStatement(n=1, rejection=NoticeRejection.NOT_FOUND)], "item_answer_contradicts", "/items/0"),
        ([REMOVED, REJECT.items[0]], "item_answer_contradicts", "/items/1"),
        ([REMOVED.model_copy(update={"n": 2, "round": 2})], "item_round_unknown", "/items/0/round"),
    ],
)
async def test_unfit_words_do_nothing(providers: Providers, said: list[ItemStatement], code: str, field: str) -> None:
    notice_id = await providers.issue(items=3)
    one = NoticeStatements(items=(REMOVED.model_copy(update={"n": 1}),))
    assert await providers.act("answer", one, notice_id) == "in_part"
    with pytest.raises(Refused) as refusal:
        await providers.act("answer", NoticeStatements(items=tuple(said)), notice_id)
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert len(await providers.sent(notice_id)) == 1
    assert (await providers.show(notice_id))["state"] == "in_part"


@pytest.mark.parametrize("suggested", ["nobody.example", HOTLINE])
async def test_only_a_provider_of_the_directory_can_be_suggested(providers: Providers, suggested: str) -> None:
    notice_id = await providers.issue()
    with pytest.raises(Refused) as refusal:
        await providers.act("not_ours", disowning(suggested), notice_id)
    assert (refusal.value.code, refusal.value.field) == ("suggested_unknown", "/disowned/0/suggested")
    assert (await providers.show(notice_id))["state"] == "issued"


async def test_a_notice_can_be_disowned_without_a_suggestion(providers: Providers) -> None:
    notice_id = await providers.issue()
    assert await providers.act("not_ours", disowning(None), notice_id) == "not_ours"


async def test_an_answered_notice_is_not_answered_again_and_nothing_is_sent(providers: Providers) -> None:
    notice_id = await providers.issue()
    await providers.act("answer", ACTION, notice_id)
    with pytest.raises(Refused) as refusal:
        await providers.act("answer", REJECT, notice_id)
    assert (refusal.value.code, refusal.value.status) == ("state_forbids", 409)
    assert len(await providers.sent(notice_id)) == 1


@pytest.mark.parametrize("before", [None, "acknowledge", "answer", "not_ours"])
async def test_a_withdrawal_reaches_a_notice_in_every_state(providers: Providers, before: str | None) -> None:
    notice_id = uuid7()
    moves: dict[str, Any] = {"acknowledge": None, "answer": ACTION, "not_ours": DISOWN}
    await providers.receive(issued(notice_id))
    if before is not None:
        await providers.act(before, moves[before], notice_id)
    assert await providers.receive(notice_withdrawn(notice_id)) == [None]
    said = KEPT if before == "answer" else ERASED
    assert await providers.act("acknowledge_withdrawal", said, notice_id) == "withdrawal_acknowledged"
    last = (await providers.sent(notice_id))[-1]
    clear = {"notice_id": str(notice_id), "number": 1 if before is None else 2}
    clear |= said.model_dump(mode="json", exclude_none=True)
    assert last == ("causeway.notice_withdrawal_acknowledged.v1", PROVIDER, HOTLINE, True, clear)


async def test_a_withdrawal_in_the_same_batch_as_the_notice_is_applied_after_it(providers: Providers) -> None:
    notice_id = uuid7()
    assert await providers.receive(issued(notice_id), notice_withdrawn(notice_id)) == [None, None]
    assert (await providers.show(notice_id))["state"] == "withdrawn"


async def test_only_the_notifier_may_withdraw_and_only_once(providers: Providers) -> None:
    notice_id = await providers.issue()
    assert await providers.receive(notice_withdrawn(notice_id, notifier=OTHER_HOTLINE)) == ["notice_unknown"]
    twice = notice_withdrawn(notice_id), notice_withdrawn(notice_id)
    assert await providers.receive(*twice) == [None, "state_forbids"]


async def test_an_answer_decided_on_an_outdated_state_is_refused(providers: Providers) -> None:
    """Both states permit the act, so only the comparison with the expected state can refuse it."""
    notice_id = await providers.issue()
    async with providers.notices("answer") as notices:
        seen = (await notices.find([notice_id]))[notice_id, PROVIDER]
        await providers.act("acknowledge", None, notice_id)
        with pytest.raises(Refused, match="state_forbids"):
            await notices.act(ItemAct(seen, NoticeState.ACTIONED, TOLD), AT)
    assert (await providers.show(notice_id))["state"] == "acknowledged"


async def test_pages_list_every_notice_once_newest_first(providers: Providers) -> None:
    ids = [uuid7() for _ in range(5)]
    await providers.receive(*(issued(each, to=OTHER_PROVIDER) for each in ids))
    async with providers.notices("read", party=OTHER_PROVIDER) as notices:
        found = await paged(notices, OTHER_PROVIDER, "issued")
    assert found[:5] == [str(each) for each in reversed(ids)]
    assert len(set(found)) == len(found)


async def test_what_was_withdrawn_is_erased_when_its_provider_says_so(providers: Providers) -> None:
    erased, told = uuid7(), uuid7()
    await providers.receive(issued(erased), issued(told), notice_withdrawn(erased), notice_withdrawn(told))
    await providers.act("acknowledge_withdrawal", ERASED, erased)
    assert (await providers.show(erased))["record"] is None
    assert (await providers.show(told))["record"] is not None
    async with providers.database.transaction(RowScope([PROVIDER], Role.SERVICE, "apply")) as session:
        row = await session.driver.fetchrow("SELECT wrapped_key, record FROM received WHERE subject = $1", erased)
    assert tuple(row) == (None, b"")


async def test_an_answer_to_a_providers_own_filing_moves_its_edge(providers: Providers) -> None:
    referral_id, edge_id = uuid7(), uuid7()
    async with providers.database.transaction(RowScope([PROVIDER], Role.MACHINE, "submit")) as session:
        await session.driver.execute(_REFERRAL, referral_id, PROVIDER)
        await session.driver.execute(_EDGE, edge_id, referral_id, PROVIDER, AGENCY, uuid7())
    assert await providers.receive(case_accepted(referral_id), case_accepted(uuid7())) == [None, "answer_unmatched"]
    async with providers.database.transaction(RowScope([PROVIDER], Role.MACHINE, "read")) as session:
        answer = await session.driver.fetchval("SELECT answer FROM edge WHERE edge_id = $1", edge_id)
    assert answer == "accepted"


async def test_a_filing_refused_as_stale_is_decided_again_and_no_other(providers: Providers) -> None:
    stale, refused, applied = uuid7(), uuid7(), uuid7()
    async with providers.database.transaction(RowScope([PROVIDER], Role.MACHINE, "submit")) as session:
        for message_id, referral_id in ((stale, uuid7()), (refused, uuid7()), (applied, uuid7())):
            await session.driver.execute(_REFERRAL, referral_id, PROVIDER)
            await session.driver.execute(_EDGE, uuid7(), referral_id, PROVIDER, AGENCY, message_id)
    settlements = [
        settlement(stale, ReceiptOutcome.REFUSED, "decision_time_off"),
        settlement(refused, ReceiptOutcome.REFUSED, "edge_not_ours"),
        settlement(applied, ReceiptOutcome.APPLIED),
    ]
    async with providers.database.transaction(RowScope([PROVIDER], Role.SERVICE, "apply")) as session:
        await providers.door.settled(Unit(session), settlements)
    assert providers.again.given == [stale]


def case_accepted(referral_id: UUID) -> Received:
    clear = CaseAcceptedClear(referral_id=referral_id, revision=1, **numbered())
    return received(CASE_ACCEPTED, clear, subject=referral_id, sender=AGENCY, recipient=PROVIDER)


def nested_keys(value: Any) -> set[str]:
    """Yield every key at any depth."""
    if isinstance(value, dict):
        return set(value).union(*(nested_keys(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(nested_keys(each) for each in value))
    return set()
