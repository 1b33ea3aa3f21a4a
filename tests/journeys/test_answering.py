"""Every recipient answers, per item, from its own prompt. The origin sees each answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.journeys.parties import Party, written
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER, Exchange, referral, until

GONE_24H = "practice-recheck"
P0 = {"level": "p0_child_at_risk", "basis": ["ongoing_abuse"]}


def listed(party: Party, subject: str) -> list[str]:
    """Return the kinds of the attention items about this subject."""
    return [row["kind"] for row in party.told("attention")["items"] if row["subject"] == subject]


async def test_a_hotline_takes_an_offer_up_assesses_it_and_every_recipient_has_answered(
    exchange: Exchange, tmp_path: Path
) -> None:
    hotline, other = Party(exchange, HOTLINE), Party(exchange, OTHER_HOTLINE)
    body = referral(priority=P0)
    referral_id = hotline.told("referral", "submit", written(tmp_path, body))["referral_id"]
    await exchange.until_taken()
    assert listed(other, referral_id) == ["offer"]
    early = other.causeway("offer", "assess", referral_id, "baseline")
    assert (early.returncode, "state_forbids" in early.stderr) == (1, True)
    assert other.told("offer", "accept", referral_id)["state"] == "accepted"
    assert other.told("offer", "assess", referral_id, "national")["state"] == "in_part"
    assert other.told("offer", "assess", referral_id, "baseline", "reported_to_police")["state"] == "in_part"
    final = other.causeway("offer", "assess", referral_id, "not_illegal", "--reason", "age_unclear_or_not_assessable")
    assert (final.returncode, "assessment_final" in final.stderr) == (1, True)
    assert listed(other, referral_id) == ["offer"]
    assert other.told("offer", "assess", referral_id, "removed")["state"] == "closed"
    assert listed(other, referral_id) == []

    Party(exchange, AGENCY).told("case", "decline", referral_id, "--reason", "already_known")
    shown = hotline.told("referral", "show", referral_id)
    notice_id = next(edge["notice_id"] for edge in shown["edges"] if edge["notice_id"])
    Party(exchange, PROVIDER).told("notice", "answer", notice_id, "removed")
    await exchange.until_taken()
    shown = hotline.told("referral", "show", referral_id)
    assert shown["ticks"] == {"accepted": True, "delivered": {"done": 3, "of": 3}, "acknowledged": {"done": 3, "of": 3}}
    (edge,) = [each for each in shown["edges"] if each["recipient"] == OTHER_HOTLINE]
    assert edge["answer"] == "closed"
    assert [each["answer"] for each in edge["timeline"]] == ["accepted", "in_part", "in_part", "closed"]
    assert len(edge["answer_detail"]["assessed"]) == 4


def due(party: Party, clock: str, subject: str) -> list[str]:
    """Return the parties that must act on this subject by this clock."""
    return [row["owed_by"] for row in party.told("due", "--subject", subject) if row["clock"] == clock]


async def falls_due(party: Party, clock: str, subject: str, *, owed_by: list[str]) -> None:
    """Wait until exactly these parties must act."""

    def falls() -> bool:
        return due(party, clock, subject) == owed_by

    await until(lambda: asyncio.to_thread(falls))


async def test_a_provider_that_says_removed_and_lies_is_found_by_whoever_looks_again(
    exchange: Exchange, tmp_path: Path
) -> None:
    hotline, provider = Party(exchange, HOTLINE), Party(exchange, PROVIDER)
    referral_id = hotline.told("referral", "submit", written(tmp_path, referral()))["referral_id"]
    await exchange.until_taken()
    notice_id = next(e["notice_id"] for e in hotline.told("referral", "show", referral_id)["edges"] if e["notice_id"])
    provider.told("notice", "answer", notice_id, "removed")
    await exchange.until_taken()

    # The removal is unconfirmed: the origin must recheck, and the provider does not see when.
    await falls_due(hotline, GONE_24H, referral_id, owed_by=[HOTLINE])
    assert due(provider, GONE_24H, notice_id) == []
    never = hotline.causeway("referral", "recheck", referral_id, "9=gone")
    assert (never.returncode, "item_unknown" in never.stderr) == (1, True)
    assert hotline.told("referral", "recheck", referral_id, "1=up", "--by", "tool")["state"] == "reappeared"
    await exchange.until_taken()

    shown = provider.told("inbox", "notice", notice_id)
    assert (shown["state"], [each["found"] for each in shown["checked"]]) == ("reappeared", ["reappeared"])
    edges = hotline.told("referral", "show", referral_id)["edges"]
    (edge,) = [each for each in edges if each["notice_id"] == notice_id]
    assert (edge["answer"], edge["answer_detail"]["checked"][0]["found"]) == ("reappeared", "reappeared")
    assert listed(hotline, referral_id) == ["referral"]
    # Its clocks start again, and the provider answers once more.
    await falls_due(provider, "practice-notice-reminder", notice_id, owed_by=[PROVIDER])
    assert provider.told("notice", "answer", notice_id, "removed")["state"] == "actioned"
    await exchange.until_taken()
    await falls_due(hotline, GONE_24H, referral_id, owed_by=[HOTLINE])
    assert hotline.told("referral", "recheck", referral_id, "1=gone")["state"] == "routed"
    await falls_due(hotline, GONE_24H, referral_id, owed_by=[])

    # The provider may reverse its removal, with a reason.
    assert provider.told("notice", "reinstate", notice_id, "--reason", "complaint_upheld")["state"] == "reappeared"
    await exchange.until_taken()
    edges = hotline.told("referral", "show", referral_id)["edges"]
    assert [each["answer"] for each in edges if each["notice_id"] == notice_id] == ["reappeared"]
    assert provider.told("notice", "answer", notice_id, "removed")["state"] == "actioned"
