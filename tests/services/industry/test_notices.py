"""Acts of providers on notices, over the real database and its row-level security."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.authority import Role
from shared.core.contracts.answers import (
    CaseAcceptedClear,
    ItemStatement,
    NoticeStatements,
    RetentionStatement,
    WithdrawalAnswer,
)
from shared.core.contracts.registry import CASE_ACCEPTED
from shared.core.ids import uuid7
from shared.core.protocol.message import Received
from shared.core.vocabulary.answers import KeptBasis, NoticeAction, NoticeRejection, ReceiptOutcome, WithdrawalFate
from shared.core.vocabulary.judgement import RetentionClass
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
    received,
)
from tests.services.industry.provider import Providers, disowning
from tests.support.builders import settlement

REMOVED = ItemStatement(action=NoticeAction.REMOVED, effective_at=AT)
ACTION = NoticeStatements(items=(REMOVED, ItemStatement(action=NoticeAction.PRESERVED, effective_at=AT)))
REJECT = NoticeStatements(items=(ItemStatement(rejection=NoticeRejection.DISPUTED_LEGALITY),))
DONE, EFFECTIVE = ("removed", "preserved"), "2026-05-04T00:00:00.000Z"
KEPT = WithdrawalAnswer(
    fate=WithdrawalFate.KEPT,
    kept=RetentionStatement(retention=RetentionClass.EU_1Y, basis=KeptBasis.OPEN_COMPLAINT, until=date(2027, 5, 4)),
)
DISOWN = disowning(OTHER_PROVIDER)
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
    shown = await providers.show(notice_id)
    assert (shown["state"], {name: shown[name] for name in said}) == (state, said)


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


def case_accepted(referral_id: UUID) -> Received:
    clear = CaseAcceptedClear(referral_id=referral_id, revision=1, **numbered())
    return received(CASE_ACCEPTED, clear, subject=referral_id, sender=AGENCY, recipient=PROVIDER)


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
    await providers.receipted(*settlements)
    assert providers.again.given == [stale]


def nested_keys(value: Any) -> set[str]:
    """Yield every key at any depth."""
    if isinstance(value, dict):
        return set(value).union(*(nested_keys(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(nested_keys(each) for each in value))
    return set()
