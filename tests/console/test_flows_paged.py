"""More flows than a page holds, paged through in a browser: all of them are shown, each once."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from playwright.async_api import Browser, Page, expect

from services.audit.use_cases import FOUND_MAX
from shared.core.ids import uuid7
from tests.console.browser import visiting
from tests.console.console_users import sign_in
from tests.console.pages import AUDITOR, violations
from tests.support.running import Exchange, referral

#: No other test submits as this party.
BUSY = "hotline-sk.example"
FILED = FOUND_MAX + 12
_FILED = """
SELECT DISTINCT referral_id::text AS subject FROM decision WHERE exercise AND entitled AND origin = $1
"""


@pytest.fixture(scope="module")
async def flows(exchange: Exchange) -> frozenset[str]:
    """Submit more referrals than a page holds; return audit's flows of this party."""
    async with exchange.http(BUSY) as client:
        body = {"referrals": [referral() for _ in range(FILED)]}
        answer = await client.post("/v1/referrals:batch", json=body, headers={"Idempotency-Key": str(uuid7())})
        assert answer.status_code == 200, answer.text
        assert {each["status"] for each in answer.json()["results"]} == {202}
    await exchange.until_taken()
    await exchange.until_audited()
    admin = await exchange.admin("audit")
    rows = await admin.fetch(_FILED, BUSY)
    await admin.close()
    assert len(rows) >= FILED
    return frozenset(row["subject"] for row in rows)


async def listed(page: Page) -> Sequence[str]:
    """Return the full ids of the flows on this page after it has loaded, from their links."""
    await page.wait_for_load_state()
    found = await page.locator("tbody th a").evaluate_all("all => all.map(each => each.getAttribute('href'))")
    return [re.search(r"/flows/([0-9a-f-]{36})\?", str(each))[1] for each in found]  # type: ignore[index]


@pytest.mark.parametrize("script", [True, False], ids=["with a script", "without a script"])
async def test_pages_have_all_flows(script: bool, exchange: Exchange, browser: Browser, flows: frozenset[str]) -> None:
    async with visiting(browser, script=script) as visit:
        page, root = visit.page, await sign_in(visit, exchange, AUDITOR)
        await visit.go(f"{root}/flows")
        await page.get_by_label("Purpose").fill("yearly review")
        await page.get_by_label("Party").fill(BUSY)
        await page.get_by_role("button", name="Search").click()
        await page.wait_for_url(re.compile(r"[?&]purpose="))
        pages = [await listed(page)]
        onward = page.get_by_role("link", name="Next page")
        while await onward.count():
            assert len(pages[-1]) == FOUND_MAX
            await onward.click()
            await expect(page.locator("tbody th a").first).not_to_have_attribute("href", re.compile(pages[-1][0]))
            pages.append(await listed(page))
            await expect(page.get_by_label("Party")).to_have_value(BUSY)
        assert not script or await violations(page) == []
        found = [each for one in pages for each in one]
        assert len(pages) == -(-len(flows) // FOUND_MAX) >= 2
        assert len(found) == len(set(found))
        assert set(found) == flows
        # Only the browser can go back, because a page is named by the end of the page before it.
        assert await page.get_by_role("link", name="Previous page").count() == 0
        await page.go_back()
        assert await listed(page) == pages[-2]
        visit.faultless()
