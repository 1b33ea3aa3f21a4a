"""Questions and disputes of a provider as its service stores them: permitted acts, answers, and lapses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.core.authority import Role
from shared.core.contracts.questions import (
    DecidedItem,
    Dispute,
    DisputeStatement,
    NoticeDisputeAnsweredClear,
    NoticeQuestionRepliedClear,
    Question,
    RepliedItem,
)
from shared.core.contracts.registry import NOTICE_DISPUTE_ANSWERED, NOTICE_QUESTION_REPLIED
from shared.core.errors import Refused
from shared.core.ids import uuid4
from shared.core.protocol.message import Received
from shared.core.protocol.questions import LAPSES_AFTER
from shared.core.vocabulary.answers import ActionReason, ReceiptOutcome
from shared.core.vocabulary.questions import DisputeReason, DisputeVerdict, NeedsInfo, QuestionReply
from shared.delivery.sending import Settlement
from shared.features.notices.rules import PROVIDER as KIND
from shared.features.questions.service import QuestionExpiry
from shared.instance.parties import own_questions
from shared.platform.database.transactions import RowScope
from tests.services.deliveries import AT, HOTLINE, OTHER_PROVIDER, PROVIDER, directory, notice_withdrawn, received
from tests.services.doors import until_idle, waiting
from tests.services.industry.provider import Providers
from tests.services.industry.test_checked_notices import REMOVED
from tests.services.outgoing import about
from tests.support.manual_clock import ManualClock

WHERE = Question(needs=(NeedsInfo.LOCATION,))
LAWFUL = Dispute(
    disputed=(DisputeStatement(n=1, reason=DisputeReason.CONTENT_LAWFUL, basis=ActionReason.ADULT_PORNOGRAPHY),)
)
FALSE = Dispute(disputed=(DisputeStatement(reason=DisputeReason.FALSE_POSITIVE),))


async def a_notice(providers: Providers) -> UUID:
    return await providers.issue(items=2)


def replied(notice_id: UUID, question: int) -> Received:
    said = tuple(RepliedItem(n=each, reply=QuestionReply.AS_STATED) for each in (1, 2))
    clear = NoticeQuestionRepliedClear(notice_id=notice_id, act=uuid4(), question=question, replied=said)
    return received(NOTICE_QUESTION_REPLIED, clear, subject=notice_id, sender=HOTLINE, recipient=PROVIDER)


def decided(notice_id: UUID, dispute: int, verdict: DisputeVerdict, *, by: str = HOTLINE) -> Received:
    said = (DecidedItem(n=1, verdict=verdict),)
    clear = NoticeDisputeAnsweredClear(notice_id=notice_id, act=uuid4(), dispute=dispute, decided=said)
    return received(NOTICE_DISPUTE_ANSWERED, clear, subject=notice_id, sender=by, recipient=PROVIDER)


async def asked(providers: Providers, notice_id: UUID, party: str = PROVIDER) -> list[dict[str, Any]]:
    async with providers.notices("read", party=party) as notices:
        page = await notices.questions.page(party, state=None, kind=None, cursor=None, limit=200)
    own = [each for each in page.items if each.subject == notice_id]
    return [each.model_dump(mode="json", exclude_none=True) for each in sorted(own, key=lambda each: each.number)]


async def waits(providers: Providers, notice_id: UUID) -> list[tuple[str, ...]]:
    found = await waiting(providers.database, own_questions(KIND).look, PROVIDER, notice_id)
    return [each.reasons for each in found]


async def lapse(providers: Providers, at: datetime) -> None:
    rule = providers.automation(KIND, "industry", clock=ManualClock(at))
    lapses = QuestionExpiry(rule)
    await until_idle(lapses)


async def test_one_is_open_at_a_time_and_no_more_than_nine_are_asked(providers: Providers) -> None:
    notice_id = await a_notice(providers)
    for number in range(1, 10):
        await providers.act("ask", WHERE, notice_id)
        with pytest.raises(Refused, match="question_open"):
            await providers.act("ask", WHERE, notice_id)
        assert await providers.receive(replied(notice_id, number)) == [None]
    with pytest.raises(Refused, match="questions_exhausted"):
        await providers.act("ask", WHERE, notice_id)


@pytest.mark.parametrize(
    ("act", "said", "code"),
    [
        ("ask", Question(needs=(NeedsInfo.HASHES,), about=(3,)), "item_unknown"),
        ("dispute", Dispute(disputed=(DisputeStatement(n=9, reason=DisputeReason.DUPLICATE),)), "item_unknown"),
        ("dispute", Dispute(disputed=(DisputeStatement(reason=DisputeReason.NOT_FOUND),)), "dispute_needs_basis"),
        (
            "dispute",
            Dispute(disputed=(DisputeStatement(reason=DisputeReason.DUPLICATE, basis=ActionReason.OTHER),)),
            "dispute_needs_basis",
        ),
        ("dispute", Dispute(disputed=LAWFUL.disputed * 2), "item_disputed"),
    ],
)
async def test_wrong_questions_have_codes(providers: Providers, act: str, said: Question | Dispute, code: str) -> None:
    notice_id = await a_notice(providers)
    with pytest.raises(Refused, match=code):
        await providers.act(act, said, notice_id)
    assert (await asked(providers, notice_id), await providers.sent(notice_id)) == ([], [])


async def test_a_dispute_stands_on_its_partys_list_until_it_goes_on_after_the_answer(providers: Providers) -> None:
    notice_id = await a_notice(providers)
    await providers.act("dispute", LAWFUL, notice_id)
    assert await waits(providers, notice_id) == [("disputed",)]
    with pytest.raises(Refused, match="dispute_open"):
        await providers.act("dispute", FALSE, notice_id)
    # Only the notifier of the notice can answer it.
    foreign = decided(notice_id, 1, DisputeVerdict.UPHELD, by="hotline-b.example")
    assert await providers.receive(foreign) == ["notice_unknown"]
    assert await providers.receive(decided(notice_id, 1, DisputeVerdict.UPHELD)) == [None]
    assert await waits(providers, notice_id) == [("dispute_answered",)]
    with pytest.raises(Refused, match="item_disputed"):
        await providers.act("dispute", LAWFUL, notice_id)
    assert await waits(providers, notice_id) == [("dispute_answered",)]
    assert await providers.act("dispute", FALSE, notice_id) == "issued"  # about the other item
    (first, second) = await asked(providers, notice_id)
    assert (first["decided"], second["about"]) == ([{"n": 1, "verdict": "upheld"}], [2])
    assert await waits(providers, notice_id) == [("disputed",)]
    await providers.act("answer", REMOVED, notice_id)
    assert await waits(providers, notice_id) == []
    assert await asked(providers, notice_id, OTHER_PROVIDER) == []


async def test_a_question_that_nobody_answers_lapses_once_and_may_be_asked_again(providers: Providers) -> None:
    notice_id = await a_notice(providers)
    await providers.act("ask", WHERE, notice_id)
    await lapse(providers, AT + LAPSES_AFTER - timedelta(seconds=1))
    assert [each["state"] for each in await asked(providers, notice_id)] == ["open"]
    for _ in range(2):
        await lapse(providers, AT + LAPSES_AFTER)
    *_, (kind, _, _, _, clear) = await providers.sent(notice_id)
    assert (kind, clear["number"], clear["question"]) == ("causeway.notice_question_lapsed.v1", 2, 1)
    assert [each["state"] for each in await asked(providers, notice_id)] == ["lapsed"]
    assert await waits(providers, notice_id) == [("question_lapsed",)]
    assert await providers.act("ask", WHERE, notice_id) == "issued"


async def test_a_question_to_one_that_has_left_lapses(providers: Providers, monkeypatch: pytest.MonkeyPatch) -> None:
    notice_id = await a_notice(providers)
    await providers.act("ask", WHERE, notice_id)
    monkeypatch.setattr(providers, "directory", directory(HOTLINE))
    await lapse(providers, AT + LAPSES_AFTER)
    assert [each["state"] for each in await asked(providers, notice_id)] == ["lapsed"]
    assert len(await providers.sent(notice_id)) == 1, "nobody is there to be told"


@pytest.mark.parametrize(("act", "said"), [("ask", WHERE), ("dispute", LAWFUL)], ids=["ask", "dispute"])
async def test_nobody_who_left_is_asked(
    providers: Providers, monkeypatch: pytest.MonkeyPatch, act: str, said: Question | Dispute
) -> None:
    notice_id = await a_notice(providers)
    monkeypatch.setattr(providers, "directory", directory(HOTLINE))
    with pytest.raises(Refused, match="recipient_unknown"):
        await providers.act(act, said, notice_id)
    assert await asked(providers, notice_id) == []
    assert await providers.act("answer", REMOVED, notice_id) == "actioned", "what is done is done without it"


async def test_of_what_is_answered_for_good_or_taken_back_nothing_lapses(providers: Providers) -> None:
    for ends in ("answered", "withdrawn"):
        notice_id = await a_notice(providers)
        await providers.act("ask", WHERE, notice_id)
        if ends == "answered":
            await providers.act("answer", REMOVED, notice_id)
        else:
            assert await providers.receive(notice_withdrawn(notice_id)) == [None]
        await lapse(providers, AT + LAPSES_AFTER)
        assert [each["state"] for each in await asked(providers, notice_id)] == ["open"]
        assert await waits(providers, notice_id) == []


async def test_an_answer_that_crosses_the_lapse_wins_on_either_side_of_it(providers: Providers) -> None:
    lapsed_first, answered_first = await a_notice(providers), await a_notice(providers)
    for notice_id in (lapsed_first, answered_first):
        await providers.act("ask", WHERE, notice_id)
    await providers.receive(replied(answered_first, 1))
    await lapse(providers, AT + LAPSES_AFTER)
    assert [each["state"] for each in await asked(providers, lapsed_first)] == ["lapsed"]
    assert await providers.receive(replied(lapsed_first, 1)) == [None]
    for notice_id in (lapsed_first, answered_first):
        assert [each["state"] for each in await asked(providers, notice_id)] == ["answered"]


async def test_steps_stop_and_go_on_by_the_number_of_the_question(providers: Providers) -> None:
    notice_id = await a_notice(providers)
    await providers.act("ask", WHERE, notice_id)
    await providers.receive(replied(notice_id, 1))
    await providers.act("dispute", LAWFUL, notice_id)
    await providers.receive(decided(notice_id, 2, DisputeVerdict.CONCEDED))
    async with providers.database.transaction(RowScope([PROVIDER], Role.SERVICE, "apply")) as session:
        rows = await session.driver.fetch(
            "SELECT step->>1 AS did, step->>2 AS code, (step->3)::int AS number "
            "FROM deadline, jsonb_array_elements(steps) AS step WHERE subject = $1",
            notice_id,
        )
    assert {tuple(row) for row in rows} >= {
        ("starts", "information_requested", 0),
        ("stops", "needs_info", 1),
        ("resumes", "needs_info", 1),
        ("does", "information", 0),
        ("starts", "dispute_raised", 0),
        ("stops", "disputed", 2),
        ("resumes", "disputed", 2),
        ("does", "verdict", 0),
    }


async def stood(providers: Providers, notice_id: UUID) -> timedelta:
    """Return how long the first question or dispute has stopped clocks."""
    async with providers.database.transaction(RowScope([PROVIDER], Role.SERVICE, "apply")) as session:
        found: timedelta = await session.driver.fetchval(
            "SELECT interval '1 microsecond' * (max((step->0)::bigint) FILTER (WHERE step->>1 = 'resumes')"
            "     - max((step->0)::bigint) FILTER (WHERE step->>1 = 'stops')) "
            "FROM deadline, jsonb_array_elements(steps) AS step WHERE subject = $1 AND (step->3)::int = 1",
            notice_id,
        )
    return found


async def receipted(providers: Providers, message_id: UUID, code: str, *, parties: Sequence[str] = (HOTLINE,)) -> None:
    """Report a refusal of a message by the instance that serves these parties."""
    await providers.receipted(Settlement(message_id, ReceiptOutcome.REFUSED, code, "hotline", parties))


@pytest.mark.parametrize(
    ("act", "said", "reason"),
    [("ask", WHERE, "question_refused"), ("dispute", LAWFUL, "dispute_refused")],
    ids=["ask", "dispute"],
)
async def test_what_its_origin_refuses_was_never_raised_and_another_may_follow(
    providers: Providers, act: str, said: Question | Dispute, reason: str
) -> None:
    notice_id = await a_notice(providers)
    await providers.act(act, said, notice_id)
    (first,) = await about(providers.database, notice_id)
    await receipted(providers, first.message_id, "item_unknown", parties=["police-nl.example"])
    assert [each["state"] for each in await asked(providers, notice_id)] == ["open"], "another instance has no say"
    await receipted(providers, first.message_id, "item_unknown")
    (told,) = await asked(providers, notice_id)
    assert (told["state"], told["code"]) == ("refused", "item_unknown")
    assert await waits(providers, notice_id) == [(reason,)]
    await providers.act(act, said, notice_id)
    assert [each["state"] for each in await asked(providers, notice_id)] == ["refused", "open"]
    # A repeated receipt does not apply to the next message.
    await receipted(providers, first.message_id, "item_unknown")
    assert [each["state"] for each in await asked(providers, notice_id)] == ["refused", "open"]
    assert reason not in {each for reasons in await waits(providers, notice_id) for each in reasons}
    assert await stood(providers, notice_id) == timedelta(), "nothing was asked at its origin: no clock stood there"
