"""A recipient asks and disputes at its own prompt, and its origin answers. Only these two see the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from client.api import CausewayClient
from client.views import PageView, View
from shared.core.contracts import questions
from shared.core.vocabulary.questions import DisputeReason, DisputeVerdict, NeedsInfo, QuestionReply
from tests.journeys.parties import Party, written
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER, Exchange, referral


def of(party: Party, subject: str) -> list[dict[str, Any]]:
    """Return the party's questions about a subject, oldest first."""
    rows = [row for row in party.told("questions", "--limit", "10000") if row["subject"] == subject]
    return sorted(rows, key=lambda row: row["raised_at"])


def reasons(party: Party, subject: str) -> set[str]:
    rows = [row for row in party.told("attention")["items"] if row["subject"] == subject]
    asked = {"needs_info", "disputed", "question_answered", "conceded", "dispute_answered"}
    return {reason for row in rows for reason in row["reasons"]} & asked


def types(party: Party, subject: str) -> list[str]:
    return [each["type"] for each in party.told("timeline", subject)]


async def questions_of(client: CausewayClient, referral_id: UUID, **filters: str) -> list[Any]:
    pages = client.pages("/v1/questions", PageView[View], None, limit=200, **filters)
    return [each async for page in pages for each in page.items if each.subject == str(referral_id)]


async def test_a_provider_asks_and_contests_and_its_origin_answers_at_the_prompt(
    exchange: Exchange, tmp_path: Path
) -> None:
    hotline, provider, stranger = (Party(exchange, name) for name in (HOTLINE, PROVIDER, OTHER_HOTLINE))
    referral_id = hotline.told("referral", "submit", written(tmp_path, referral()))["referral_id"]
    await exchange.until_taken()
    edges = hotline.told("referral", "show", referral_id)["edges"]
    notice_id = next(edge["notice_id"] for edge in edges if edge["notice_id"])
    assert provider.told("notice", "ask", notice_id, "location", "still_there")["state"] == "issued"
    again = provider.causeway("notice", "ask", notice_id, "hashes")
    assert (again.returncode, "question_open" in again.stderr) == (1, True)
    await exchange.until_taken()

    (asked,) = of(hotline, referral_id)
    assert (asked["party"], asked["number"], asked["needs"]) == (PROVIDER, 1, ["location", "still_there"])
    assert reasons(hotline, referral_id) == {"needs_info"}
    assert hotline.told("referral", "reply", referral_id, PROVIDER, "1", "still_there")["state"] == "routed"
    twice = hotline.causeway("referral", "reply", referral_id, PROVIDER, "1", "gone")
    assert (twice.returncode, "question_answered" in twice.stderr) == (1, True)
    await exchange.until_taken()
    (answered,) = of(provider, notice_id)
    assert (answered["state"], answered["replied"][0]["reply"]) == ("answered", "still_there")
    assert (reasons(hotline, referral_id), reasons(provider, notice_id)) == (set(), {"question_answered"})

    provider.told("notice", "dispute", notice_id, "1=content_lawful", "--basis", "adult_pornography")
    await exchange.until_taken()
    assert reasons(hotline, referral_id) == reasons(provider, notice_id) == {"disputed"}
    assert hotline.told("referral", "uphold", referral_id, PROVIDER, "2")["state"] == "routed"
    await exchange.until_taken()
    assert [each["state"] for each in of(provider, notice_id)] == ["answered", "answered"]
    assert reasons(provider, notice_id) == {"dispute_answered"}
    assert provider.told("notice", "answer", notice_id, "removed")["state"] == "actioned"
    assert reasons(provider, notice_id) == set()
    await exchange.until_taken()
    told = ["notice.ask", "notice.reply", "notice.dispute", "notice.uphold", "notice.answer"]
    assert [each for each in types(provider, notice_id) if not each.startswith("clock.")] == ["notice.issue", *told]
    assert {"notice.ask", "referral.reply", "notice.dispute", "referral.uphold"} <= set(types(hotline, referral_id))
    # Only the notifier of the notice learns of a provider's question.
    assert of(stranger, referral_id) == of(Party(exchange, AGENCY), referral_id) == []


async def test_an_agency_and_a_hotline_ask_and_contest_over_http(exchange: Exchange) -> None:
    keys = exchange.parties
    async with (
        CausewayClient(keys[HOTLINE].url, keys[HOTLINE].key) as origin,
        CausewayClient(keys[AGENCY].url, keys[AGENCY].key) as agency,
        CausewayClient(keys[OTHER_HOTLINE].url, keys[OTHER_HOTLINE].key) as other,
    ):
        referral_id = (await origin.submit(referral())).referral_id
        await exchange.until_taken()
        asking = questions.Question(about=(1,), needs=(NeedsInfo.WHY_ILLEGAL,))
        assert (await agency.act_on_case("ask", referral_id, asking)).state == "offered"
        contesting = questions.Dispute(disputed=(questions.DisputeStatement(n=1, reason=DisputeReason.DUPLICATE),))
        assert (await other.act_on_offer("dispute", referral_id, contesting)).state == "offered"
        await exchange.until_taken()
        raised = {each.party: each for each in await questions_of(origin, referral_id, state="open")}
        assert {name: each.kind for name, each in raised.items()} == {AGENCY: "question", OTHER_HOTLINE: "dispute"}
        numbers = {name: each.number for name, each in raised.items()}
        replied = (questions.ReplyStatement(reply=QuestionReply.NOT_PERMITTED),)
        reply = questions.Reply(party=AGENCY, question=numbers[AGENCY], replied=replied)
        await origin.act_on_referral("reply", referral_id, reply)
        decided = (questions.VerdictStatement(verdict=DisputeVerdict.CONCEDED),)
        verdict = questions.Ruling(party=OTHER_HOTLINE, dispute=numbers[OTHER_HOTLINE], decided=decided)
        await origin.act_on_referral("uphold", referral_id, verdict)
        await exchange.until_taken()
        for party, word in ((agency, "not_permitted"), (other, "conceded")):
            (mine,) = await questions_of(party, referral_id)
            (said,) = mine.replied or mine.decided
            assert (mine.own, mine.state, said["n"]) == (True, "answered", 1)
            assert word in (said.get("reply"), said.get("verdict"))
