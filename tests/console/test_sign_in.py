"""Users sign in through their own organisation's provider: a real one, on another site, in a real browser."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from playwright.async_api import Browser, Page

from deploy.devstack.supervisor import answers_ready
from deploy.operator.console_accounts import end_role, give_role
from deploy.operator.keys import issue
from deploy.site.open import Site
from shared.core.authority import Role
from shared.core.clock import SystemClock
from tests.console.console_users import csrf_of, link
from tests.console.pages import AUDITOR, Subjects
from tests.console.provider import RunningProvider, provider
from tests.support.running import HOTLINE, READY_S_MAX, Exchange, over_budget, referral, until

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


FIRST_PAGE = {HOTLINE: "attention", POLICE: "attention", PLATFORM: "attention", AUDITOR: "flows"}


@pytest.fixture(scope="module")
def here(exchange: Exchange) -> Iterator[Signing]:
    with signing(exchange) as running:
        yield running


def cookie_of(here: Signing, party: str, kind: str = "") -> str:
    return f"causeway{kind}-{urlsplit(here.console(party)).port}"


@pytest.mark.parametrize("party", FIRST_PAGE)
async def test_a_person_comes_in_over_their_provider(party: str, here: Signing, browser: Browser) -> None:
    role = Role.AUDITOR if party == AUDITOR else Role.ANALYST
    await here.permit(party, "first@named.example", role)
    async with at_browser(browser) as page:
        await here.sign_in(page, party, "first@named.example")
        assert urlsplit(page.url).path == f"/console/{FIRST_PAGE[party]}"
        assert party in await page.locator(".who").inner_text()
        kept = {each["name"]: each for each in await page.context.cookies(here.console(party))}
        assert kept[cookie_of(here, party)]["sameSite"] == "Strict"
        assert cookie_of(here, party, "-coming") not in kept


async def test_a_sign_in_of_another_person_asks_first(here: Signing, browser: Browser) -> None:
    """In a real browser, which sends the cookies of both sessions only from the console's own page."""
    await here.permit(POLICE, "stays@named.example", Role.ANALYST)
    await here.permit(OTHER_POLICE, "comes@named.example", Role.ANALYST)
    async with at_browser(browser) as page:
        await here.sign_in(page, POLICE, "stays@named.example")
        await page.goto(f"{here.console(OTHER_POLICE)}/console/sign-in/{OTHER_POLICE}?anew")
        await here.typed(page, "comes@named.example")
        await page.get_by_role("heading", name="Switch to another account?").wait_for()
        await page.get_by_role("button", name="Stay signed in").click()
        await page.wait_for_url("**/console/attention")
        assert POLICE in await page.locator(".who").inner_text()


async def test_somebody_without_a_role_sees_their_own_opaque_name_and_has_no_session(here: Signing) -> None:
    async with here.bare() as client:
        answer = await here.come(client, POLICE, "stranger@named.example")
        assert answer.status_code == 403
        assert "stranger" not in answer.text
        assert cookie_of(here, POLICE) not in client.cookies
    assert await here.actor(POLICE, "stranger@named.example") != await here.actor(
        OTHER_POLICE, "stranger@named.example"
    )


async def test_what_is_asked_of_a_provider_is_bound_to_this_attempt(here: Signing) -> None:
    async with here.bare() as client:
        answer = await client.get(f"{here.console(POLICE)}/console/sign-in/{POLICE}")
        assert answer.status_code == 303
        asked = parse_qs(urlsplit(answer.headers["location"]).query)
        assert (asked["code_challenge_method"], asked["scope"]) == (["S256"], ["openid"])
        other = await client.get(f"{here.console(POLICE)}/console/sign-in/{POLICE}")
        again = parse_qs(urlsplit(other.headers["location"]).query)
        for name in ("state", "nonce", "code_challenge"):
            assert len(asked[name][0]) == 43
            assert asked[name] != again[name]
        cookie = answer.headers["set-cookie"]
        assert re.match(r"causeway-coming-[0-9]+=[^;]+; HttpOnly; Max-Age=600; Path=/; SameSite=lax$", cookie)


async def test_an_answer_is_taken_once_and_by_who_began(here: Signing) -> None:
    await here.permit(POLICE, "once@named.example", Role.VIEWER)
    async with here.bare() as client, here.bare() as other:
        stopped = await here.come(client, POLICE, "once@named.example", stop_at="/console/signed-in")
        address = stopped.headers["location"]
        elsewhere = await other.get(address)
        assert (elsewhere.status_code, "sign_in_expired" in elsewhere.text) == (400, True)
        kept = client.cookies[cookie_of(here, POLICE, "-coming")]
        assert (await client.get(address)).status_code == 200
        for cookies in ({}, {cookie_of(here, POLICE, "-coming"): kept}):
            other.cookies.clear()
            other.cookies.update(cookies)
            again = await other.get(address)
            assert again.status_code in (400, 403)
            assert cookie_of(here, POLICE) not in other.cookies


@pytest.mark.parametrize("changed", ["state", "code", "iss"])
async def test_an_answer_that_was_changed_opens_nothing(changed: str, here: Signing) -> None:
    async with here.bare() as client:
        stopped = await here.come(client, POLICE, "once@named.example", stop_at="/console/signed-in")
        parts = urlsplit(stopped.headers["location"])
        said = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert {"state", "code", "iss"} <= set(said)
        broken = urlencode(said | {changed: said[changed][::-1]})
        answer = await client.get(parts._replace(query=broken).geturl())
        assert answer.status_code in (400, 403)
        assert cookie_of(here, POLICE) not in client.cookies


async def test_an_attempt_at_one_party_is_no_way_into_another(here: Signing) -> None:
    """The cookie names the party, and state, nonce and verifier are hashes of it."""
    async with here.bare() as client:
        stopped = await here.come(client, POLICE, "once@named.example", stop_at="/console/signed-in")
        kept = client.cookies[cookie_of(here, POLICE, "-coming")]
        client.cookies.clear()
        client.cookies.set(cookie_of(here, POLICE, "-coming"), kept.replace(POLICE, OTHER_POLICE))
        answer = await client.get(stopped.headers["location"])
        assert (answer.status_code, "sign_in_expired" in answer.text) == (400, True)


async def test_a_party_with_a_provider_has_no_other_way_in(here: Signing, exchange: Exchange) -> None:
    url = await link(exchange, POLICE, person="by-link")
    path = urlsplit(url).path
    async with here.bare() as client:
        base = here.console(POLICE)
        answer = await client.post(f"{base}{path}", headers={"Origin": base})
        assert answer.status_code == 401
        assert cookie_of(here, POLICE) not in client.cookies


async def test_a_role_that_changes_or_ends_counts_from_the_next_request_on(here: Signing) -> None:
    actor = await here.permit(POLICE, "changes@named.example", Role.ANALYST)
    console = f"{here.console(POLICE)}/console"
    async with here.bare() as client:
        await here.come(client, POLICE, "changes@named.example")
        assert "analyst" in (await client.get(f"{console}/settings")).text
        await give_role(here.site, POLICE, actor, role=Role.VIEWER)
        assert "viewer" in (await client.get(f"{console}/settings")).text
        found = re.search(r"/console/(live[?]after=[0-9]+)", (await client.get(f"{console}/inbox")).text)
        assert found is not None
        waiting = asyncio.create_task(client.get(f"{console}/{found[1]}"))
        # This request is sent later, on another connection. When it is answered, the first one is waiting.
        assert (await client.get(f"{console}/settings")).status_code == 200
        await end_role(here.site, POLICE, actor, at=SystemClock().now())
        assert (await client.get(f"{console}/settings")).status_code == 401
        assert (await waiting).status_code == 401


async def test_a_record_opens_after_a_fresh_sign_in(here: Signing, subjects: Subjects, browser: Browser) -> None:
    await here.permit(POLICE, "opens@named.example", Role.ANALYST)
    async with at_browser(browser) as page:
        await here.sign_in(page, POLICE, "opens@named.example")
        subject = f"{here.console(POLICE)}/console/inbox/{subjects.referral}"
        await _long_ago(here)
        await page.goto(subject)
        await page.get_by_label("Why do you need the record?").select_option("take_up")
        await page.get_by_role("button", name="Open the record").click()
        await page.get_by_role("link", name="Sign in again").wait_for()
        await page.wait_for_load_state()
        assert "proof_too_old" in await page.content()
        assert subjects.place not in await page.content()
        await page.get_by_role("link", name="Sign in again").click()
        await here.typed(page, "opens@named.example")
        await page.wait_for_url(subject)
        await page.get_by_label("Why do you need the record?").select_option("take_up")
        await page.get_by_role("button", name="Open the record").click()
        await page.get_by_role("heading", name="Record", exact=True).wait_for()
        await page.wait_for_load_state()
        assert subjects.place in await page.content()


async def test_nothing_of_a_person_is_kept_or_logged(here: Signing) -> None:
    """Names, addresses and subjects stay with the provider. So do codes and tokens."""
    await here.permit(POLICE, "canary-subject@named.example", Role.VIEWER)
    async with here.bare() as client:
        assert (await here.come(client, POLICE, "canary-subject@named.example")).status_code == 200
    words = ("canary-subject", "named.example", "Somebody Named", "code=", "code%3D")
    for instance in ("law_enforcement", "law_enforcement-sign-in"):
        spans = here.exchange.spans_file(instance)
        texts = [here.exchange.processes[instance].log_tail(10**6), spans.read_text() if spans.exists() else ""]
        assert texts[0]
        assert not [word for word in words for text in texts if word in text]
    admin = await here.exchange.admin("law_enforcement")
    for table in ("console_account", "console_session"):
        rows = await admin.fetch(f"SELECT t::text AS row FROM {table} AS t")
        assert rows
        assert not [word for word in words for row in rows if word in row["row"]]
    await admin.close()


async def _long_ago(here: Signing) -> None:
    admin = await here.exchange.admin("law_enforcement")
    await admin.execute("UPDATE console_session SET authenticated_at = authenticated_at - interval '16 minutes'")
    await admin.close()


async def test_one_person_is_no_second_one_by_whatever_way_they_come(here: Signing) -> None:
    """On the page, with a key of their own, and with a key that belongs to no person."""
    first = await here.permit(HOTLINE, "files@named.example", Role.ANALYST)
    await here.permit(HOTLINE, "releases@named.example", Role.ANALYST)
    mine = await issue(here.site, HOTLINE, role=Role.ANALYST, person=first)
    nobody = await issue(here.site, HOTLINE, role=Role.ANALYST)
    console = here.console(HOTLINE)
    async with here.bare() as client:
        headers = {"Authorization": f"Bearer {mine.key}", "Idempotency-Key": "two-people-1"}
        filed = await client.post(f"{console}/v1/referrals", json=over_budget(referral()), headers=headers)
        assert filed.status_code == 202, filed.text
        found = filed.json()["referral_id"]
        for key, code in ((mine.key, "second_person_needed"), (nobody.key, "forbidden")):
            headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": f"two-people-{code}"}
            answer = await client.post(f"{console}/v1/referrals/{found}:release", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, code)
    for person, code in (("files@named.example", "second_person_needed"), ("releases@named.example", None)):
        async with here.bare() as client:
            await here.come(client, HOTLINE, person)
            page = f"{console}/console/referrals/{found}"
            said = {"csrf": await csrf_of(client, page), "once": f"two-people-{person.partition('@')[0]}"}
            answer = await client.post(f"{page}/act/release", data=said, headers={"Origin": console})
            assert answer.status_code == (403 if code else 303)
            assert ("a second person must" in answer.text) == bool(code)
    await end_role(here.site, HOTLINE, first, at=SystemClock().now())
    async with here.bare() as client:
        headers = {"Authorization": f"Bearer {mine.key}"}

        async def is_over() -> bool:
            return (await client.get(f"{console}/v1/referrals", headers=headers)).status_code == 401

        await until(is_over, seconds_max=60)
