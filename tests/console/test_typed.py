"""Typed input survives the end of a session, in the same browser and for the same user only."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.console.browser import Visit, visiting
from tests.console.console_users import link, sign_in
from tests.console.interactions import fill_in
from tests.console.pages import violations
from tests.support.running import HOTLINE, PROVIDER, Exchange

PLACE = f"https://images.{PROVIDER}/gallery/typed-and-kept"


async def sent_without_a_session(visit: Visit, exchange: Exchange, reference: str) -> Page:
    """Fill in a form, and send it after the session has ended."""
    root = await sign_in(visit, exchange, HOTLINE, person="Tess Maas")
    await visit.go(f"{root}/new")
    await fill_in(visit.page, reference, location=PLACE)
    await visit.context.clear_cookies()
    await visit.page.get_by_role("button", name="File the referral").click()
    await expect(visit.page.get_by_text("Your text is not lost")).to_be_visible()
    assert PLACE not in await visit.page.content()
    return visit.page


async def come_back(visit: Visit, exchange: Exchange, person: str) -> None:
    """Sign in in another tab of the same browser."""
    tab = await visit.context.new_page()
    await tab.goto(await link(exchange, HOTLINE, person=person))
    await tab.get_by_role("button", name="Sign in").click()
    await tab.wait_for_url(lambda address: "/in/" not in address)
    await tab.close()


@pytest.mark.parametrize("script", [True, False], ids=["with a script", "without a script"])
async def test_a_form_comes_again_to_whoever_has_typed_it(script: bool, exchange: Exchange, browser: Browser) -> None:
    reference = f"typed-{script}"
    async with visiting(browser, script=script) as visit:
        page = await sent_without_a_session(visit, exchange, reference)
        await come_back(visit, exchange, "Tess Maas")
        await page.reload()
        await expect(page.get_by_text("You have signed in again.")).to_be_visible()
        await expect(page.get_by_label("Locations")).to_have_value(PLACE)
        await expect(page.get_by_label("Your reference")).to_have_value(reference)
        assert not script or await violations(page) == []
        await page.get_by_role("button", name="File the referral").click()
        await expect(page.get_by_role("status").filter(has_text="Done: filed")).to_be_visible()
        assert visit.foreign == []


async def test_nobody_else_at_the_same_browser_is_shown_it(exchange: Exchange, browser: Browser) -> None:
    async with visiting(browser) as visit:
        page = await sent_without_a_session(visit, exchange, "typed-by-another")
        await come_back(visit, exchange, "Noor Smit")
        await page.reload()
        await expect(page.get_by_text("form_foreign")).to_be_visible()
        assert PLACE not in await page.content()


async def test_nothing_of_it_is_kept(exchange: Exchange, browser: Browser) -> None:
    """It is stored neither in the database nor by the browser, except in the page itself."""
    async with visiting(browser) as visit:
        page = await sent_without_a_session(visit, exchange, "typed-and-left")
        assert await page.evaluate("localStorage.length + sessionStorage.length") == 0
        assert not [each for each in await visit.context.cookies() if "typed" in str(each)]
    async with exchange.http(HOTLINE) as client:
        found = (await client.get("/v1/referrals", params={"reference": "typed-and-left"})).json()
        assert found["items"] == []
