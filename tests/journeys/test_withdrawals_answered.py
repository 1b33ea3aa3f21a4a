"""End to end: no user answers a withdrawal, and each recipient's service answers it automatically."""

from __future__ import annotations

from pathlib import Path

from tests.journeys.parties import Party, written
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER, Exchange, referral

INSTANCES = ("hotline", "law_enforcement", "industry")


async def test_a_withdrawal_that_nobody_answers_is_answered_everywhere(exchange: Exchange, tmp_path: Path) -> None:
    hotline, agency = Party(exchange, HOTLINE), Party(exchange, AGENCY)
    referral_id = hotline.told("referral", "submit", written(tmp_path, referral()))["referral_id"]
    await exchange.until_taken()
    agency.told("case", "accept", referral_id)
    hotline.told("referral", "withdraw", referral_id, "--reason", "filed_in_error")
    await exchange.until_taken()
    beside = [f"{each}-withdrawals" for each in INSTANCES]
    for instance, label in zip(INSTANCES, beside, strict=True):
        only = ("withdrawals", "documents")
        exchange.serve(instance, only=only, label=label, settings={"WITHDRAWAL_ANSWER_H": "0"})
    try:
        exchange.processes[beside[0]].wait_until(lambda: answers(hotline, referral_id) == 3, seconds=180)
    finally:
        exchange.stop(*beside)
    shown = hotline.told("referral", "show", referral_id)
    fates = {edge["recipient"]: edge["answer_detail"]["fate"] for edge in shown["edges"]}
    assert fates == {AGENCY: "kept", OTHER_HOTLINE: "erased", PROVIDER: "erased"}
    assert shown["ticks"]["acknowledged"] == {"done": 3, "of": 3}
    kept = agency.told("inbox", "show", referral_id)
    assert (kept["kept"]["basis"], kept["record"] is None) == ("accepted_case", False)
    assert Party(exchange, OTHER_HOTLINE).told("inbox", "show", referral_id)["record"] is None


def answers(hotline: Party, referral_id: str) -> int:
    edges = hotline.told("referral", "show", referral_id)["edges"]
    return sum(edge["answer"] == "withdrawal_acknowledged" for edge in edges)
