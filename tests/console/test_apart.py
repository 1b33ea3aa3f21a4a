"""Things of other parties, and acts that the role forbids, get the same bytes as absent things."""

from __future__ import annotations

import re

import httpx
import pytest

from deploy.operator.console_accounts import give_role
from deploy.operator.keys import IssuedKey, directory_of, issue
from shared.core.authority import AccessScope, Role
from shared.platform.console.accounts import opaque_actor
from tests.console.console_users import csrf_of, signed_in
from tests.console.pages import AUDITOR, PAGES, WHY, Subjects, filled
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER, Exchange, until

#: Parties of each service, including some that share a service with the page's party.
OTHERS = (HOTLINE, OTHER_HOTLINE, AGENCY, PROVIDER, AUDITOR, "hotline-de.example", "police-de.example")
OWN = [page for page in PAGES if page.own]
_PAIR = re.compile(r'<tr><th scope="row">([^<]+)</th><td>([^<]+)</td><td class="num">([0-9]+)</td>')
ROLES = {HOTLINE: (Role.ANALYST, Role.VIEWER, Role.MACHINE), AUDITOR: (Role.AUDITOR, Role.VIEWER)}


@pytest.mark.parametrize("party", OTHERS)
async def test_a_foreign_page_is_answered_as_an_absent_one(party: str, exchange: Exchange, subjects: Subjects) -> None:
    """At every service: at its own the party has a session, at others it has none."""
    for role in ROLES.get(party, (None,)):
        async with signed_in(exchange, party, role=role, person=f"apart-{role}") as client:
            absent = await client.get("/console/nothing-here")
            assert absent.status_code == 404
            for page in OWN:
                if party in (page.party, page.also):
                    continue
                answer = await client.get(f"/console/{filled(page.path, subjects)}")
                assert (answer.status_code, answer.content) == (404, absent.content), page
                assert _headers(answer.headers) == _headers(absent.headers)


async def test_one_s_own_page_is_there(exchange: Exchange, subjects: Subjects) -> None:
    """Negative control of the test above."""
    for page in OWN:
        async with signed_in(exchange, page.party, person="own") as client:
            answer = await client.get(f"/console/{filled(page.path, subjects)}")
            assert answer.status_code == 200, page


async def test_a_role_that_may_not_finds_no_page_and_no_form(exchange: Exchange, subjects: Subjects) -> None:
    async with signed_in(exchange, HOTLINE, role=Role.VIEWER, person="viewer") as client:
        absent = await client.get("/console/nothing-here")
        assert (await client.get("/console/new")).content == absent.content
        shown = (await client.get(f"/console/referrals/{subjects.referral}")).text
        assert "/withdraw" not in shown
    async with signed_in(exchange, AUDITOR, role=Role.VIEWER, person="viewer") as client:
        absent = await client.get("/console/nothing-here")
        for path in ("flows", f"flows?{WHY}", f"flows/{subjects.referral}?{WHY}", f"topics?{WHY}", f"accesses?{WHY}"):
            assert (await client.get(f"/console/{path}")).content == absent.content, path
        home = await client.get("/console")
        assert (home.status_code, "Your role has no pages here" in home.text) == (403, True)


async def test_an_act_on_what_is_foreign_is_answered_as_absent(exchange: Exchange, subjects: Subjects) -> None:
    async with signed_in(exchange, "police-de.example", person="acts") as client:
        origin = {"Origin": str(client.base_url).rstrip("/")}
        said = {"csrf": await csrf_of(client), "once": "a-key-of-its-own", "reason": "take_up"}
        acts = [f"inbox/{{}}/{act}" for act in ("reveal", "act/accept", "act/decline", "act/claim", "act/refer")]
        acts += [f"preservations/{{}}/{act}" for act in ("reveal", "export", "act/withdraw")]
        for act in acts:
            own = subjects.more if act.startswith("preservations") else subjects.referral
            foreign = await client.post(f"/console/{act.format(own)}", data=said, headers=origin)
            absent = await client.post(f"/console/{act.format(subjects.webhook)}", data=said, headers=origin)
            assert (foreign.status_code, foreign.content) == (absent.status_code, absent.content), act
            assert foreign.status_code in (404, 422)


def _headers(found: object) -> dict[str, str]:
    return {name: value for name, value in dict(found).items() if name not in ("date", "request-id")}  # type: ignore[call-overload]


async def test_of_the_accounts_an_auditor_sees_the_pairs_in_scope(exchange: Exchange, subjects: Subjects) -> None:
    """Recounted from the page of an auditor without a scope."""
    pages = []
    for name, scope in (("of-all", None), ("of-one", AccessScope((), (OTHER_HOTLINE,))), ("of-nobody", AccessScope())):
        async with signed_in(exchange, AUDITOR, person=name) as client:
            await give_role(exchange.site, AUDITOR, opaque_actor(AUDITOR, name), role=Role.AUDITOR, scope=scope)
            pages.append((await client.get(f"/console/reconciliation?{WHY}")).text)
    everything, mine, nothing = (
        [(row[1], row[2], int(row[3])) for row in _PAIR.finditer(page.partition('id="pairs"')[2])] for page in pages
    )
    assert mine
    assert nothing == []
    assert mine == [row for row in everything if OTHER_HOTLINE in row[:2]]
    assert len(mine) < len(everything)
    numbered = re.search(r'<th scope="row">All</th><td></td><td class="num">([0-9]+)', pages[1])
    assert numbered is not None
    assert int(numbered[1]) == sum(row[2] for row in mine)
    hidden = {party for row in everything for party in row[:2]} - {party for row in mine for party in row[:2]}
    assert not [party for party in hidden if party in pages[1]]


def _headers_of(key: IssuedKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.key}", "Purpose": "yearly review"}


async def _is_known(client: httpx.AsyncClient, headers: dict[str, str]) -> bool:
    """Return whether the service has read a new key."""
    return (await client.get("/v1/flows", headers=headers)).status_code != 401


@pytest.mark.parametrize(
    "scope", [AccessScope(("JP",)), AccessScope((), ("police-de.example",)), AccessScope()], ids=str
)
async def test_a_flow_out_of_scope_looks_absent(scope: AccessScope, exchange: Exchange, subjects: Subjects) -> None:
    """On its page, in the API, and in searches for the names and ids of its participants."""
    async with signed_in(exchange, AUDITOR, person=f"sees-{scope}") as client:
        absent = await client.get("/console/nothing-here")
        actor = opaque_actor(AUDITOR, f"sees-{scope}")
        await give_role(exchange.site, AUDITOR, actor, role=Role.AUDITOR, scope=scope)
        foreign = await client.get(f"/console/flows/{subjects.referral}?{WHY}")
        assert (foreign.status_code, foreign.content) == (404, absent.content)
        assert _headers(foreign.headers) == _headers(absent.headers)
        for sought in (f"party={HOTLINE}", f"party={AGENCY}", f"reference={subjects.notice}"):
            assert "Nothing was found" in (await client.get(f"/console/flows?{WHY}&{sought}")).text
    key = await issue(exchange.site, AUDITOR, scope=scope)
    async with exchange.http(AUDITOR) as client:
        headers = _headers_of(key)
        await until(lambda: _is_known(client, headers))
        answers = [
            await client.get(f"/v1/flows/{found}", headers=headers) for found in (subjects.referral, subjects.webhook)
        ]
        assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}


async def test_an_auditor_of_a_country_sees_the_pairs_of_its_parties(exchange: Exchange, subjects: Subjects) -> None:
    """Recounted over all flows, from the directory and the view of an auditor without a scope."""
    directory = directory_of(exchange.site)
    everything = await issue(exchange.site, AUDITOR)
    mine = await issue(exchange.site, AUDITOR, scope=AccessScope(("NL",)))
    dutch = {each["id"] for each in directory.document["parties"] if "NL" in each["jurisdictions"]}
    admin = await exchange.admin("audit")
    rows = await admin.fetch("SELECT DISTINCT referral_id::text AS subject FROM decision WHERE exercise")
    await admin.close()
    assert subjects.referral in {row["subject"] for row in rows}
    async with exchange.http(AUDITOR) as client:
        keys = [_headers_of(key) for key in (everything, mine)]
        for headers in keys:
            await until(lambda headers=headers: _is_known(client, headers))
        for row in rows:
            shown = []
            for headers in keys:
                answer = await client.get(f"/v1/flows/{row['subject']}", headers=headers)
                messages = answer.json()["messages"] if answer.status_code == 200 else []
                shown.append([(each["sender"], each["recipient"]) for each in messages if each["kind"] == "record"])
            assert shown[1] == [pair for pair in shown[0] if dutch & set(pair)]
