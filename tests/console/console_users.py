"""Users of the sample parties at their consoles: in a browser, or by bare requests."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from deploy.operator.console_accounts import login_link
from deploy.site.endpoints import STACK_FILE
from deploy.site.open import Site
from shared.core.authority import Role
from shared.core.clock import SystemClock
from tests.console.browser import Visit
from tests.console.pages import Subjects
from tests.support.running import HOTLINE, PROVIDER, Exchange


async def link(exchange: Exchange, party: str, *, role: Role | None = None, person: str = "somebody") -> str:
    """Return a login link as `causeway dev login-link` makes it."""
    site = Site(exchange.state / STACK_FILE, exchange.state, exchange.endpoints)
    return (await login_link(site, party, at=SystemClock().now(), role=role, person=person)).url


async def sign_in(visit: Visit, exchange: Exchange, party: str, *, person: str = "somebody") -> str:
    """Sign in by a link; return the address of the console."""
    url = await link(exchange, party, person=person)
    await visit.go(url)
    await visit.page.get_by_role("button", name="Sign in").click()
    await visit.page.wait_for_url(lambda address: "/in/" not in address)
    return url.partition("/console")[0] + "/console"


@asynccontextmanager
async def signed_in(
    exchange: Exchange, party: str, *, role: Role | None = None, person: str = "bare"
) -> AsyncIterator[httpx.AsyncClient]:
    """Open an HTTP client with the session of a user who signed in by a link."""
    url = await link(exchange, party, role=role, person=person)
    base = url.partition("/console")[0]
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=60) as client:
        answer = await client.post(urlsplit(url).path, headers={"Origin": base})
        assert answer.status_code == 303, answer.text
        yield client


async def csrf_of(client: httpx.AsyncClient, path: str = "/console/settings") -> str:
    """Return the token in the forms of a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', (await client.get(path)).text)
    assert found is not None
    return found[1]


async def delivered(exchange: Exchange, filing: dict[str, Any], *, party: str = HOTLINE) -> Subjects:
    """Submit a referral that all three kinds of recipients receive."""
    (found,) = await all_delivered(exchange, [(party, filing)])
    return found


async def all_delivered(exchange: Exchange, filings: Sequence[tuple[str, dict[str, Any]]]) -> Sequence[Subjects]:
    """Submit several referrals at once, each by its party. Those of one provider have a notice."""
    ids: list[str] = []
    for party, filing in filings:
        async with exchange.client(party) as client:
            ids.append(str((await client.submit(filing)).referral_id))
    await exchange.until_taken()
    return [await _subjects(exchange, each, *of) for each, of in zip(ids, filings, strict=True)]


async def _subjects(exchange: Exchange, referral_id: str, party: str, filing: dict[str, Any]) -> Subjects:
    async with exchange.http(party) as client:
        shown = (await client.get(f"/v1/referrals/{referral_id}")).json()
    notice = next((str(each["notice_id"]) for each in shown["edges"] if each["recipient"] == PROVIDER), "")
    place = urlsplit(filing["items"][0]["locator"]["value"]).path
    return Subjects(referral_id, notice, "", place)
