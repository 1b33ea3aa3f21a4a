"""Interactions at the consoles, one row each: the party, the first page, the steps, and the expected result.

Every row is done with a script and without one, so a step needs only links, fields and buttons.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from itertools import count
from typing import Final

from playwright.async_api import Page, expect

from shared.core.clock import SystemClock
from tests.console.interaction import CASE, FLOW, NOTICE, REFERRAL, Interaction, act, at_risk, posted, reveals
from tests.console.interactions_of_agencies import OF_AGENCIES
from tests.console.interactions_of_amendments import OF_AMENDMENTS
from tests.console.interactions_of_origins import OF_ORIGINS
from tests.console.pages import AUDITOR, Subjects
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER, Exchange

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


#: Numbers for the submissions of this module, because references are unique.
_numbers = count(1)


async def opens_the_first(page: Page, _: Subjects) -> None:
    first = page.locator("tbody th a").first
    told = await first.inner_text()
    await first.click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(told)


async def filters(page: Page, _: Subjects) -> None:
    await page.get_by_role("navigation", name="Filter").get_by_role("link", name="child at risk").click()
    await expect(page.locator("tbody tr").first).to_contain_text("child at risk")


async def by_state(page: Page, _: Subjects) -> None:
    await page.get_by_role("navigation", name="Filter").get_by_role("link", name="declined").click()
    await expect(page).to_have_url(re.compile("state=declined$"))


async def finds_by_reference(page: Page, _: Subjects) -> None:
    reference = await page.locator("tbody th a").last.inner_text()
    await page.get_by_label("Reference").fill(reference)
    await page.get_by_role("button", name="Find").click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("tbody th a")).to_have_text(reference)
    await expect(page.get_by_label("Reference")).to_have_value(reference)


async def finds_by_sender(page: Page, _: Subjects) -> None:
    await page.get_by_label("Sent by").fill(HOTLINE)
    await page.get_by_label("From").fill("2026-01-01")
    await page.get_by_role("button", name="Find").click()
    await expect(page.locator("tbody tr").first).to_contain_text(HOTLINE)
    await page.get_by_label("Sent by").fill("nobody.example")
    await page.get_by_role("button", name="Find").click()
    await expect(page.get_by_text("There are no entries that match the filter.")).to_be_visible()


async def reveals_for_nothing(page: Page, _: Subjects) -> None:
    """Open the record without a reason, which shows nothing. Either the browser or the service reports it."""
    await page.get_by_role("button", name="Open the record").click()
    await expect(page.locator(".hidden-value")).to_have_count(0)


async def previews(page: Page, _: Subjects) -> None:
    await fill_in(page, "preview-only")
    await page.get_by_role("button", name="Show recipients").click()
    await expect(page.locator("#preview")).to_contain_text(AGENCY)
    await expect(page.get_by_label("Your reference")).to_have_value("preview-only")


async def files(page: Page, _: Subjects) -> None:
    await fill_in(page, f"filed-{next(_numbers)}")
    await page.get_by_role("button", name="File the referral").click()
    await expect(page.get_by_role("status").filter(has_text="Done: filed")).to_be_visible()
    await expect(page.get_by_text(AGENCY)).to_be_visible()


async def is_told_what_is_wrong(page: Page, _: Subjects) -> None:
    await fill_in(page, "wrong here", location="no location")
    await page.get_by_role("button", name="File the referral").click()
    summary = page.get_by_role("alert")
    await expect(summary).to_contain_text("There is a problem")
    await expect(page.get_by_label("Locations")).to_have_value("no location")
    assert (await page.title()).startswith("Error:")
    await summary.get_by_role("link").first.click()


async def fill_in(page: Page, reference: str, *, location: str = "") -> None:
    await page.get_by_label("Your reference").fill(reference)
    await page.get_by_label("Locations").fill(location or f"https://images.{PROVIDER}/gallery/77")
    await page.get_by_label("Incident kind").select_option("csam")
    await page.get_by_label("Media kind").select_option("image")
    await page.get_by_label("Seen at (UTC)").fill("2026-03-20T08:00")
    await page.get_by_label("Viewed by").select_option("human")
    await page.get_by_label("Hosted by").fill(PROVIDER)
    await page.get_by_label("Hosted in").fill("NL")
    await page.get_by_label("Classification", exact=False).first.select_option("interpol_baseline:baseline")
    await page.get_by_label("Status of the classification").select_option("final")
    await page.get_by_label("Classified under").fill("BE")


async def in_bulk(page: Page, subjects: Subjects) -> None:
    await page.get_by_label(f"Choose notice {subjects.notice[-8:]}").check()
    await page.get_by_role("button", name="Acknowledge…").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Acknowledge 1?")
    await page.get_by_role("button", name="Acknowledge all 1").click()
    await expect(page.locator("tbody")).to_contain_text("done")


async def chooses_nothing(page: Page, _: Subjects) -> None:
    await page.get_by_role("button", name="Acknowledge…").click()
    await expect(page.get_by_text("nothing_chosen")).to_be_visible()


async def adds_an_address(page: Page, _: Subjects) -> None:
    await page.get_by_label("Url").fill("http://127.0.0.1:9/hook")
    await page.get_by_role("button", name="Add the address").click()
    await expect(page.get_by_text("whsec_")).to_be_visible()


async def is_refused_an_address(page: Page, _: Subjects) -> None:
    await page.get_by_label("Url").fill("http://elsewhere.example/hook")
    await page.get_by_role("button", name="Add the address").click()
    await expect(page.get_by_role("alert")).to_contain_text("There is a problem")


async def sends_again(page: Page, _: Subjects) -> None:
    await page.get_by_role("button", name="Send again").click()
    await expect(page.get_by_role("status").filter(has_text="Done: replay")).to_be_visible()


async def sends_a_test(page: Page, _: Subjects) -> None:
    await page.get_by_role("button", name="Send a test event").click()
    await expect(page.get_by_role("status").filter(has_text="Done: test")).to_be_visible()


async def keeps_evidence(page: Page, _: Subjects) -> None:
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Evidence that it was sent").click()
    assert (await coming.value).suggested_filename.endswith("-evidence.json")


async def says_why(page: Page, subjects: Subjects) -> None:
    await page.get_by_label("Purpose").fill("yearly review")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("heading", name="Picture")).to_be_visible()
    await page.wait_for_load_state()
    assert await page.locator("svg.seq a").count() == await page.locator("tbody tr").count()


async def finds(page: Page, subjects: Subjects) -> None:
    await page.get_by_label("Purpose").fill("yearly review")
    await page.get_by_label("Party").fill(PROVIDER)
    await page.get_by_role("button", name="Search").click()
    await expect(page.locator("tbody")).to_contain_text(subjects.referral[-8:])
    await page.get_by_label("Or an id").fill(subjects.notice)
    await page.get_by_role("button", name="Search").click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.locator("tbody th a").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(subjects.referral[-8:])


async def is_told_that_a_purpose_is_missing(page: Page, _: Subjects) -> None:
    await page.goto(f"{page.url}?purpose=x")
    await expect(page.get_by_role("alert")).to_contain_text("There is a problem")


async def keeps_a_proof(page: Page, subjects: Subjects) -> None:
    await page.get_by_label("Purpose").fill("yearly review")
    await page.get_by_role("button", name="Continue").click()
    await page.locator("tbody tr td:last-child a").first.click()
    await expect(page.locator("dl").get_by_text("valid", exact=True)).to_be_visible()
    shown = await page.get_by_role("row").filter(has_text="Salt").locator("code").inner_text()
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Download the proof").click()
    kept = json.loads((await (await coming.value).path()).read_text(encoding="utf-8"))
    assert (kept["salt"], kept["signature_is"]) == (shown, "valid")


async def sees_that_the_counts_add_up(page: Page, subjects: Subjects) -> None:
    await page.get_by_label("Purpose").fill("do they add up")
    await page.get_by_role("button", name="Continue").click()
    sent = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=HOTLINE)).filter(has_text=PROVIDER)
    counts = [int(await sent.first.get_by_role("cell").nth(column).inner_text()) for column in (1, 2)]
    assert counts[0] >= counts[1] >= 1
    await expect(page.locator("tfoot")).to_contain_text("All")


async def sees_who_has_looked(page: Page, subjects: Subjects) -> None:
    await page.get_by_label("Purpose").fill("look of looks")
    await page.get_by_role("button", name="Continue").click()
    await page.goto(f"{page.url.partition('/console')[0]}/console/flows/{subjects.referral}?purpose=a+fresh+look")
    await page.goto(f"{page.url.partition('/console')[0]}/console/accesses?purpose=look+of+looks")
    rows = page.locator("tbody tr")
    await expect(rows.nth(0)).to_contain_text(subjects.referral[-8:])
    await expect(rows.nth(0)).to_contain_text("a fresh look")
    await expect(rows.filter(has_text="accesses").first).to_contain_text("times in this hour")


async def turns_shortcuts_off(page: Page, _: Subjects) -> None:
    await page.get_by_role("button", name="Turn them off").click()
    await expect(page.get_by_text("Keyboard shortcuts are off")).to_be_visible()
    await page.get_by_role("button", name="Turn them on").click()
    await expect(page.get_by_text("Keyboard shortcuts are on")).to_be_visible()


async def skips_to_the_content(page: Page, _: Subjects) -> None:
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()


async def signs_out(page: Page, _: Subjects) -> None:
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("You are not signed in")
    await page.goto(page.url.partition("/console")[0] + "/console/settings")
    await expect(page.get_by_role("heading", level=1)).to_have_text("You are not signed in")


async def exits_at_once(page: Page, _: Subjects) -> None:
    await page.get_by_role("button", name="Exit at once").click()
    await expect(page).to_have_title("New tab")
    await page.wait_for_load_state()
    assert (await page.locator("body").inner_text()).strip() == "New tab"


INTERACTIONS: Final = (
    Interaction("a hotline opens a referral", HOTLINE, "referrals", opens_the_first),
    Interaction("a hotline sees where a referral would go", HOTLINE, "new", previews),
    Interaction("a hotline files a referral", HOTLINE, "new", files),
    Interaction("a hotline is told what is wrong, and keeps its text", HOTLINE, "new", is_told_what_is_wrong),
    Interaction(
        "a hotline withdraws a referral",
        *REFERRAL,
        act("Withdraw", "Withdraw", "Done: withdrawn", chosen={"Reason": "filed_in_error"}),
    ),
    Interaction("a hotline opens the record of an offer", OTHER_HOTLINE, "offers/{referral}", reveals),
    Interaction("an agency filters by a child at risk", AGENCY, "inbox", filters),
    Interaction("an agency filters by state", AGENCY, "inbox", by_state),
    Interaction("an agency finds what somebody sent", AGENCY, "inbox", finds_by_sender),
    Interaction("a hotline finds a referral by its reference", HOTLINE, "referrals", finds_by_reference),
    Interaction("an agency opens a record for a reason", *CASE, reveals),
    Interaction("an agency opens no record for nothing", *CASE, reveals_for_nothing),
    Interaction("an agency accepts", *CASE, act("Accept", "Accept", "Done: accept", said={"Case reference": "OWN-17"})),
    Interaction(
        "an agency declines", *CASE, act("Decline", "Decline", "Done: decline", chosen={"Reason": "no_capacity"})
    ),
    Interaction("an agency keeps the evidence", *CASE, keeps_evidence),
    Interaction(
        "a provider answers item by item",
        *NOTICE,
        act("Answer", "Answer", "Done: answer", chosen={"Action": "removed"}),
    ),
    Interaction(
        "a provider says that it is not theirs",
        *NOTICE,
        act("Not ours", "Not ours", "Done: not ours", said={"Suggested": "provider-001.example"}),
    ),
    Interaction("a provider acknowledges in bulk, after a look at the list", PROVIDER, "notices", in_bulk, alone=True),
    Interaction("a provider who ticks nothing does nothing", PROVIDER, "notices", chooses_nothing),
    Interaction("a provider opens the record of a notice", *NOTICE, reveals),
    Interaction("a provider has events sent to an address", PROVIDER, "webhooks", adds_an_address),
    Interaction("a provider is refused an address", PROVIDER, "webhooks", is_refused_an_address),
    Interaction("a hotline has events sent again", HOTLINE, "webhooks/{webhook}", sends_again),
    Interaction("a hotline sends a test event", HOTLINE, "webhooks/{webhook}", sends_a_test),
    Interaction("an auditor says why and sees a flow", *FLOW, says_why),
    Interaction("an auditor finds a flow by party and by id", AUDITOR, "flows", finds, alone=True),
    Interaction("an auditor without a purpose is told so", AUDITOR, "flows", is_told_that_a_purpose_is_missing),
    Interaction("an auditor keeps the proof of a message", *FLOW, keeps_a_proof),
    Interaction("an auditor sees whether the counts add up", AUDITOR, "reconciliation", sees_that_the_counts_add_up),
    Interaction("an auditor sees what was looked at", AUDITOR, "accesses", sees_who_has_looked),
    *OF_ORIGINS,
    *OF_AMENDMENTS,
    *OF_AGENCIES,
    *OF_PROVIDERS,
    Interaction("somebody turns the shortcuts off and on", AGENCY, "settings", turns_shortcuts_off),
    Interaction("somebody skips to the content", AGENCY, "inbox", skips_to_the_content),
    Interaction("somebody signs out", AGENCY, "settings", signs_out),
    Interaction("somebody exits at once", AGENCY, "inbox", exits_at_once),
)
