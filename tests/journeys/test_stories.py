"""The stories of the README, each from its first command to its last answer, on a running exchange."""

from __future__ import annotations

import json
from pathlib import Path

from shared.core.authority import Role
from tests.journeys.parties import Party, operated, written
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER, Exchange, over_budget, referral

AUDITOR = "auditor.example"


async def test_a_referral_is_previewed_filed_delivered_answered_and_followed(
    exchange: Exchange, tmp_path: Path
) -> None:
    hotline, agency, provider = (Party(exchange, name) for name in (HOTLINE, AGENCY, PROVIDER))
    body = referral()
    file = written(tmp_path, body)

    previewed = hotline.told("referral", "check", file)["results"][0]
    filed = hotline.told("referral", "submit", file)
    assert [each["recipient"] for each in previewed["recipients"]] == [OTHER_HOTLINE, AGENCY, PROVIDER]
    assert filed["recipients"] == previewed["recipients"]
    referral_id = filed["referral_id"]

    await exchange.until_quiet()
    shown = hotline.told("referral", "show", referral_id)
    assert shown["ticks"] == {"accepted": True, "delivered": {"done": 3, "of": 3}, "acknowledged": {"done": 0, "of": 3}}
    notice_id = next(edge["notice_id"] for edge in shown["edges"] if edge["notice_id"])

    location = body["items"][0]["locator"]["value"]
    assert agency.told("inbox", "show", referral_id)["record"]["items"][0]["locator"]["value"] == location
    notice = provider.told("inbox", "notice", notice_id)
    assert notice["record"]["items"][0]["locator"]["value"] == location
    assert referral_id not in json.dumps(notice)

    provider.told("notice", "acknowledge", notice_id)
    provider.told("notice", "answer", notice_id, "removed")
    agency.told("case", "decline", referral_id, "--reason", "already_known")
    await exchange.until_quiet()
    answers = {edge["recipient"]: edge["answer"] for edge in hotline.told("referral", "show", referral_id)["edges"]}
    assert answers == {OTHER_HOTLINE: "none", AGENCY: "declined", PROVIDER: "actioned"}

    await exchange.until_audited()
    flow = Party(exchange, AUDITOR).told("flow", referral_id, "--purpose", "the tour of the README")
    types = [each["type"] for each in flow["messages"]]
    assert {"causeway.referral_offered.v1", "causeway.notice_answered.v1", "causeway.case_declined.v1"} <= {*types}
    opened = [each["detail"]["party"] for each in flow["messages"] if each["type"] == "causeway.record_revealed.v1"]
    assert sorted(opened) == [AGENCY, PROVIDER]
    assert location not in json.dumps(flow)


async def test_a_referral_is_withdrawn_and_every_recipient_acknowledges(exchange: Exchange, tmp_path: Path) -> None:
    hotline = Party(exchange, HOTLINE)
    referral_id = hotline.told("referral", "submit", written(tmp_path, referral()))["referral_id"]
    await exchange.until_quiet()

    withdrawn = hotline.told("referral", "withdraw", referral_id, "--reason", "filed_in_error")
    assert withdrawn == {"referral_id": referral_id, "state": "withdrawn"}
    await exchange.until_quiet()
    for name in (OTHER_HOTLINE, AGENCY):
        listed = Party(exchange, name).told("inbox", "--state", "withdrawn")["items"]
        assert referral_id in {item["referral_id"] for item in listed}

    shown = hotline.told("referral", "show", referral_id)
    notice_id = next(edge["notice_id"] for edge in shown["edges"] if edge["notice_id"])
    assert shown["ticks"] == {"accepted": True, "delivered": {"done": 3, "of": 3}, "acknowledged": {"done": 0, "of": 3}}
    for name in (OTHER_HOTLINE, AGENCY):
        Party(exchange, name).told("inbox", "acknowledge-withdrawal", referral_id)
    Party(exchange, PROVIDER).told("notice", "acknowledge-withdrawal", notice_id)
    await exchange.until_quiet()
    shown = hotline.told("referral", "show", referral_id)
    assert shown["state"] == "withdrawn"
    assert shown["ticks"] == {"accepted": True, "delivered": {"done": 3, "of": 3}, "acknowledged": {"done": 3, "of": 3}}
    assert {edge["answer"] for edge in shown["edges"]} == {"withdrawal_acknowledged"}


async def test_what_is_over_its_budget_is_released_by_a_second_person_and_arrives_whole(
    exchange: Exchange, tmp_path: Path
) -> None:
    # Other tests forge unknown messages on the same exchange.
    before = operated(exchange, "audit", "reconcile")["differences"]
    hotline, body = Party(exchange, HOTLINE), over_budget(referral())
    filed = hotline.told("referral", "submit", written(tmp_path, body))
    assert (filed["state"], filed["work_reason"], filed["recipients"]) == ("unreleased", "over_budget", [])
    referral_id = filed["referral_id"]
    listed = hotline.told("referral", "work", "--reason", "over_budget")["items"]
    assert referral_id in [item["referral_id"] for item in listed]
    refused = hotline.causeway("referral", "release", referral_id)
    assert (refused.returncode, "forbidden" in refused.stderr) == (1, True)

    second = await exchange.issued("hotline", HOTLINE, Role.ANALYST)
    released = hotline.told("referral", "release", referral_id, "--key", second)
    assert released == {"referral_id": referral_id, "state": "routed"}
    await exchange.until_quiet()
    assert hotline.told("referral", "show", referral_id)["ticks"]["delivered"] == {"done": 3, "of": 3}
    record = Party(exchange, AGENCY).told("inbox", "show", referral_id)["record"]
    assert record["items"][0]["locator"] == body["items"][0]["locator"]

    dropped = hotline.told("referral", "submit", written(tmp_path, over_budget(referral())))["referral_id"]
    assert hotline.told("referral", "drop", dropped, "--key", second)["state"] == "dropped"
    await exchange.until_audited()
    for each, outcome in ((referral_id, "released"), (dropped, "dropped")):
        flow = Party(exchange, AUDITOR).told("flow", each, "--purpose", "who let it go")
        (fact,) = [line for line in flow["messages"] if line["type"] == "causeway.referral_reviewed.v1"]
        assert (fact["kind"], fact["problem"], fact["detail"]["outcome"]) == ("reviewed", None, outcome)
        assert fact["detail"]["filed_by"] != fact["detail"]["by"]
        assert all(line["problem"] is None for line in flow["messages"])
    accounts = operated(exchange, "audit", "reconcile")
    assert accounts["I"]["difference"] == 0
    assert [each for each in accounts["differences"] if each not in before] == []


async def test_bad_input_is_answered_with_the_field_and_the_rule_and_never_the_value(
    exchange: Exchange, tmp_path: Path
) -> None:
    hotline = Party(exchange, HOTLINE)
    body = referral(incident_kind="made-up-kind")
    file = written(tmp_path, body)

    ran = hotline.causeway("referral", "submit", file)
    assert ran.returncode == 1
    assert "/incident_kind" in ran.stderr
    assert "made-up-kind" not in ran.stdout + ran.stderr

    body["incident_kind"] = "csam"
    mended = hotline.told("referral", "submit", written(tmp_path, body))
    assert mended["state"] == "routed"


async def test_a_referral_that_can_go_nowhere_is_on_the_work_list_with_its_reason(
    exchange: Exchange, tmp_path: Path
) -> None:
    body = referral(items=[{"locator": {"kind": "account", "value": "user-1"}}])
    filed = Party(exchange, HOTLINE).told("referral", "submit", written(tmp_path, body))
    assert (filed["state"], filed["work_reason"], filed["recipients"]) == ("unroutable", "no_route", [])
    listed = Party(exchange, HOTLINE).told("referral", "work", "--reason", "no_route")["items"]
    assert body["external_ref"] in [item["external_ref"] for item in listed]


async def test_the_same_referral_again_is_answered_with_the_first(exchange: Exchange, tmp_path: Path) -> None:
    hotline = Party(exchange, HOTLINE)
    file = written(tmp_path, referral())
    first = hotline.told("referral", "submit", file, "--idempotency-key", "story-1")
    again = hotline.told("referral", "submit", file, "--idempotency-key", "story-1")
    assert again == first

    ran = hotline.causeway("referral", "submit", file, "--idempotency-key", "story-2")
    assert ran.returncode == 1
    assert "external_ref_exists" in ran.stderr
    imported = hotline.told("referral", "import", file)
    assert (imported["existing"], imported["refused"]) == (1, 0)
