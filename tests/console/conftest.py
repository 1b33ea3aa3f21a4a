"""One browser for all tests of the consoles, and things to look at."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.console.browser import chromium
from tests.console.pages import Subjects
from tests.console.people import delivered
from tests.support.running import HOTLINE, Exchange, referral


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture(scope="session")
async def subjects(exchange: Exchange) -> Subjects:
    """A referral of a child at risk that everybody has, and an address of the hotline's where nobody listens."""
    found = await delivered(exchange, referral(priority={"level": "p0_child_at_risk", "basis": ["imminent_harm"]}))
    async with exchange.http(HOTLINE) as client:
        made = await client.post(
            "/v1/webhooks", json={"url": "http://127.0.0.1:9/none"}, headers={"Idempotency-Key": found.referral}
        )
    await exchange.until_audited()
    return found._replace(webhook=made.json()["webhook_id"])
