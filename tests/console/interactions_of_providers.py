"""Interactions of providers at their consoles: several notices about one place, and questions."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from playwright.async_api import Page, expect

from shared.core.clock import SystemClock
from tests.console.interaction import NOTICE, Interaction, act, at_risk, posted, refused
from tests.console.pages import Subjects
from tests.support.running import HOTLINE, PROVIDER, Exchange

SECOND: Final = "hotline-de.example"
UPHELD: Final = {"party": PROVIDER, "dispute": 1, "decided": [{"verdict": "conceded"}]}
DISPUTED: Final = {"disputed": [{"reason": "content_lawful", "basis": "adult_pornography"}]}


async def told_twice(exchange: Exchange, own: Subjects) -> Subjects:
    """Let another hotline report the same place."""
    filing = at_risk()
    filing["items"][0]["locator"]["value"] = f"https://images.{PROVIDER}{own.place}"
    async with exchange.client(SECOND) as client:
        await client.submit(filing)
    await exchange.until_taken()
    return own


async def answers_both(page: Page, own: Subjects) -> None:
    """Answer two notices about one location in one act. Each notifier gets the answer to its own notice."""
    both = page.locator("tbody tr").filter(has_text=SECOND).filter(has_text=HOTLINE).first
    await both.get_by_role("link").click()
    await expect(page.locator("tbody tr")).to_have_count(2)
    await page.locator("details.act summary:text-is('Answer')").click()
    form = page.locator("#answer-form")
    await form.get_by_label("Action").first.select_option("removed")
    await form.get_by_label("Effective at").first.fill("2026-05-04T11:59")
    await form.get_by_role("button", name="Answer").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Answer: results")
    await expect(page.locator("tbody")).to_contain_text(own.notice[-8:])
    await expect(page.locator("tbody .tag").filter(has_text="actioned")).to_have_count(2)


async def sees_the_verdict(page: Page, _: Subjects) -> None:
    await expect(page.locator("main")).to_contain_text("item 1: conceded")


async def counts_a_period(page: Page, _: Subjects) -> None:
    """Count a period. One that ends before it begins is refused; one with every notice is downloaded as a table."""
    await page.get_by_label("First day").fill("2026-02-02")
    await page.get_by_label("Last day").fill("2026-02-01")
    await page.get_by_role("button", name="Count").click()
    await expect(page.locator(".errsum")).to_contain_text("period_empty")
    today = SystemClock().now().date()
    await page.get_by_label("First day").fill((today - timedelta(days=300)).isoformat())
    await page.get_by_label("Last day").fill(today.isoformat())
    await page.get_by_label("Exercises only").check()
    await page.get_by_role("button", name="Count").click()
    await expect(page.locator("tbody td").first).not_to_have_text("0 (0)")
    async with page.expect_download() as taken:
        await page.get_by_role("link", name="Download as CSV").click()
    assert (await (await taken.value).path()).read_text().startswith("Applicability,Service,")


OF_PROVIDERS: Final = (
    Interaction("a provider takes its report of a period with it", PROVIDER, "report", counts_a_period),
    Interaction(
        "a provider answers two notifiers of one place at once",
        PROVIDER,
        "work-items",
        answers_both,
        ready=[told_twice],
        alone=True,
    ),
    Interaction(
        "a provider asks what it must know",
        *NOTICE,
        act("Ask", "Ask", "Done: ask", said={"About": "1"}, ticked=["why illegal"]),
    ),
    Interaction("a provider that asks nothing is told so", *NOTICE, refused("Ask", "Ask", "There is a problem")),
    Interaction(
        "a provider contests an item",
        *NOTICE,
        act("Dispute", "Dispute", "Done: dispute", chosen={"Reason": "content_lawful", "Basis": "adult_pornography"}),
    ),
    Interaction(
        "a provider sees what its notifier makes of that",
        *NOTICE,
        sees_the_verdict,
        ready=[
            posted(PROVIDER, "/v1/notices/{notice}:dispute", DISPUTED),
            posted(HOTLINE, "/v1/referrals/{referral}:uphold", UPHELD),
        ],
    ),
)
