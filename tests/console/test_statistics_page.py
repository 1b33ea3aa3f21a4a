"""The page of a month, in a browser: accessible, and on a small screen."""

from __future__ import annotations

from collections import Counter

from playwright.async_api import Browser

from deploy.statistics.figures import Figures, Measure, Month
from deploy.statistics.publication import files_of
from tests.console.browser import NARROW, visiting
from tests.console.pages import overflow_px, violations
from tests.support import exchange_world
from tests.support.builders import POLICE, PROVIDER


def month() -> str:
    origins = [f"hotline-{letter}.example" for letter in "abc"]
    figures = Figures(gone=Counter(dict.fromkeys(origins, 6)))
    for measure in Measure:
        for origin in origins:
            figures.add(measure, 90, 4, origin=origin)
    directory = exchange_world.world().documents.directory
    return files_of(Month(2026, 10), {PROVIDER: figures, POLICE: figures}, directory)["2026-10.html"].decode()


async def test_the_page_of_a_month_shuts_nobody_out(browser: Browser) -> None:
    async with visiting(browser, viewport=NARROW) as visit:
        await visit.page.set_content(month())
        assert await visit.page.get_by_role("cell", name="12").count() > 10
        for scheme in ("light", "dark"):
            await visit.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert await violations(visit.page) == []
        assert await overflow_px(visit.page) <= 0
        visit.faultless()
