"""Every recipient answers, per item, from its own prompt; the origin sees what each has said."""

from __future__ import annotations

from pathlib import Path

from tests.journeys.parties import Party, written
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER, Exchange, referral

P0 = {"level": "p0_child_at_risk", "basis": ["ongoing_abuse"]}


def listed(party: Party, subject: str) -> list[str]:
    """The kinds under which what needs a person names this subject, or nothing."""
    return [row["kind"] for row in party.told("attention")["items"] if row["subject"] == subject]


async def test_a_hotline_takes_an_offer_up_assesses_it_and_every_recipient_has_answered(
    exchange: Exchange, tmp_path: Path
) -> None:
    hotline, other = Party(exchange, HOTLINE), Party(exchange, OTHER_HOTLINE)
    body = referral(priority=P0)
    referral_id = hotline.told("referral", "submit", written(tmp_path, body))["referral_id"]
    await exchange.until_quiet()
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
    await exchange.until_quiet()
    shown = hotline.told("referral", "show", referral_id)
    assert shown["ticks"] == {"accepted": True, "delivered": "3/3", "acknowledged": "3/3"}
    (edge,) = [each for each in shown["edges"] if each["recipient"] == OTHER_HOTLINE]
    assert edge["answer"] == "closed"
    assert [each["answer"] for each in edge["timeline"]] == ["accepted", "in_part", "in_part", "closed"]
    assert len(edge["answer_detail"]["assessed"]) == 4
