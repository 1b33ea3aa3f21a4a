"""A newcomer's first ten minutes in a browser: one referral from submission to proof, at every console.

The names of the steps describe each minute. The API is used only where the script says so.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page, expect
from standardwebhooks.webhooks import Webhook

from shared.core.clock import SystemClock
from shared.core.ids import uuid7
from tests.console.browser import Visit, visiting
from tests.console.console_users import sign_in
from tests.console.interaction import WINDOWED, act
from tests.console.pages import AUDITOR, WHY, Subjects
from tests.journeys.parties import Party
from tests.support.http_receiver import Raw
from tests.support.running import PROVIDER, Exchange, referral, until

POLICE = "police-au.example"
UNTIL = "2040-01-01"


async def test_a_newcomer_s_first_ten_minutes(exchange: Exchange, browser: Browser, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        people = {
            party: await _come(stack, exchange, browser, party) for party in (WINDOWED, POLICE, PROVIDER, AUDITOR)
        }
        place = f"/first/{uuid7().hex[-12:]}"
        own = await _files_after_a_look(*people[WINDOWED], place)
        await exchange.until_taken()
        await _claims_and_holds(*people[POLICE], own)
        await exchange.until_taken()
        await _is_told_of_the_hold(*people[WINDOWED], own, "active")
        await _sees_nothing_of_it(*people[PROVIDER], own)
        await _lets_go_and_has_it_kept(*people[POLICE], own)
        own = await _issued(exchange, own)
        await exchange.until_taken()
        await _keeps_and_removes(*people[PROVIDER], own)
        await exchange.until_taken()
        await _is_told_of_the_removal(*people[WINDOWED], own)
        await exchange.until_audited()
        await _sees_the_flow_and_who_looked(*people[AUDITOR], own)
        evidence = await _downloads_the_evidence(*people[PROVIDER], own, tmp_path)
        await asyncio.to_thread(_verifies_offline, exchange, evidence)
        await _posts_twice_and_files_once(exchange)
        await _is_sent_events_and_has_them_sent_again(*people[PROVIDER], exchange.free_port())
        for _, visit in people.values():
            visit.faultless()


async def _come(stack: AsyncExitStack, exchange: Exchange, browser: Browser, party: str) -> tuple[str, Visit]:
    visit = await stack.enter_async_context(visiting(browser, accept_downloads=True))
    return await sign_in(visit, exchange, party), visit


async def _files_after_a_look(root: str, visit: Visit, place: str) -> Subjects:
    """Minutes 1 to 2: paste two addresses, check where they would go, and submit them."""
    page = visit.page
    await visit.go(f"{root}/new")
    await page.get_by_label("Your reference").fill(f"first-{place[-12:]}")
    await page.get_by_label("Locations").fill(f"https://images.{PROVIDER}{place}/1\nhttps://images.{PROVIDER}{place}/2")
    await page.get_by_label("Hosted by").fill(PROVIDER)
    await page.get_by_label("Incident kind").select_option("csam")
    await page.get_by_label("Media kind").select_option("image")
    await page.get_by_label("Seen at (UTC)").fill("2026-03-20T08:00")
    await page.get_by_label("User in").fill("AU")
    for told in (POLICE, PROVIDER):
        await expect(page.locator("#preview")).to_contain_text(told)
    await page.get_by_role("button", name="File the referral").click()
    await expect(page.get_by_role("status").filter(has_text="Done: filed")).to_be_visible()
    return Subjects(urlsplit(page.url).path.rpartition("/")[2], "", "", place)


async def _claims_and_holds(root: str, visit: Visit, own: Subjects) -> None:
    """Minutes 2 to 3: claim the case and place a hold."""
    page = visit.page
    await visit.go(f"{root}/inbox/{own.referral}")
    await act("Claim", "Claim", "Done: claim")(page, own)
    ends = f"{SystemClock().now() + timedelta(hours=1):%Y-%m-%dT%H:%M}"
    chosen = {"Scope": "removal", "Basis": "evidence_to_be_secured"}
    holds = act("Place hold", "Place hold", "Done: place hold", chosen=chosen, said={"Not after": ends})
    await holds(page, own)


async def _is_told_of_the_hold(root: str, visit: Visit, own: Subjects, state: str) -> None:
    await visit.go(f"{root}/referrals/{own.referral}")
    await expect(visit.page.get_by_role("region", name="Visible only to you")).to_contain_text(state)


async def _sees_nothing_of_it(root: str, visit: Visit, own: Subjects) -> None:
    """Check that the provider sees no trace of the waiting notice."""
    for path in ("notices", "work-items", "attention", "due"):
        await visit.go(f"{root}/{path}")
        assert own.place not in await visit.page.content()
        assert "hold" not in await visit.page.locator("#rows").inner_text()


async def _lets_go_and_has_it_kept(root: str, visit: Visit, own: Subjects) -> None:
    """Minutes 3 to 4: release the hold and request preservation."""
    page = visit.page
    await visit.go(f"{root}/inbox/{own.referral}")
    await act("Release hold", "Release hold", "Done: release hold")(page, own)
    await visit.go(f"{root}/preservations/new")
    await page.get_by_label("Provider").fill(PROVIDER)
    await page.get_by_label("Kind", exact=True).select_option("preserve")
    await page.get_by_label("Instrument").select_option("budapest")
    await page.get_by_label("Until").fill(UNTIL)
    await page.get_by_label("Locations").fill(f"https://images.{PROVIDER}{own.place}/1")
    await page.get_by_role("button", name="Ask the provider").click()
    await expect(page.get_by_role("status").filter(has_text="Done: submit")).to_be_visible()


async def _issued(exchange: Exchange, own: Subjects) -> Subjects:
    """Wait for the notice, which is issued in the next slot."""
    notice = ""

    async def arrived() -> bool:
        nonlocal notice
        async with exchange.http(WINDOWED) as client:
            edges = (await client.get(f"/v1/referrals/{own.referral}")).json()["edges"]
        edge = next(each for each in edges if each["recipient"] == PROVIDER)
        notice = str(edge["notice_id"])
        return bool(edge["delivery"] == "applied")

    await until(arrived)
    return own._replace(notice=notice)


async def _keeps_and_removes(root: str, visit: Visit, own: Subjects) -> None:
    """Minutes 4 to 5: acknowledge, be refused because of the agency's request, answer it, and report both removed."""
    page = visit.page
    await visit.go(f"{root}/notices/{own.notice}")
    await act("Acknowledge", "Acknowledge", "Done: acknowledge")(page, own)
    await _removes_both(page)
    await expect(page.get_by_role("alert")).to_contain_text("preservation_unanswered")
    visit.errors.clear()  # the browser's own error about the refused act
    await visit.go(f"{root}/preservations")
    await page.locator("tbody th a").first.click()
    await act("Answer", "Answer", "Done: answer", chosen={"Answer": "preserved"}, said={"Until": UNTIL})(page, own)
    await visit.go(f"{root}/notices/{own.notice}")
    await _removes_both(page)
    await expect(page.get_by_role("status").filter(has_text="Done: answer")).to_be_visible()


async def _removes_both(page: Page) -> None:
    form = page.locator("#answer-form")
    if not await form.is_visible():
        await page.locator("details.act summary:text-is('Answer')").click()
    for place in range(2):
        await form.get_by_label("Action").nth(place).select_option("removed")
        await form.get_by_label("Effective at").nth(place).fill(f"{SystemClock().now():%Y-%m-%dT00:00}")
    await form.get_by_role("button", name="Answer", exact=True).click()


async def _is_told_of_the_removal(root: str, visit: Visit, own: Subjects) -> None:
    await _is_told_of_the_hold(root, visit, own, "released")
    await expect(visit.page.locator(".timeline")).to_contain_text("item 1: removed; item 2: removed")


async def _sees_the_flow_and_who_looked(root: str, visit: Visit, own: Subjects) -> None:
    """Minutes 5 to 6: see the flow and the record accesses."""
    page = visit.page
    await visit.go(f"{root}/flows/{own.referral}?{WHY}")
    assert await page.locator("svg.seq a").count() == await page.locator("tbody tr").count() >= 8
    assert own.place not in await page.content()
    await visit.go(f"{root}/accesses?{WHY}")
    await expect(page.locator("tbody")).to_contain_text(own.referral[-8:])


async def _downloads_the_evidence(root: str, visit: Visit, own: Subjects, folder: Path) -> Path:
    """Minutes 6 to 7: download the evidence."""
    await visit.go(f"{root}/notices/{own.notice}")
    async with visit.page.expect_download() as coming:
        await visit.page.get_by_role("link", name="Evidence that it was sent").click()
    path = folder / "evidence.json"
    await (await coming.value).save_as(path)
    return path


def _verifies_offline(exchange: Exchange, evidence: Path) -> None:
    """Verify the evidence. It is valid unchanged, and invalid with one character of the message changed. Blocks."""
    party, directory = Party(exchange, PROVIDER), str(exchange.state / "directory.json")
    held = party.causeway("verify", "evidence", str(evidence), "--directory", directory)
    assert held.returncode == 0, held.stderr
    told = json.loads(evidence.read_text(encoding="utf-8"))
    (first, *_) = told["evidence"]
    name = max((name for name, value in first.items() if isinstance(value, str)), key=lambda each: len(first[each]))
    middle = len(first[name]) // 2
    other = "A" if first[name][middle] != "A" else "B"
    first[name] = f"{first[name][:middle]}{other}{first[name][middle + 1 :]}"
    evidence.write_text(json.dumps(told), encoding="utf-8")
    assert party.causeway("verify", "evidence", str(evidence), "--directory", directory).returncode != 0


async def _posts_twice_and_files_once(exchange: Exchange) -> None:
    """Minutes 7 to 8, over the API: one key, one referral."""
    body, headers = referral(), {"Idempotency-Key": uuid7().hex}
    async with exchange.http(WINDOWED) as client:
        first, again = [await client.post("/v1/referrals", json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first.status_code == 202


async def _is_sent_events_and_has_them_sent_again(root: str, visit: Visit, port: int) -> None:
    """Minutes 8 to 9: a receiver checks the signature, stops, and later receives the events sent meanwhile."""
    raw, page = Raw(), visit.page
    server = await asyncio.start_server(raw.serve, "127.0.0.1", port)
    await visit.go(f"{root}/webhooks")
    await page.get_by_label("Url").fill(f"http://127.0.0.1:{port}/first")
    await page.get_by_role("button", name="Add the address").click()
    secret = await page.get_by_text("whsec_").inner_text()
    await page.get_by_role("link", name=f"http://127.0.0.1:{port}/first").click()
    await page.wait_for_url(re.compile(r"/webhooks/[0-9a-f-]{36}$"))
    address = page.url
    await _tests(page, address)
    await _delivered(page, address)

    async def has_come() -> bool:
        return "webhook.test" in {_type_of(each, secret) for each in raw.got}

    await until(has_come)
    server.close()
    await server.wait_closed()
    await _tests(page, address)
    await until(lambda: _first_is(page, address, "delivered", wanted=False))
    seen = len(raw.got)
    server = await asyncio.start_server(raw.serve, "127.0.0.1", port)
    await _tests(page, address)
    await _delivered(page, address)
    assert len(raw.got) > seen
    await page.get_by_text("Remove", exact=True).click()
    await page.get_by_role("button", name="Remove the address").click()
    server.close()


def _type_of(got: bytes, secret: str) -> str:
    """Return the type of a sent event after verifying it."""
    head, _, sent = got.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    return str(Webhook(secret).verify(sent, headers)["type"])


async def _tests(page: Page, address: str) -> None:
    await page.goto(address)
    await page.get_by_role("button", name="Send a test event").click()
    await expect(page.get_by_role("status").filter(has_text="Done: test")).to_be_visible()


async def _delivered(page: Page, address: str) -> None:
    await until(lambda: _first_is(page, address, "delivered", wanted=True))


async def _first_is(page: Page, address: str, word: str, *, wanted: bool) -> bool:
    """Return whether the newest attempt's row contains the word, compared with `wanted`."""
    await page.goto(address)
    rows = page.locator("tbody tr")
    return await rows.count() > 0 and (word in await rows.first.inner_text()) is wanted
