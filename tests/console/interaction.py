"""An interaction at a console, and its usual steps: open an act, fill in its form, and send it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from playwright.async_api import Page, expect

from shared.core.ids import uuid7
from tests.console.pages import AUDITOR, Subjects
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange, referral

Words = Mapping[str, str]
NOTHING: Final[Words] = MappingProxyType({})
#: An Australian hotline. Its own police may hold its notices for a window.
WINDOWED: Final = "hotline-au.example"
Steps = Callable[[Page, Subjects], Awaitable[None]]
#: Acts of others over the API before the interaction begins. Their results are in the subjects.
Ready = Callable[[Exchange, Subjects], Awaitable[Subjects]]


class Filed(NamedTuple):
    """The starting point of an interaction: a referral of this party."""

    party: str
    filing: Callable[[], dict[str, Any]]


def at_risk() -> dict[str, Any]:
    """Return a referral of a child at risk that all three kinds of recipients receive."""
    return referral(priority={"level": "p0_child_at_risk", "basis": ["imminent_harm"]})


def _windowed() -> dict[str, Any]:
    filing = referral(user_jurisdictions=["AU"])
    (item,) = filing["items"]
    item |= {"hosting": [{"provider": PROVIDER, "method": "stated"}]}
    del item["assessments"], item["site_type"]
    return filing


def _orphan() -> dict[str, Any]:
    filing = referral()
    (item,) = filing["items"]
    item |= {"hosting": [{"jurisdiction": "SG", "method": "stated"}]}
    item["locator"]["value"] = item["locator"]["value"].replace(f"images.{PROVIDER}", "images.example")
    return filing


HOSTED: Final = Filed(HOTLINE, at_risk)
HELD: Final = Filed(WINDOWED, _windowed)
ORPHAN: Final = Filed(HOTLINE, _orphan)
#: A party, and the path of a subject at its console.
REFERRAL: Final = HOTLINE, "referrals/{referral}"
CASE: Final = AGENCY, "inbox/{referral}"
NOTICE: Final = PROVIDER, "notices/{notice}"
FLOW: Final = AUDITOR, "flows/{referral}"


class Interaction(NamedTuple):
    """One interaction. `at` is the page where it begins, below /console.

    The steps of `ready` are done in order before, each after the messages of the one before have arrived. `alone`: its
    referral is submitted separately, so that it comes first in lists.
    """

    name: str
    party: str
    at: str
    steps: Steps
    filed: Filed = HOSTED
    ready: Sequence[Ready] = ()
    alone: bool = False


def act(
    name: str, button: str, seen: str, *, chosen: Words = NOTHING, said: Words = NOTHING, ticked: Sequence[str] = ()
) -> Steps:
    """Return steps that open an act, fill in its form by the labels, send it, and check its confirmation."""

    async def steps(page: Page, _: Subjects) -> None:
        await fill(page, name, button, chosen=chosen, said=said, ticked=ticked)
        await expect(page.get_by_role("status").filter(has_text=seen)).to_be_visible()

    return steps


def refused(name: str, button: str, code: str, *, chosen: Words = NOTHING, said: Words = NOTHING) -> Steps:
    """Return steps for an act that is refused. The error summary shows the code, and the input stays."""

    async def steps(page: Page, _: Subjects) -> None:
        await fill(page, name, button, chosen=chosen, said=said)
        await expect(page.get_by_role("alert")).to_contain_text(code)

    return steps


async def fill(
    page: Page, name: str, button: str, *, chosen: Words = NOTHING, said: Words = NOTHING, ticked: Sequence[str] = ()
) -> None:
    """Open an act by the beginning of its name, fill in its form, and send it."""
    form = page.locator("details.act").filter(has=page.locator(f"summary:text-matches('^{name}')")).first
    if await form.get_attribute("open") is None:
        await form.locator("summary").click()
    for label, value in chosen.items():
        await form.get_by_label(label).first.select_option(value)
    for label, value in said.items():
        await form.get_by_label(label).first.fill(value)
    for label in ticked:
        await form.get_by_label(label, exact=True).check()
    await form.get_by_role("button", name=button, exact=True).click()


async def reveals(page: Page, subjects: Subjects) -> None:
    place = subjects.place
    assert place not in await page.content()
    await page.get_by_label("Why do you need the record?").select_option("act")
    await page.get_by_role("button", name="Open the record").click()
    await page.get_by_text("show the location").first.click()
    shown = page.locator(".hidden-value").first
    await expect(shown).to_contain_text(place)
    await expect(shown).to_contain_text("hxxps")
    assert await page.locator(f"a[href*='{place}']").count() == 0


def posted(party: str, path: str, body: object = None) -> Ready:
    """Return a preparation in which `party` posts to `path`, filled with the subjects."""

    async def ready(exchange: Exchange, own: Subjects) -> Subjects:
        await post(exchange, party, path.format(**own._asdict()), body)
        return own

    return ready


async def post(exchange: Exchange, party: str, path: str, body: object = None) -> Any:
    """Post; return the answer."""
    async with exchange.http(party) as client:
        answer = await client.post(path, json=body, headers={"Idempotency-Key": str(uuid7())})
        assert answer.status_code == 202, answer.text
        return answer.json()
