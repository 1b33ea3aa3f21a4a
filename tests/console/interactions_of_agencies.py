"""Interactions of agencies at their consoles, except accepting and declining: rows of the table."""

from __future__ import annotations

from typing import Final

from playwright.async_api import Page, expect

from shared.core.clock import SystemClock
from tests.console.interaction import CASE, Interaction, act, post, posted, refused, reveals
from tests.console.pages import Subjects
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange

OTHER_AGENCY: Final = "police-de.example"
UNTIL: Final = "2040-01-01"


async def wanted(exchange: Exchange, own: Subjects) -> Subjects:
    """Let the agency request preservation at the provider."""
    said = {
        "provider": PROVIDER,
        "kind": "preserve",
        "instrument": "budapest",
        "until": UNTIL,
        "locations": [{"kind": "url", "value": f"https://images.{PROVIDER}{own.place}"}],
        "order_reference": "PL-17",
    }
    answer = await post(exchange, AGENCY, "/v1/preservations", said)
    return own._replace(more=answer["preservation_id"])


async def hands_over_at_the_end_of_a_shift(page: Page, own: Subjects) -> None:
    """Select claimed cases in the list and hand them over in one act, to the next officer."""
    await act("Claim", "Claim", "Done: claim")(page, own)
    await page.goto(f"{page.url.partition('/console')[0]}/console/inbox?claimed=mine")
    await page.get_by_label(f"Choose referral {own.referral[-8:]}").check()
    await page.get_by_role("button", name="Hand over…").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Hand over 1?")
    await page.get_by_role("button", name="Hand over all 1").click()
    await expect(page.locator("tbody")).to_contain_text("done")
    await page.goto(f"{page.url.partition('/console')[0]}/console/inbox?claimed=mine")
    await expect(page.locator("main")).not_to_contain_text(own.referral[-8:])


async def takes_a_break(page: Page, own: Subjects) -> None:
    """Follow the reminder of a break. Claimed cases stay claimed."""
    await act("Claim", "Claim", "Done: claim")(page, own)
    await page.get_by_role("link", name="Settings").click()
    await page.get_by_label("Remind me of a break").select_option("50")
    await page.get_by_role("button", name="Keep this").click()
    await expect(page.get_by_label("Remind me of a break")).to_have_value("50")
    # Set the cookie as it would be an hour later.
    (kept,) = [each for each in await page.context.cookies() if each.get("name") == "causeway-break"]
    hour_ago = int(SystemClock().now().timestamp()) - 3600
    again = {"name": kept["name"], "value": f"50.{hour_ago}", "domain": kept["domain"], "path": "/"}
    await page.context.add_cookies([again])  # type: ignore[list-item]
    await page.reload()
    await page.get_by_role("complementary", name="Break").get_by_role("link", name="A break").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("A break")
    await page.get_by_role("button", name="Go on").click()
    await expect(page.get_by_role("complementary", name="Break")).to_have_count(0)
    await page.goto(f"{page.url.partition('/console')[0]}/console/inbox/{own.referral}")
    await expect(page.locator(".sum").first).to_contain_text("by you until")


async def asks_for_preservation(page: Page, own: Subjects) -> None:
    place = f"https://images.{PROVIDER}{own.place}"
    await page.get_by_role("link", name="Ask a provider to preserve data").click()
    await page.get_by_label("Provider").fill(PROVIDER)
    await page.get_by_label("Kind", exact=True).select_option("preserve")
    await page.get_by_label("Instrument").select_option("budapest")
    await page.get_by_label("Locations").fill(place)
    await page.get_by_role("button", name="Ask the provider").click()
    await expect(page.get_by_role("alert")).to_contain_text("There is a problem")
    await expect(page.get_by_label("Locations")).to_have_value(place)
    await page.get_by_label("Until").fill(UNTIL)
    await page.get_by_role("button", name="Ask the provider").click()
    await expect(page.get_by_role("status").filter(has_text="Done: submit")).to_be_visible()
    assert own.place not in await page.content()


async def exports(page: Page, own: Subjects) -> None:
    assert own.place not in await page.content()
    await page.get_by_label("Why do you need the record?").select_option("lawful_request")
    async with page.expect_download() as coming:
        await page.get_by_role("button", name="Export as TS 103 120").click()
    written = (await (await coming.value).path()).read_text(encoding="utf-8")
    assert "<?xml" in written
    assert own.place in written


async def sees_the_answer(page: Page, own: Subjects) -> None:
    await expect(page.locator("tbody")).to_contain_text("item 1: not permitted")


OF_AGENCIES: Final = (
    Interaction(
        "an officer is told that another one has the case",
        *CASE,
        refused("Accept", "Accept", "case_claimed"),
        ready=[posted(AGENCY, "/v1/cases/{referral}:claim", {"hours": 8})],
    ),
    Interaction("an officer hands over at the end of a shift", *CASE, hands_over_at_the_end_of_a_shift),
    Interaction("an officer takes a break and keeps the case", *CASE, takes_a_break),
    Interaction(
        "an agency refers a case to another one",
        *CASE,
        act("Refer", "Refer", "Done: refer", chosen={"Reason": "suspect_elsewhere"}, said={"Agency": OTHER_AGENCY}),
    ),
    Interaction(
        "an agency asks its origin", *CASE, act("Ask", "Ask", "Done: ask", said={"About": "1"}, ticked=["why illegal"])
    ),
    Interaction(
        "an agency sees what its origin answers",
        *CASE,
        sees_the_answer,
        ready=[
            posted(AGENCY, "/v1/cases/{referral}:ask", {"about": [1], "needs": ["why_illegal"]}),
            posted(
                HOTLINE,
                "/v1/referrals/{referral}:reply",
                {"party": AGENCY, "question": 1, "replied": [{"reply": "not_permitted"}]},
            ),
        ],
    ),
    Interaction("an agency asks a provider to keep something", AGENCY, "preservations", asks_for_preservation),
    Interaction("an agency exports a preservation", AGENCY, "preservations/{more}", exports, ready=[wanted]),
    Interaction("an agency opens a preservation for a reason", AGENCY, "preservations/{more}", reveals, ready=[wanted]),
    Interaction(
        "an agency takes back what it has asked",
        AGENCY,
        "preservations/{more}",
        act("Withdraw", "Withdraw", "Done: withdraw", chosen={"Reason": "no_longer_necessary"}),
        ready=[wanted],
    ),
)
