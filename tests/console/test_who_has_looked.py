"""Record accesses are shown by name to users of the same party. Others see a code, or nothing."""

from __future__ import annotations

import re

import httpx
import pytest

from deploy.operator.console_accounts import give_role
from shared.core.errors import Refused
from shared.platform.console.accounts import opaque_actor
from tests.console.console_users import csrf_of, signed_in
from tests.console.pages import AUDITOR, WHY, Subjects
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER, Exchange

FIRST, SECOND = "Fleur O'Dea", "Sander van Dijk"
#: The name as a page writes it.
WRITTEN = "Fleur O&#39;Dea"
#: At audit, the user in a row of the colleagues' record accesses.
_WHO = re.compile(r"</time></th><td>(?:<code>)?([0-9a-f]{8}|you)<")


async def opens(client: httpx.AsyncClient, path: str) -> str:
    """Open the record of a subject for a reason; return the resulting page."""
    origin = {"Origin": str(client.base_url).rstrip("/")}
    said = {"csrf": await csrf_of(client, f"/console/{path}"), "reason": "supervise"}
    answer = await client.post(f"/console/{path}/reveal", data=said, headers=origin)
    assert answer.status_code == 200, answer.text
    return answer.text


def looked(page: str) -> str:
    """Return the part of a page that lists record accesses, or an empty text."""
    return page.partition("Record access</h2>")[2].partition("</ol>")[0]


async def test_a_colleague_is_named_and_oneself_is_marked(exchange: Exchange, subjects: Subjects) -> None:
    path = f"inbox/{subjects.referral}"
    async with signed_in(exchange, AGENCY, person=FIRST) as first, signed_in(exchange, AGENCY, person=SECOND) as second:
        own = looked(await opens(first, path))
        seen = looked((await second.get(f"/console/{path}")).text)
    assert f"<strong>{WRITTEN}</strong> (you), analyst: supervise" in own
    assert f"<strong>{WRITTEN}</strong>, analyst: supervise" in seen


@pytest.mark.parametrize("kind", ["inbox/{0.referral}", "preservations/{0.more}"])
async def test_who_has_no_name_stands_under_an_opaque_one(exchange: Exchange, subjects: Subjects, kind: str) -> None:
    path = kind.format(subjects)
    async with signed_in(exchange, AGENCY, person="nobody-7") as client:
        own = looked(await opens(client, path))
    assert re.search(r"<code>[0-9a-f]{8}</code> \(you\), analyst: supervise", own)
    assert "nobody-7" not in own


async def test_no_other_party_learns_that_or_who(exchange: Exchange, subjects: Subjects) -> None:
    """Audit does not learn a name either. It has the party, the role, the reason and an opaque name."""
    async with signed_in(exchange, AGENCY, person=FIRST) as client:
        assert WRITTEN in await opens(client, f"inbox/{subjects.referral}")
    await exchange.until_taken()
    await exchange.until_audited()
    pages = ((HOTLINE, f"referrals/{subjects.referral}"), (PROVIDER, f"notices/{subjects.notice}"))
    for party, path in pages:
        async with signed_in(exchange, party, person="elsewhere") as client:
            page = (await client.get(f"/console/{path}")).text
            assert WRITTEN not in page
            assert "supervise" not in looked(page)
    async with signed_in(exchange, AUDITOR) as client:
        page = (await client.get(f"/console/flows/{subjects.referral}?{WHY}")).text
    assert f"for {AGENCY}: supervise" in page
    assert WRITTEN not in page
    admin = await exchange.admin("audit")
    try:
        told = await admin.fetch("SELECT detail::text AS said FROM entry WHERE kind = 'revealed'")
        called = await admin.fetchval("SELECT count(*) FROM console_account WHERE display_name = $1", FIRST)
    finally:
        await admin.close()
    assert told
    assert not [row for row in told if "Dea" in row["said"]]
    assert called == 0


async def test_what_another_party_has_amended_is_answered_as_absent(exchange: Exchange, subjects: Subjects) -> None:
    async with signed_in(exchange, OTHER_HOTLINE, person="elsewhere") as client:
        said, origin = {"csrf": await csrf_of(client), "reason": "act"}, {"Origin": str(client.base_url).rstrip("/")}
        foreign, absent = [
            await client.post(f"/console/referrals/{each}/reveal", data=said, headers=origin)
            for each in (subjects.referral, subjects.webhook)
        ]
    assert (foreign.status_code, foreign.content) == (404, absent.content)


async def test_auditors_of_one_organisation_are_told_apart_by_opaque_names(exchange: Exchange) -> None:
    async with (
        signed_in(exchange, AUDITOR, person="Ines Moreau") as first,
        signed_in(exchange, AUDITOR, person="Odd Berg") as second,
    ):
        for client in (first, second):
            await client.get("/console/flows?purpose=a+look+of+mine")
        page = (await second.get("/console/accesses?purpose=look+of+looks")).text
    mine, theirs, *_ = dict.fromkeys(_WHO.findall(page))
    assert mine == "you"
    assert theirs != "you"
    assert "Ines" not in page


async def test_what_is_no_name_is_refused(exchange: Exchange) -> None:
    actor = opaque_actor(AGENCY, "called")
    for called in (" ", "<b>", "a" * 61, "7", "x@y"):
        with pytest.raises(Refused, match="called_malformed"):
            await give_role(exchange.site, AGENCY, actor, called=called)
    await give_role(exchange.site, AGENCY, actor, called="Zoë Brüll-Šimek")
