"""Views of an amendment: the earlier value next to the present one, if the user's party has both."""

from __future__ import annotations

from typing import Final

from playwright.async_api import Page, expect

from shared.core.ids import uuid7
from tests.console.interaction import CASE, NOTICE, REFERRAL, Interaction, at_risk, posted
from tests.console.pages import Subjects
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange

MORE: Final = "/one-more"


async def amended(exchange: Exchange, own: Subjects) -> Subjects:
    """Let the hotline amend the media kind to video and add a second place."""
    async with exchange.http(HOTLINE) as client:
        shown = (await client.get(f"/v1/referrals/{own.referral}")).json()
        filing = at_risk() | {"external_ref": shown["external_ref"], "media_kind": "video"}
        (first,) = filing["items"]
        place = f"https://images.{PROVIDER}{own.place}"
        items = [first | {"locator": {"kind": "url", "value": each}} for each in (place, f"{place}{MORE}")]
        headers = {"If-Match": '"1"', "Idempotency-Key": str(uuid7())}
        answer = await client.post(
            f"/v1/referrals/{own.referral}:amend", json=filing | {"items": items}, headers=headers
        )
        assert answer.status_code == 202, answer.text
    return own


async def compares(page: Page, own: Subjects, *, button: str) -> None:
    """Compare, after checking that nothing is shown before a reason is given. Each field then shows both values.

    Locations stay folded until the user unfolds them.
    """
    assert own.place not in await page.content()
    await page.get_by_label("Why do you need the record?").select_option("correct")
    await page.get_by_role("button", name=button).click()
    await expect(page.get_by_role("heading", name="What amendments have changed")).to_be_visible()
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="media kind"))
    await expect(row.get_by_role("cell")).to_have_text(["image", "video"])
    added = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="item 2 locator value"))
    await expect(added.get_by_role("cell").first).to_have_text("nothing")
    await expect(added.locator(".hidden-value")).to_be_hidden()
    await added.get_by_text("show the item 2 locator value").click()
    await expect(added.locator(".hidden-value")).to_contain_text("hxxps")
    assert await page.locator(f"a[href*='{own.place}']").count() == 0


async def compares_its_own(page: Page, own: Subjects) -> None:
    await compares(page, own, button="Compare")


async def compares_a_case(page: Page, own: Subjects) -> None:
    await compares(page, own, button="Open the record")


async def has_what_stands(page: Page, own: Subjects) -> None:
    """Check that the provider sees the present content, and that earlier content existed. The amendment erased it."""
    await expect(page.locator(".sum").first).to_contain_text("revision 2")
    await page.get_by_label("Why do you need the record?").select_option("act")
    await page.get_by_role("button", name="Open the record").click()
    await expect(page.get_by_text("was erased when revision 2 arrived")).to_be_visible()
    await expect(page.locator("dl.sum").filter(has_text="video")).to_be_visible()
    await expect(page.get_by_role("rowheader", name="media kind")).to_have_count(0)


_ACCEPTED: Final = posted(AGENCY, "/v1/cases/{referral}:accept", {})
OF_AMENDMENTS: Final = (
    Interaction("a hotline compares what it has amended", *REFERRAL, compares_its_own, ready=[amended]),
    Interaction(
        "an agency compares what was amended of a case that it has accepted",
        *CASE,
        compares_a_case,
        ready=[_ACCEPTED, amended],
    ),
    Interaction("a provider sees what stands of an amended notice", *NOTICE, has_what_stands, ready=[amended]),
)
