"""A referral changes after submission, at a running exchange: amended while unsent, sent or answered; rerouted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.journeys.parties import Party, operated, written
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER, Exchange, referral

AUDITOR = "auditor.example"
OTHER_PROVIDER = "provider-001.example"


def amended(hotline: Party, folder: Path, referral_id: str, body: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = hotline.told("referral", "amend", referral_id, written(folder, body))
    return told


def notice_of(shown: dict[str, Any], provider: str) -> str:
    """Return the id of a provider's notice of a referral."""
    found: str = next(edge["notice_id"] for edge in shown["edges"] if edge["recipient"] == provider)
    return found


async def test_what_was_answered_survives_an_amendment_and_each_is_told_what_changes_for_it(
    exchange: Exchange, tmp_path: Path
) -> None:
    before = operated(exchange, "audit", "reconcile")["differences"]
    hotline, agency, provider = (Party(exchange, name) for name in (HOTLINE, AGENCY, PROVIDER))
    body = referral()
    referral_id = hotline.told("referral", "submit", written(tmp_path, body))["referral_id"]
    # Amended before a recipient can have answered, and perhaps before the message was sent.
    told = amended(hotline, tmp_path, referral_id, body | {"viewed_by": "nobody"})
    assert (told["revision"], told["unchanged"]) == (2, [PROVIDER])
    await exchange.until_taken()
    notice_id = notice_of(hotline.told("referral", "show", referral_id), PROVIDER)
    agency.told("case", "accept", referral_id)
    provider.told("notice", "answer", notice_id, "removed")
    await exchange.until_taken()

    second = referral()["items"][0]
    told = amended(hotline, tmp_path, referral_id, body | {"items": [*body["items"], second]})
    assert (told["revision"], told["unchanged"], told["taken_back"]) == (3, [], [])
    assert told["replaced"] == [OTHER_HOTLINE, AGENCY, PROVIDER]
    await exchange.until_taken()
    notice = provider.told("inbox", "notice", notice_id)
    assert (notice["state"], notice["numbers"], notice["revision"]) == ("in_part", [1, 2], 2)
    case = agency.told("inbox", "show", referral_id)
    assert (case["state"], case["revision"], len(case["record"]["items"])) == ("accepted", 3, 2)
    assert [len(each["record"]["items"]) for each in case["earlier"]] == [1]

    provider.told("notice", "answer", notice_id, "removed")
    said = ("--child-identified", "yes", "--child-safeguarded", "unknown")
    agency.told("case", "outcome", referral_id, "ongoing-investigation", *said)
    await exchange.until_quiet()
    shown = hotline.told("referral", "show", referral_id)
    assert [(r["revision"], r["cause"]) for r in shown["revisions"]] == [(1, "filed"), (2, "amended"), (3, "amended")]
    answers = {edge["recipient"]: edge["answer"] for edge in shown["edges"]}
    assert answers == {OTHER_HOTLINE: "none", AGENCY: "ongoing", PROVIDER: "actioned"}
    assert shown["ticks"]["delivered"] == {"done": 3, "of": 3}

    await exchange.until_audited()
    flow = Party(exchange, AUDITOR).told("flow", referral_id, "--purpose", "what was amended")
    assert all(line["problem"] is None for line in flow["messages"])
    decisions = [line for line in flow["messages"] if line["kind"] == "decision"]
    assert [each["detail"]["revision"] for each in decisions] == [1, 2, 3]
    accounts = operated(exchange, "audit", "reconcile")
    assert [each for each in accounts["differences"] if each not in before] == []


async def test_what_is_not_ours_goes_to_the_provider_that_is_named_and_neither_learns_of_the_other(
    exchange: Exchange, tmp_path: Path
) -> None:
    hotline, first, second = (Party(exchange, name) for name in (HOTLINE, PROVIDER, OTHER_PROVIDER))
    referral_id = hotline.told("referral", "submit", written(tmp_path, referral()))["referral_id"]
    await exchange.until_taken()
    notice_id = notice_of(hotline.told("referral", "show", referral_id), PROVIDER)
    first.told("notice", "not-ours", notice_id, "--suggested", OTHER_PROVIDER)
    await exchange.until_taken()
    (row,) = [each for each in hotline.told("attention")["items"] if each["subject"] == referral_id]
    assert (row["reasons"], row["mend"], row["notice_id"]) == (["not_ours"], "reroute", notice_id)

    told = hotline.told("referral", "reroute", referral_id, notice_id)
    assert (told["revision"], told["added"], told["taken_back"]) == (2, [OTHER_PROVIDER], [PROVIDER])
    await exchange.until_taken()
    shown = hotline.told("referral", "show", referral_id)
    notice = second.told("inbox", "notice", notice_of(shown, OTHER_PROVIDER))
    assert (notice["state"], PROVIDER in json.dumps(notice).replace(f"images.{PROVIDER}", "")) == ("issued", False)
    before = first.told("inbox", "notice", notice_id)
    assert (before["state"], OTHER_PROVIDER in json.dumps(before["record"])) == ("withdrawn", False)
    assert [each["subject"] for each in hotline.told("attention")["items"] if each["subject"] == referral_id] == []
    (edge,) = [each for each in shown["edges"] if each["recipient"] == PROVIDER]
    assert edge["timeline"][0]["answer"] == "not_ours"
    assert [each["cause"] for each in shown["revisions"]] == ["filed", "rerouted"]
