"""Every act that a page offers can be done, and a refusal is shown at its form. Tested by bare requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from statistics import median
from typing import Final
from urllib.parse import urlsplit

import httpx

from shared.core.ids import uuid7
from tests.benchmarks.rendering import ROW_MS_MAX, rendered_once, seen
from tests.console.console_users import csrf_of, delivered, link, signed_in
from tests.console.pages import Subjects
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange, referral

#: A successful answer to a form redirects.
DONE: Final = 303


def offered(text: str) -> set[str]:
    """Return the acts that a page has a form for."""
    return set(re.findall(r"/act/(\w+)", text))


async def sent(client: httpx.AsyncClient, at: str, form: Mapping[str, str | list[str]], *, of: str) -> httpx.Response:
    """Send a form as the page `of` has it; return the answer."""
    hidden = {"csrf": await csrf_of(client, of), "once": str(uuid7())}
    return await client.post(at, data=hidden | form, headers={"Origin": str(client.base_url)})


async def test_acts_on_holds_and_leases_are_offered_where_there_are_such(exchange: Exchange) -> None:
    own = await delivered(exchange, referral())
    async with signed_in(exchange, AGENCY) as client:
        case = f"/console/inbox/{own.referral}"
        found = offered((await client.get(case)).text)
        assert {"place_hold", "claim", "ask"} <= found
        assert not {"release_hold", "extend_hold", "hand_over"} & found
        held = {"scope": "removal", "basis": "investigation_open", "not_after": "2099-01-01T00:00"}
        refused = await sent(client, f"{case}/act/place_hold", held, of=case)
        assert 'href="#place_hold-not_after">Not after: ' in refused.text
        assert "Give an earlier end, and extend the hold" in refused.text
        assert (await sent(client, f"{case}/act/claim", {"hours": "1"}, of=case)).status_code == DONE
        assert "A message informs" not in (await client.get(f"{case}?done=claim")).text
        asked = {"about": "1", "needs": "hashes"}
        assert (await sent(client, f"{case}/act/ask", asked, of=case)).status_code == DONE
        found = offered((await client.get(case)).text)
        assert ("hand_over" in found, "ask" in found) == (True, False)


async def test_what_is_finished_is_left_out_of_what_is_done_to_several(exchange: Exchange) -> None:
    first, second = await delivered(exchange, referral()), await delivered(exchange, referral())
    async with signed_in(exchange, PROVIDER) as client:
        one = f"/console/notices/{first.notice}"
        removed = {"items.0.n": "1", "items.0.action": "removed"}
        assert (await sent(client, f"{one}/act/answer", removed, of=one)).status_code == DONE
        chosen: dict[str, str | list[str]] = {"id": [first.notice, second.notice], "act": "answer"}
        page = (await sent(client, "/console/notices/bulk", chosen, of=one)).text
        assert "Answer all 1" in page
        assert re.findall(r'type="hidden" name="id" value="([^"]+)"', page) == [second.notice]
        assert "Left out" in page
        assert first.notice in page
        assert "preservation_id" not in page
        nothing = {"id": second.notice, "act": "answer", "items.0.n": "", "items.0.action": ""}
        refused = await sent(client, "/console/notices/bulk/confirmed", nothing, of=one)
        assert (refused.status_code, "There is a problem" in refused.text) == (422, True)
        assert "Answer all 1" in refused.text


async def test_a_new_referral_that_is_refused_says_where_by_the_name_on_the_form(exchange: Exchange) -> None:
    own = referral()
    await delivered(exchange, own)
    async with signed_in(exchange, HOTLINE) as client:
        place = "/console/new"
        filled = {
            "external_ref": own["external_ref"],
            "locations": f"https://images.{PROVIDER}/other",
            "hosted_in": "NL",
            "incident_kind": "csam",
            "media_kind": "image",
            "observed_at": "2026-03-20T08:00",
            "viewed_by": "human",
            "priority": "p2_normal",
        }
        again = (await sent(client, place, filled, of=place)).text
        assert 'href="#external_ref">Your reference: ' in again
        assert "Show that referral, or give the new one" in again
        wrong = (await sent(client, place, filled | {"observed_at": ""}, of=place)).text
        assert 'href="#observed_at">Seen at (UTC): Fill this in' in wrong
        typed = "https://images.example/1\nnowhere\nHXXPS://Images[.]example/a b"
        wrong = (await sent(client, place, filled | {"locations": typed}, of=place)).text
        assert 'href="#locations">Locations: Line 2: The text has no host name. Give the whole address' in wrong
        assert f">{typed}</textarea>" in wrong
        assert "<li>Line 3: <code>hxxps[:]//images[.]example/a%20b</code></li>" in wrong


async def test_whoever_comes_by_a_link_is_told_for_whom_before_it_is_used(exchange: Exchange) -> None:
    url = await link(exchange, AGENCY)
    async with httpx.AsyncClient(base_url=url.partition("/console")[0], trust_env=False, timeout=60) as client:
        path = urlsplit(url).path
        assert f"Sign in for {AGENCY}" in (await client.get(path)).text
        used = await client.post(path, headers={"Origin": str(client.base_url)})
        assert used.status_code == DONE
        assert AGENCY not in (await client.get(path)).text


# -- A row is on its page once the page has received its event, and a filtered page costs as much as an unfiltered one.


#: Allows for other work on the machine.
SLOWER_MAX = 10


async def test_a_row_is_on_the_page_that_its_event_has_asked_for(exchange: Exchange, subjects: Subjects) -> None:
    assert max(await seen(exchange, 2)) < SLOWER_MAX * ROW_MS_MAX


async def test_a_page_that_is_looked_through_costs_as_one_that_is_not(exchange: Exchange, subjects: Subjects) -> None:
    """The two pages take turns, so that both have the same load on the machine."""
    taken: dict[str, list[float]] = {"referrals": [], f"referrals?party={AGENCY}&since=2026-01-01&priority=p0": []}
    async with signed_in(exchange, HOTLINE) as client:
        for _ in range(7):
            for path, times in taken.items():
                times.append(await rendered_once(client, f"/console/{path}"))
    plain, sought = map(median, taken.values())
    assert sought < SLOWER_MAX * plain
