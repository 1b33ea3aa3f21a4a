"""Many answers in one request and in one table, at a running exchange. The notifier receives the same from both."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from shared.core.clock import SystemClock, rfc3339
from shared.core.ids import uuid7
from tests.console.console_users import signed_in
from tests.journeys.parties import Party, written
from tests.support.running import HOTLINE, OTHER_HOTLINE, PROVIDER, Exchange, referral

AT = rfc3339(SystemClock().now().replace(hour=0, minute=0, second=0, microsecond=0))


def notices(exchange: Exchange, folder: Path, count: int) -> list[tuple[str, str]]:
    """Submit referrals of three items each; return the provider's notices of them."""
    hotline = Party(exchange, HOTLINE)
    filed = []
    for _ in range(count):
        body = referral(items=[referral()["items"][0] for _ in range(3)])
        filed.append(hotline.told("referral", "submit", written(folder, body))["referral_id"])
    return [(referral_id, notice_of(hotline, referral_id)) for referral_id in filed]


async def beside(exchange: Exchange, notice: str) -> list[str]:
    """Return the other notices that the provider's list links from the row of one notice."""
    page = "/console/notices"
    async with signed_in(exchange, PROVIDER) as people:
        while True:
            shown = (await people.get(page)).text
            rows = [each for each in shown.split("<tr>") if f'value="{notice}"' in each]
            if rows:
                return [each for each in re.findall(r'/notices/([0-9a-f-]{36})"', rows[0]) if each != notice]
            page = "/console/notices?" + re.findall(r"(cursor=[^\"&]+)", shown)[-1]


def notice_of(hotline: Party, referral_id: str) -> str:
    edges = hotline.told("referral", "show", referral_id)["edges"]
    return next(edge["notice_id"] for edge in edges if edge["notice_id"])


def told(exchange: Exchange, referral_id: str, *, of: str = HOTLINE) -> list[tuple[int, str]]:
    """Return the answers that the notifier received for each item."""
    edges = Party(exchange, of).told("referral", "show", referral_id)["edges"]
    (detail,) = [edge["answer_detail"] for edge in edges if edge["notice_id"]]
    return [(each["n"], each.get("action") or each["rejection"]) for each in detail["items"]]


def mended(path: Path) -> str:
    """Correct the refused line, so that it names an existing item."""
    path.write_text(path.read_text(encoding="utf-8").replace(",7,", ",3,"), encoding="utf-8")
    return str(path)


async def test_three_items_are_answered_differently_by_the_api_and_by_a_table_and_told_alike(
    exchange: Exchange, tmp_path: Path
) -> None:
    (first, by_api), (second, by_table), (third, refused) = notices(exchange, tmp_path, 3)
    await exchange.until_taken()
    items: list[dict[str, Any]] = [
        {"n": 1, "action": "removed", "effective_at": AT},
        {"n": 2, "rejection": "not_found"},
        {"n": 3, "action": "preserved"},
    ]
    contradicting = [items[0], items[1] | {"n": 1}]
    lines = [
        {"notice_id": by_api, "act": "answer", "items": items},
        {"notice_id": refused, "act": "answer", "items": contradicting},
    ]
    async with exchange.http(PROVIDER) as http:
        headers = {"Idempotency-Key": str(uuid7())}
        answer = await http.post("/v1/notices:batch", json={"answers": lines}, headers=headers)
        again = await http.post("/v1/notices:batch", json={"answers": lines}, headers=headers)
    results = answer.json()["results"]
    assert (answer.status_code, [each["status"] for each in results]) == (200, [202, 422])
    assert results[1]["problem"]["code"] == "item_answer_contradicts"
    assert again.json() == answer.json()

    table = tmp_path / "answers.csv"
    said = f"1,removed,{AT}", "2,not_found,", "3,preserved,"
    rows = [*(f"{by_table},{each}" for each in said), f"{refused},7,removed,"]
    table.write_text("\n".join(["notice_id,item,answer,effective_at", *rows]), encoding="utf-8")
    provider = Party(exchange, PROVIDER)
    for _ in range(2):
        ended = provider.causeway("notice", "answer-many", str(table), "--json")
        said = json.loads(ended.stdout)
        assert (ended.returncode, said["lines"], said["taken"], said["refused"]) == (1, 4, 3, 1)
    (error,) = said["errors"]
    assert (error["line"], error["column"], error["code"]) == (5, "item", "item_unknown")
    assert provider.told("notice", "answer-many", mended(Path(said["refused_lines"]))) == {
        "lines": 1, "taken": 1, "refused": 0, "errors": [], "report": None, "refused_lines": None,
    }  # fmt: skip

    await exchange.until_taken()
    assert told(exchange, first) == told(exchange, second) == [(1, "removed"), (2, "not_found"), (3, "preserved")]
    assert told(exchange, third) == [(3, "removed")]


async def test_a_hotline_assesses_many_offers_in_one_table(exchange: Exchange, tmp_path: Path) -> None:
    ids = [referral_id for referral_id, _ in notices(exchange, tmp_path, 2)]
    await exchange.until_taken()
    table = tmp_path / "offers.csv"
    rows = [f"{each},accept,," for each in ids] + [f"{each},assess,,baseline;removed" for each in ids]
    table.write_text("\n".join(["referral_id,act,item,answer", *rows, f"{ids[0]},assess,1,national"]))
    ended = Party(exchange, OTHER_HOTLINE).causeway("offer", "answer-many", str(table), "--json")
    said = json.loads(ended.stdout)
    assert [(each["line"], each["code"]) for each in said["errors"]] == [(4, "beside_refused"), (6, "assessment_final")]
    states = [Party(exchange, OTHER_HOTLINE).told("inbox", "show", each)["state"] for each in ids]
    assert states == ["accepted", "closed"]


async def test_two_notifiers_of_one_location_are_one_work_item_and_each_is_told_of_its_own(
    exchange: Exchange, tmp_path: Path
) -> None:
    first, second, provider = (Party(exchange, name) for name in (HOTLINE, OTHER_HOTLINE, PROVIDER))
    items = referral()["items"]
    filed = [party.told("referral", "submit", written(tmp_path, referral(items=items))) for party in (first, second)]
    ids = [each["referral_id"] for each in filed]
    await exchange.until_taken()
    notices = [notice_of(party, each) for party, each in zip((first, second), ids, strict=True)]
    assert notices[0] != notices[1]

    def about() -> list[tuple[str, list[str]]]:
        work = provider.told("notice", "work", "--limit", "500")["items"]
        named = [(each["work_item"], [one["notice_id"] for one in each["items"]]) for each in work]
        return [each for each in named if {*notices} & {*each[1]}]

    ((work_item, open_ones),) = about()
    assert sorted(open_ones) == sorted(notices)
    assert await beside(exchange, notices[0]) == [notices[1]]
    first.told("referral", "withdraw", ids[0], "--reason", "filed_in_error")
    await exchange.until_taken()
    assert about() == [(work_item, [notices[1]])]
    assert await beside(exchange, notices[1]) == []
    answered = provider.told("notice", "answer-work", work_item, "removed")
    assert [(each["notice_id"], each["state"]) for each in answered["results"]] == [(notices[1], "actioned")]
    await exchange.until_taken()
    assert about() == []
    assert told(exchange, ids[1], of=OTHER_HOTLINE) == [(1, "removed")]
