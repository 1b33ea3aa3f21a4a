"""One browser and one set of subjects for all tests of the consoles."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from deploy.accounting.run import keep, reconciled
from shared.core.clock import SystemClock
from tests.console.browser import chromium
from tests.console.console_users import delivered
from tests.console.interaction import at_risk, posted
from tests.console.interactions_of_agencies import wanted
from tests.console.interactions_of_origins import ASKED
from tests.console.pages import AUDITOR, Subjects
from tests.support.running import HOTLINE, PROVIDER, Exchange

asked = posted(PROVIDER, "/v1/notices/{notice}:ask", ASKED)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture(scope="session")
async def subjects(exchange: Exchange) -> Subjects:
    """Create a referral of a child at risk at all recipients, with a question and a preservation request.

    Also create a webhook of the hotline whose address has no listener.
    """
    found = await delivered(exchange, at_risk())
    found = await wanted(exchange, found)
    found = await asked(exchange, found)
    async with exchange.http(HOTLINE) as client:
        made = await client.post(
            "/v1/webhooks", json={"url": "http://127.0.0.1:9/none"}, headers={"Idempotency-Key": found.referral}
        )
    await exchange.until_taken()
    await exchange.until_audited()
    async with exchange.http(PROVIDER) as client:
        items = (await client.get("/v1/work-items")).json()["items"]
    own = next(each for each in items if found.notice in {one["notice_id"] for one in each["items"]})
    found = found._replace(work=own["work_item"])
    async with exchange.http(AUDITOR) as client:
        flow = (await client.get(f"/v1/flows/{found.referral}", headers={"Purpose": "yearly review"})).json()
    found = found._replace(digest=flow["messages"][0]["digest"])
    await keep(exchange.endpoints, await reconciled(exchange.endpoints), at=SystemClock().now())
    return found._replace(webhook=made.json()["webhook_id"])
