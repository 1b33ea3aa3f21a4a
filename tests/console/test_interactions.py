"""Each interaction of the table, with a script and without. The resulting pages are accessible, too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

import pytest
from playwright.async_api import Browser

from tests.console.browser import visiting
from tests.console.console_users import all_delivered, delivered, sign_in
from tests.console.interaction import Interaction
from tests.console.interactions import INTERACTIONS
from tests.console.pages import AUDITOR, WHY, Subjects, filled, violations
from tests.support.running import AGENCY, HOTLINE, Exchange, referral


@pytest.fixture(scope="module")
async def prepared(request: pytest.FixtureRequest, exchange: Exchange, subjects: Subjects) -> Mapping[str, Subjects]:
    """Prepare the subjects of each test by its id. They are submitted together, to wait only once."""
    wanted = {name: each for name, each in _chosen(request.session) if not each.alone}
    filed = await all_delivered(exchange, [(each.filed.party, each.filed.filing()) for each in wanted.values()])
    own = {name: found._replace(webhook=subjects.webhook) for name, found in zip(wanted, filed, strict=True)}
    for stage in range(max((len(each.ready) for each in wanted.values()), default=0)):
        for name, each in wanted.items():
            if stage < len(each.ready):
                own[name] = await each.ready[stage](exchange, own[name])
        await exchange.until_taken()
    await exchange.until_audited()
    return own


def _chosen(session: pytest.Session) -> Iterator[tuple[str, Interaction]]:
    """Yield the interactions of this run, with the ids of their tests."""
    for item in session.items:
        found = getattr(item, "callspec", None)
        interaction = None if found is None else found.params.get("interaction")
        if isinstance(interaction, Interaction):
            yield item.nodeid, interaction


@pytest.mark.parametrize(
    "script",
    [pytest.param(True, marks=pytest.mark.long, id="with a script"), pytest.param(False, id="without a script")],
)
@pytest.mark.parametrize("interaction", INTERACTIONS, ids=lambda each: each.name)
async def test_an_interaction(
    interaction: Interaction,
    script: bool,
    exchange: Exchange,
    browser: Browser,
    prepared: Mapping[str, Subjects],
    request: pytest.FixtureRequest,
) -> None:
    own = prepared.get(request.node.nodeid)
    if own is None:
        own = await delivered(exchange, interaction.filed.filing(), party=interaction.filed.party)
        for ready in interaction.ready:
            own = await ready(exchange, own)
        await exchange.until_taken()
        await exchange.until_audited()
    async with visiting(browser, script=script, accept_downloads=True) as visit:
        root = await sign_in(visit, exchange, interaction.party)
        await visit.go(f"{root}/{filled(interaction.at, own)}")
        await interaction.steps(visit.page, own)
        assert visit.foreign == []
        # The answer to a form is a page without style rules of its own.
        assert not script or await violations(visit.page) == []


def test_the_table_has_enough_of_them() -> None:
    assert len({each.name for each in INTERACTIONS}) == len(INTERACTIONS) >= 60


async def test_rows_come_by_themselves_while_a_list_is_open(exchange: Exchange, browser: Browser) -> None:
    async with visiting(browser) as visit:
        root = await sign_in(visit, exchange, HOTLINE)
        await visit.go(f"{root}/referrals")
        async with visit.page.expect_request("**/console/live*"):
            pass
        async with exchange.client(HOTLINE) as client:
            filed = await client.submit(referral(external_ref="comes-by-itself"))
        await visit.page.get_by_role("link", name="comes-by-itself").wait_for()
        assert "new since you opened this page" in await visit.page.get_by_role("status").first.inner_text()
        visit.faultless()
    assert filed.referral_id


async def test_keys_move_through_a_list_and_leave(exchange: Exchange, browser: Browser, subjects: Subjects) -> None:
    await exchange.until_taken()  # so that the list is not updated meanwhile
    async with visiting(browser) as visit:
        root = await sign_in(visit, exchange, HOTLINE)
        await visit.go(f"{root}/referrals")
        await visit.page.keyboard.press("j")
        first = await visit.page.evaluate("document.activeElement.href")
        await visit.page.keyboard.press("j")
        assert first != await visit.page.evaluate("document.activeElement.href")
        await visit.page.keyboard.press("k")
        assert first == await visit.page.evaluate("document.activeElement.href")
        # The three keys follow each other without waiting.
        await asyncio.gather(*(visit.page.keyboard.press("Escape") for _ in range(3)))
        await visit.page.wait_for_url("**/console/blank")
        visit.faultless()


async def test_shortcuts_that_are_off_do_nothing(exchange: Exchange, browser: Browser, subjects: Subjects) -> None:
    async with visiting(browser) as visit:
        root = await sign_in(visit, exchange, HOTLINE)
        await visit.go(f"{root}/settings")
        await visit.page.get_by_role("button", name="Turn them off").click()
        await visit.page.get_by_text("Keyboard shortcuts are off").wait_for()
        await visit.go(f"{root}/referrals")
        before = await visit.page.evaluate("document.activeElement.tagName")
        await visit.page.keyboard.press("j")
        assert before == await visit.page.evaluate("document.activeElement.tagName")


async def test_where_it_would_go_appears_while_typing(exchange: Exchange, browser: Browser, subjects: Subjects) -> None:
    async with visiting(browser) as visit:
        root = await sign_in(visit, exchange, HOTLINE)
        await visit.go(f"{root}/new")
        await visit.page.get_by_label("Your reference").fill("typing")
        await visit.page.locator("#preview").get_by_text("would be refused").wait_for()
        assert visit.page.url.endswith("/new")
        visit.faultless()


async def test_audit_is_told_who_opened_it_and_why(exchange: Exchange, browser: Browser, subjects: Subjects) -> None:
    async with visiting(browser) as visit:
        root = await sign_in(visit, exchange, AGENCY)
        await visit.go(f"{root}/inbox/{subjects.referral}")
        await visit.page.get_by_label("Why do you need the record?").select_option("lawful_request")
        await visit.page.get_by_role("button", name="Open the record").click()
        await visit.page.get_by_text("show the location").first.wait_for()
    await exchange.until_taken()
    await exchange.until_audited()
    async with visiting(browser) as visit:
        root = await sign_in(visit, exchange, AUDITOR)
        await visit.go(f"{root}/flows/{subjects.referral}?{WHY}")
        assert f"for {AGENCY}: lawful request" in await visit.page.locator("tbody").inner_text()
        assert subjects.place not in await visit.page.content()
        visit.faultless()
