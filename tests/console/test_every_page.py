"""Every page: accessible, in light and dark mode, on a small screen, and without requests to other sites."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.async_api import Browser

from tests.console.browser import MEND, NARROW, chromium_path, visiting
from tests.console.console_users import sign_in
from tests.console.pages import BYTES_MAX, PAGES, Subjects, filled, overflow_px, violations
from tests.support.running import Exchange, until

PARTIES = sorted({page.party for page in PAGES})


@pytest.mark.parametrize("party", PARTIES)
async def test_no_page_shuts_out(party: str, exchange: Exchange, browser: Browser, subjects: Subjects) -> None:
    wrong: list[str] = []
    async with visiting(browser) as visit:
        root = await sign_in(visit, exchange, party)
        for path in (page.path for page in PAGES if page.party == party):
            await visit.go(f"{root}/{filled(path, subjects)}")
            # Folded parts are examined, too.
            await visit.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            for scheme in ("light", "dark"):
                await visit.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                wrong += [f"{path}, {scheme}: {each}" for each in await violations(visit.page)]
    assert wrong == []


async def test_what_shuts_somebody_out_is_found(exchange: Exchange, browser: Browser) -> None:
    async with visiting(browser) as visit:
        root = await sign_in(visit, exchange, PARTIES[0])
        await visit.go(f"{root}/settings")
        await visit.page.evaluate("document.querySelector('main').innerHTML += '<input><h6>x</h6>'")
        assert {each.partition(" ")[0] for each in await violations(visit.page)} >= {"label", "heading-order"}


@pytest.mark.parametrize("party", PARTIES)
async def test_every_page_fits_a_small_screen_is_small_and_asks_nobody_else(
    party: str, exchange: Exchange, browser: Browser, subjects: Subjects, record_property: Callable[[str, object], None]
) -> None:
    async with visiting(browser, viewport=NARROW) as visit:
        root = await sign_in(visit, exchange, party)
        most = 0
        for path in (page.path for page in PAGES if page.party == party):
            answer = await visit.page.goto(f"{root}/{filled(path, subjects)}")
            assert answer is not None
            assert await overflow_px(visit.page) <= 0, path
            most = max(most, len(body := await answer.body()))
            # The interactions have the control: once the record is opened, the page contains the location.
            assert subjects.place.encode() not in body, path
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'")
            assert "unsafe" not in policy
            assert "*" not in policy
            if path == "nowhere":
                visit.errors.clear()  # the browser's own error about the missing page
        record_property("page_bytes_max", most)
        assert most <= BYTES_MAX
        visit.faultless()


async def test_what_is_asked_elsewhere_is_found_and_does_not_get_there(exchange: Exchange, browser: Browser) -> None:
    async with visiting(browser) as visit:
        root = await sign_in(visit, exchange, PARTIES[0])
        await visit.go(f"{root}/settings")
        await visit.page.evaluate("fetch('https://elsewhere.example/').catch(() => 0)")

        async def found() -> bool:
            return any("Content Security Policy" in each for each in visit.errors)

        await until(found, seconds_max=60)
        assert visit.foreign == []


def test_a_machine_without_a_browser_is_told_how_to_get_one() -> None:
    with pytest.raises(FileNotFoundError, match="apt-get install chromium") as raised:
        chromium_path({"CAUSEWAY_CHROMIUM": "/nowhere/chromium"})
    assert str(raised.value) == MEND
