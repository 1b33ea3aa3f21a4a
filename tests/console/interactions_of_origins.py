"""Interactions of origins with their own referrals at their consoles: rows of the table."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from playwright.async_api import Page, expect

from shared.core.authority import Role
from shared.core.clock import SystemClock, rfc3339
from shared.core.ids import uuid7
from tests.console.interaction import HELD, ORPHAN, REFERRAL, WINDOWED, Interaction, act, fill, post, posted, refused
from tests.console.pages import Subjects
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange

ASKED: Final = {"about": [1], "needs": ["still_there"]}
DISPUTED: Final = {"disputed": [{"reason": "content_lawful", "basis": "adult_pornography"}]}
POLICE: Final = "police-au.example"
SUGGESTED: Final = "provider-001.example"


async def held(exchange: Exchange, own: Subjects) -> Subjects:
    """Let the agency request a hold of the notice."""
    ends = rfc3339(SystemClock().now() + timedelta(hours=24))
    said = {"scope": "removal", "basis": "investigation_open", "not_after": ends}
    await post(exchange, POLICE, f"/v1/cases/{own.referral}:place-hold", said)
    return own


async def proposed(exchange: Exchange, own: Subjects) -> Subjects:
    """Let a second person of the hotline propose to override the hold."""
    async with exchange.http(WINDOWED) as client:
        (hold,) = (await client.get(f"/v1/referrals/{own.referral}")).json()["holds"]
        key = await exchange.issued("hotline", WINDOWED, Role.ANALYST)
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": str(uuid7())}
        said = {"hold": hold["hold"], "basis": "child_at_risk"}
        answer = await client.post(f"/v1/referrals/{own.referral}:propose-override", json=said, headers=headers)
        assert answer.status_code == 202, answer.text
    return own


async def overrides_alone(page: Page, _: Subjects) -> None:
    """Propose an override, which the proposer cannot confirm."""
    await act("Propose override", "Propose override", "Done: proposed", chosen={"Basis": "child_at_risk"})(page, _)
    await fill(page, "Confirm override", "Confirm override")
    await expect(page.get_by_role("alert")).to_contain_text("second_person_needed")


async def amends(page: Page, own: Subjects) -> None:
    await page.get_by_role("link", name="Amend the referral").click()
    assert own.place not in await page.content()
    await page.get_by_label("Media kind").select_option("video")
    await page.get_by_label("Further locations").fill(f"https://images.{PROVIDER}{own.place}/more")
    await page.get_by_role("button", name="Amend the referral").click()
    await expect(page.get_by_role("status").filter(has_text="Done: amended")).to_be_visible()
    await expect(page.locator(".sum").first).to_contain_text("Revision\n2", use_inner_text=True)


async def amends_nothing(page: Page, _: Subjects) -> None:
    await page.get_by_role("button", name="Amend the referral").click()
    await expect(page.get_by_role("alert")).to_contain_text("nothing_amended")
    await page.get_by_label("Items to leave out").fill("7")
    await page.get_by_role("button", name="Amend the referral").click()
    await expect(page.get_by_role("alert")).to_contain_text("item_unknown")
    await expect(page.get_by_label("Items to leave out")).to_have_value("7")


def table(reference: str) -> str:
    """Return a table with two valid lines, an invalid one, and one that repeats the first one's reference."""
    said = f"csam;2026-03-20T08:00:00Z;image;human;url;{{}};NL;{PROVIDER};stated"
    place = f"https://images.{PROVIDER}/table/{reference}"
    lines = [f"{reference}-1;{said.format(place)}", f"{reference}-2;{said.format(place + '/2')}"]
    lines += [f"{reference}-3;{said.format('nowhere')}", lines[0]]
    named = "external_ref;incident_kind;observed_at;media_kind;viewed_by;locator_kind;locator;hosting_jurisdiction"
    return "\n".join([f"{named};hosting_provider;hosting_method", *lines])


async def imports(page: Page, _: Subjects) -> None:
    """Check a table, then submit it. Each line has its own result, and a repeated import submits nothing again."""
    reference = uuid7().hex[-12:]
    await page.get_by_label("The table").fill(table(reference))
    await page.get_by_role("button", name="Check, file nothing").click()
    await expect(page.get_by_role("status")).to_contain_text("2 would be filed, 0 filed before, 2 refused")
    await expect(page.locator("tbody tr").nth(2)).to_contain_text("locator")
    await expect(page.locator("tbody tr").nth(3)).to_contain_text("external_ref_repeated")
    await page.get_by_role("button", name="File them").click()
    await expect(page.get_by_role("status")).to_contain_text("2 filed, 0 filed before, 2 refused")
    await expect(page.get_by_label("Refused lines")).to_have_value(
        re.compile("^4,.*,locator\n5,external_ref_repeated,")
    )
    await page.get_by_role("link", name="Another table").click()
    await page.get_by_label("The table").fill(table(reference))
    await page.get_by_role("button", name="File them").click()
    await expect(page.get_by_role("status")).to_contain_text("0 filed, 2 filed before, 2 refused")


async def imports_no_table(page: Page, _: Subjects) -> None:
    await page.get_by_label("The table").fill("not;columns\n1;2")
    await page.get_by_role("button", name="File them").click()
    await expect(page.get_by_role("alert")).to_contain_text("column_unknown")
    await expect(page.get_by_label("The table")).to_have_value("not;columns\n1;2")


OF_ORIGINS: Final = (
    Interaction("a hotline looks at a table and files it", HOTLINE, "import", imports),
    Interaction("a hotline is told what is wrong with a table", HOTLINE, "import", imports_no_table),
    Interaction(
        "a hotline answers what is asked",
        *REFERRAL,
        act("Answer question 1", "Reply", "Done: answered", chosen={"Reply": "still_there"}),
        ready=[posted(PROVIDER, "/v1/notices/{notice}:ask", ASKED)],
    ),
    Interaction(
        "a hotline stands by what is contested",
        *REFERRAL,
        act("Answer dispute 1", "Uphold", "Done: answered", chosen={"Verdict": "upheld"}),
        ready=[posted(PROVIDER, "/v1/notices/{notice}:dispute", DISPUTED)],
    ),
    Interaction(
        "a hotline that says nothing of an item is told so",
        *REFERRAL,
        refused("Answer question 1", "Reply", "There is a problem"),
        ready=[posted(AGENCY, "/v1/cases/{referral}:ask", ASKED)],
    ),
    Interaction("a hotline amends what it has filed, and sees none of it", *REFERRAL, amends),
    Interaction("a hotline that amends nothing is told so", HOTLINE, "referrals/{referral}/amend", amends_nothing),
    Interaction(
        "a hotline reroutes what is not its provider's",
        *REFERRAL,
        act("Reroute items", "Reroute", "Done: rerouted"),
        ready=[posted(PROVIDER, "/v1/notices/{notice}:not-ours", {"disowned": [{"suggested": SUGGESTED}]})],
    ),
    Interaction(
        "a hotline says that an item is there again",
        *REFERRAL,
        act("Report a recheck", "Check", "Done: kept", chosen={"Found": "up"}, said={"Item number": "1"}),
        ready=[
            posted(
                PROVIDER,
                "/v1/notices/{notice}:answer",
                {"items": [{"action": "removed"}]},
            )
        ],
    ),
    Interaction(
        "a hotline lets whoever has the mandate claim an orphan",
        *REFERRAL,
        act("Transfer", "Transfer", "Done: offered", chosen={"Reason": "no_mandate"}),
        filed=ORPHAN,
    ),
    Interaction(
        "a hotline with a mandate claims an orphan",
        "hotline-ph.example",
        "offers/{referral}",
        act("Claim", "Claim", "Done: claim"),
        filed=ORPHAN,
        ready=[posted(HOTLINE, "/v1/referrals/{referral}:transfer", {"reason": "no_mandate"})],
    ),
    Interaction(
        "one person alone overrides no hold",
        WINDOWED,
        "referrals/{referral}",
        overrides_alone,
        filed=HELD,
        ready=[held],
    ),
    Interaction(
        "a second person overrides a hold",
        WINDOWED,
        "referrals/{referral}",
        act("Confirm override", "Confirm override", "Done: overridden"),
        filed=HELD,
        ready=[held, proposed],
    ),
)
