"""A real Chromium, driven by Playwright: the system's, or the one that CAUSEWAY_CHROMIUM names.

    python -m tests.console.browser

This installs Debian's Chromium if there is none and the user may (as root, on Debian). Otherwise it prints how to get
one, and the tests that need it fail by name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Route, async_playwright, expect

from deploy.site.settings import inherited_environment

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MEND = "no Chromium here: install it (on Debian, apt-get install chromium), or name its file in CAUSEWAY_CHROMIUM"
NARROW = {"width": 320, "height": 640}
WIDE = {"width": 1180, "height": 800}
TIMEOUT_MS = 60_000
expect.set_options(timeout=TIMEOUT_MS)


def chromium_path(environment: Mapping[str, str] | None = None) -> str:
    """Return the path of the browser. Raises `FileNotFoundError` with installation steps."""
    named = (inherited_environment() if environment is None else environment).get("CAUSEWAY_CHROMIUM")
    found = [named] if named else [shutil.which(name) for name in NAMES]
    path = next((each for each in found if each and shutil.which(each)), None)
    if path is None:
        raise FileNotFoundError(MEND)
    return path


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start the browser, without a window."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Visit:
    """A user at a browser of their own. Collects faults: `errors`, and `foreign` requests to other sites."""

    context: BrowserContext
    page: Page
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    async def go(self, address: str) -> None:
        await self.page.goto(address)

    def faultless(self) -> None:
        assert self.errors == []
        assert self.foreign == []


@asynccontextmanager
async def visiting(browser: Browser, *, script: bool = True, **options: Any) -> AsyncIterator[Visit]:
    """Open a browser context without stored state. With `script` off, the browser runs no scripts."""
    context = await browser.new_context(java_script_enabled=script, **({"viewport": WIDE} | options))
    context.set_default_timeout(TIMEOUT_MS)
    page = await context.new_page()
    visit = Visit(context, page)

    def noted(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            visit.errors.append(message.text)

    async def watched(route: Route) -> None:
        if urlsplit(route.request.url).hostname != "127.0.0.1":
            visit.foreign.append(route.request.url)
            await route.abort()
        else:
            await route.continue_()

    page.on("console", noted)
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    await context.route("**/*", watched)
    try:
        yield visit
    finally:
        await context.close()


def provide() -> None:
    """Install a browser if that needs no permission of a user. Blocks."""
    try:
        chromium_path()
    except FileNotFoundError as error:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            sys.stderr.write(f"{error}\n")
            return
        sys.stderr.write("installing Chromium with apt-get (about 100 MB, once)\n")
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core"]):
            subprocess.run(["apt-get", "--quiet", *words], check=True, stdout=subprocess.DEVNULL, timeout=900)


if __name__ == "__main__":
    provide()
