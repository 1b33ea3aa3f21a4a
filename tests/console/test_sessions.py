"""Sessions: their permissions and duration, and the access that a cookie and a key each give."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from deploy.operator.console_accounts import end_role, give_role
from deploy.operator.keys import issue
from deploy.site.endpoints import STACK_FILE
from deploy.site.open import Site
from shared.core.authority import Role
from shared.core.clock import SystemClock
from shared.core.errors import Refused
from shared.platform.console.accounts import IDLE_MINUTES, LINK_MINUTES, SESSION_HOURS, opaque_actor
from tests.console.console_users import csrf_of, link, signed_in
from tests.support.running import AGENCY, HOTLINE, Exchange

NOW = SystemClock()


async def come_in(url: str, **headers: str) -> httpx.Response:
    base = url.partition("/console")[0]
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=60) as client:
        return await client.post(urlsplit(url).path, headers={"Origin": base} | headers)


async def test_a_link_opens_once(exchange: Exchange) -> None:
    url = await link(exchange, AGENCY)
    assert (await come_in(url)).status_code == 303
    assert (await come_in(url)).status_code == 401


async def test_a_link_ends(exchange: Exchange) -> None:
    url = await link(exchange, AGENCY)
    admin = await exchange.admin("law_enforcement")
    await admin.execute(
        "UPDATE console_link SET expires_at = expires_at - $1::interval", timedelta(minutes=LINK_MINUTES)
    )
    await admin.close()
    assert (await come_in(url)).status_code == 401


@pytest.mark.parametrize(
    ("column", "passed"),
    [("last_seen_at", timedelta(minutes=IDLE_MINUTES)), ("started_at", timedelta(hours=SESSION_HOURS))],
    ids=["at rest", "in all"],
)
async def test_a_session_ends(exchange: Exchange, column: str, passed: timedelta) -> None:
    async with signed_in(exchange, AGENCY) as client:
        assert (await client.get("/console/inbox")).status_code == 200
        admin = await exchange.admin("law_enforcement")
        await admin.execute(f"UPDATE console_session SET {column} = {column} - $1::interval", passed)
        await admin.close()
        assert (await client.get("/console/inbox")).status_code == 401


async def test_a_person_ends_by_the_name_that_their_settings_show_and_by_no_other(exchange: Exchange) -> None:
    site = Site(exchange.state / STACK_FILE, exchange.state, exchange.endpoints)
    async with signed_in(exchange, AGENCY, person="named") as client:
        acting, given = re.findall(r"<code>([0-9a-f]{32})</code>", (await client.get("/console/settings")).text)
        for other in (acting, "0" * 32):
            with pytest.raises(Refused, match="person_unknown"):
                await end_role(site, AGENCY, other, at=NOW.now())
        assert (await client.get("/console/inbox")).status_code == 200
        assert await give_role(site, AGENCY, given, role=Role.VIEWER) == (Role.VIEWER, False)
        assert (await issue(site, AGENCY, person=given)).role == Role.VIEWER
        await end_role(site, AGENCY, given, at=NOW.now())
        with pytest.raises(Refused, match="person_unknown"):
            await issue(site, AGENCY, person=given)
        assert (await client.get("/console/inbox")).status_code == 401
        with pytest.raises(Refused, match="person_unknown"):
            await end_role(site, AGENCY, given, at=NOW.now())


async def test_what_was_ended_with_a_person_stays_so_when_they_are_let_in_again(exchange: Exchange) -> None:
    site = Site(exchange.state / STACK_FILE, exchange.state, exchange.endpoints)
    unused = await link(exchange, AGENCY, person="back")
    async with signed_in(exchange, AGENCY, person="back") as stolen:
        assert (await stolen.get("/console/inbox")).status_code == 200
        await end_role(site, AGENCY, opaque_actor(AGENCY, "back"), at=NOW.now())
        async with signed_in(exchange, AGENCY, person="back") as client:
            assert (await client.get("/console/inbox")).status_code == 200
            assert (await stolen.get("/console/inbox")).status_code == 401
    assert (await come_in(unused)).status_code == 401


async def test_a_cookie_counts_on_pages_alone_and_a_key_on_the_api_alone(exchange: Exchange) -> None:
    async with signed_in(exchange, AGENCY) as client:
        assert (await client.get("/console/inbox")).status_code == 200
        assert (await client.get("/v1/inbox")).status_code == 401
    async with exchange.http(AGENCY) as client:
        assert (await client.get("/v1/inbox")).status_code == 200
        assert (await client.get("/console/inbox")).status_code == 401


async def test_the_cookie_of_a_site_without_tls_has_its_port_whatever_host_is_named(exchange: Exchange) -> None:
    plain = (await come_in(await link(exchange, AGENCY))).headers["set-cookie"]
    assert re.match(r"causeway-[0-9]+=[A-Za-z0-9_-]{59}; HttpOnly; Max-Age=28800; Path=/; SameSite=strict$", plain)
    outside = {"Host": "console.police.example", "Origin": "http://console.police.example"}
    named = (await come_in(await link(exchange, AGENCY), **outside)).headers["set-cookie"]
    assert re.match(r"causeway=[A-Za-z0-9_-]{59}; HttpOnly; Max-Age=28800; Path=/; SameSite=strict$", named)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "https://elsewhere.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://console.police.example", "Host": "console.police.example"},
    ],
    ids=["says nothing", "null", "elsewhere", "cross-site", "another scheme"],
)
async def test_a_form_from_elsewhere_is_refused(exchange: Exchange, headers: dict[str, str]) -> None:
    async with signed_in(exchange, HOTLINE) as client:
        csrf = await csrf_of(client)
        base = str(client.base_url).rstrip("/")
        if "Sec-Fetch-Site" in headers:
            headers = headers | {"Origin": base}
        refused = await client.post("/console/settings", data={"csrf": csrf, "keys": "off"}, headers=headers)
        assert refused.status_code in (401, 403)
        good = await client.post("/console/settings", data={"csrf": csrf, "keys": "off"}, headers={"Origin": base})
        assert good.status_code == 303


async def test_a_form_without_the_session_s_own_word_is_refused(exchange: Exchange) -> None:
    async with signed_in(exchange, HOTLINE) as client, signed_in(exchange, HOTLINE, person="another") as other:
        origin = {"Origin": str(client.base_url).rstrip("/")}
        for word in ("", "x", await csrf_of(other)):
            refused = await client.post("/console/settings", data={"csrf": word, "keys": "off"}, headers=origin)
            assert refused.status_code == 403
            assert "form_foreign" in refused.text


async def test_signing_out_ends_the_session(exchange: Exchange) -> None:
    async with signed_in(exchange, HOTLINE) as client:
        kept = dict(client.cookies)
        origin = {"Origin": str(client.base_url).rstrip("/")}
        left = await client.post("/console/out", data={"csrf": await csrf_of(client)}, headers=origin)
        assert left.status_code == 303
        client.cookies.update(kept)
        assert (await client.get("/console/referrals")).status_code == 401


async def test_nothing_that_opens_is_stored(exchange: Exchange) -> None:
    url = await link(exchange, AGENCY)
    async with signed_in(exchange, AGENCY) as client:
        session = client.cookies[f"causeway-{client.base_url.port}"]
    admin = await exchange.admin("law_enforcement")
    for table in ("console_link", "console_session", "console_account"):
        rows = await admin.fetch(f"SELECT t::text AS row FROM {table} AS t")
        assert rows
        assert not [row for row in rows if url.rpartition("/")[2] in row["row"] or session in row["row"]]
    await admin.close()
