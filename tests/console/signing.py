"""The consoles of all services with a provider: further processes of the shared exchange's instances."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import httpx
from playwright.async_api import Browser, Page

from deploy.devstack.supervisor import answers_ready
from deploy.operator.console_accounts import give_role
from deploy.site.open import Site
from shared.core.authority import Role
from tests.console.pages import AUDITOR
from tests.console.provider import RunningProvider, provider
from tests.support.running import HOTLINE, READY_S_MAX, Exchange

#: A party of each service whose users sign in through the provider. No other test signs in there by a link.
POLICE, OTHER_POLICE, PLATFORM = "police-nl.example", "police-de.example", "provider-012.example"
PARTIES = {HOTLINE: "hotline", POLICE: "law_enforcement", OTHER_POLICE: "law_enforcement"}
PARTIES |= {PLATFORM: "industry", AUDITOR: "audit"}


@dataclass
class Signing:
    """The sign-in processes of the exchange. `consoles` are their addresses, by instance."""

    exchange: Exchange
    provider: RunningProvider
    consoles: Mapping[str, str]

    def console(self, party: str) -> str:
        return self.consoles[PARTIES[party]]

    @property
    def site(self) -> Site:
        return self.exchange.site

    async def actor(self, party: str, person: str) -> str:
        """Return the opaque name of a person, as the page shows it to a user without a role."""
        async with self.bare() as client:
            answer = await self.come(client, party, person)
            assert answer.status_code == 403
            found = re.search(r"\b[0-9a-f]{32}\b", answer.text)
            assert found is not None
            return found[0]

    async def permit(self, party: str, person: str, role: Role) -> str:
        """Give a new person a role; return their opaque name."""
        actor = await self.actor(party, person)
        await give_role(self.site, party, actor, role=role)
        return actor

    @asynccontextmanager
    async def bare(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            yield client

    async def come(
        self, client: httpx.AsyncClient, party: str, person: str, *, stop_at: str = "none"
    ) -> httpx.Response:
        """Follow the links from the console to the sign-in page as a browser would.

        Enter the person's name on the way.
        """
        answer = await client.get(f"{self.console(party)}/console/sign-in/{party}")
        while True:
            if answer.has_redirect_location:
                where = str(answer.next_request.url) if answer.next_request else ""
                if urlsplit(where).path == stop_at:
                    return answer
                answer = await client.get(where)
            elif "/interaction/" in str(answer.url):
                typed = {"prompt": "login", "login": person, "password": "any"}
                answer = await client.post(str(answer.url), data=typed)
            else:
                await client.get(f"{self.console(party)}/console/enter")
                return answer

    async def sign_in(self, page: Page, party: str, person: str) -> None:
        """Sign in in a real browser."""
        await page.goto(f"{self.console(party)}/console/sign-in/{party}")
        await self.typed(page, person)
        await page.locator(".who").wait_for()

    async def typed(self, page: Page, person: str) -> None:
        await page.locator("input[name=login]").fill(person)
        await page.locator("input[name=password]").fill("any")
        await page.locator("button[type=submit]").click()


@contextmanager
def signing(exchange: Exchange) -> Iterator[Signing]:
    ports = {instance: exchange.free_port() for instance in sorted(set(PARTIES.values()))}
    consoles = {instance: f"http://127.0.0.1:{port}" for instance, port in ports.items()}
    labels = [f"{instance}-sign-in" for instance in ports]
    with ExitStack() as ending:
        running = ending.enter_context(
            provider(exchange.state, exchange.free_port(), list(consoles.values()), list(PARTIES))
        )
        ending.callback(exchange.stop, *labels)
        for instance, port in ports.items():
            settings = {"SIGN_IN_FILE": str(running.file)}
            only = ["api", "documents"]
            exchange.serve(instance, only=only, label=f"{instance}-sign-in", port=port, settings=settings)
        for instance, address in consoles.items():
            process = exchange.processes[f"{instance}-sign-in"]
            # Wait for liveness only. Audit's readiness depends on its reader, which is another process.
            process.wait_until(partial(answers_ready, f"{address}/livez"), seconds=READY_S_MAX)
        yield Signing(exchange, running, consoles)


@asynccontextmanager
async def at_browser(browser: Browser) -> AsyncIterator[Page]:
    """Open a browser context of its own, without collecting errors, because it visits two sites."""
    context = await browser.new_context()
    context.set_default_timeout(60_000)
    try:
        yield await context.new_page()
    finally:
        await context.close()
