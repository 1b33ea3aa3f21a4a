"""One bad row among a thousand: it is refused or unrouted, and the other 999 are delivered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from client.api import BATCH_MAX, CausewayClient
from client.views import BatchResult
from tests.support.running import HOTLINE, OTHER_HOTLINE, Exchange, referral

Record = Callable[[str, object], None]

ROWS, BAD_AT = 1000, 617
QUIET_S_MAX = 300.0

_APPLIED = """
SELECT count(DISTINCT e.referral_id) AS n FROM edge AS e
JOIN stream AS s ON (s.peer, s.incarnation, s.lane) = (e.instance, e.incarnation, e.lane)
WHERE e.referral_id = ANY($1::uuid[]) AND e.number <= s.acked
  AND NOT EXISTS (SELECT FROM outcome_open AS o WHERE o.message_id = e.message_id)
"""
_OFFERS = "SELECT count(*) AS n FROM received WHERE subject = ANY($1::uuid[]) AND party = $2"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A kind of bad row: its error, and the answer to it."""

    name: str
    changes: dict[str, Any]
    status: int
    state: str | None
    reason: str


BAD_ROWS = (
    BadRow(
        "unroutable", {"items": [{"locator": {"kind": "account", "value": "user-1"}}]}, 202, "unroutable", "no_route"
    ),
    BadRow(
        "unknown code",
        {"items": [{"locator": {"kind": "url", "value": "https://a.example/1"}, "hosting": [{"jurisdiction": "AN"}]}]},
        202,
        "unknown_code",
        "unknown_jurisdiction",
    ),
    BadRow("refused", {"exercise": False}, 422, None, "exercise_mismatch"),
)


def rows(bad: BadRow) -> list[dict[str, Any]]:
    """Return a thousand referrals that go to one hotline each, except the bad one."""
    good = [referral(items=[_hosted_in_nl(number)]) for number in range(ROWS)]
    good[BAD_AT] |= bad.changes
    return good


def _hosted_in_nl(number: int) -> dict[str, Any]:
    locator = {"kind": "url", "value": f"https://site.example/{number}"}
    return {"locator": locator, "hosting": [{"jurisdiction": "NL", "method": "stated"}]}


async def filed(client: CausewayClient, referrals: list[dict[str, Any]]) -> list[BatchResult]:
    """Return each row's result, in order."""
    results: list[BatchResult] = []
    for start in range(0, len(referrals), BATCH_MAX):
        results += await client.submit_batch(referrals[start : start + BATCH_MAX])
    return results


@pytest.mark.parametrize("bad", BAD_ROWS, ids=lambda bad: bad.name)
async def test_one_bad_row_among_a_thousand_holds_up_no_other(
    exchange: Exchange, bad: BadRow, record_property: Record
) -> None:
    referrals = rows(bad)
    async with exchange.client(HOTLINE) as client:
        results = await filed(client, referrals)
        odd = results.pop(BAD_AT)
        assert {(each.status, each.state) for each in results} == {(202, "routed")}
        assert (odd.status, odd.state) == (bad.status, bad.state)
        await exchange.until_quiet(QUIET_S_MAX)
        # A refused row is on no list, so the whole list is searched.
        reason = bad.reason if bad.state else None
        listed = [item async for page in client.work(reason=reason) for item in page.items]
    ids = [each.referral_id for each in results]
    delivered = await exchange.count_as_accountant("hotline", _APPLIED, ids)
    offers = await exchange.count_as_accountant("hotline", _OFFERS, ids, OTHER_HOTLINE)
    assert (delivered[0]["n"], offers[0]["n"]) == (ROWS - 1, ROWS - 1)
    on_list = [item.state for item in listed if item.external_ref == referrals[BAD_AT]["external_ref"]]
    assert on_list == ([bad.state] if bad.state else [])
    if bad.state is None:
        assert odd.problem is not None
        assert odd.problem.code == bad.reason
    record_property("figure", f"{ROWS - 1} of {ROWS - 1} delivered, 1 {bad.name}: {bad.reason}")
