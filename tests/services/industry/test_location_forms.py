"""Tokens of two forms share one store, as when two releases run together.

Tokens of different forms are never compared, so requests still match notices. A location is one work item with one id.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.contracts.referral import UrlLocator
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.locations import FORMS
from shared.guard.edition import own
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid7
from shared.party.preservation.store.preservations import ProviderPreservations, tokens
from tests.services.deliveries import OTHER_HOTLINE, PROVIDER, issued
from tests.services.doors import asking
from tests.services.industry.provider import KEK, Providers
from tests.services.industry.test_preservation_before_removal import asked, removing
from tests.support.editions import with_later
from tests.support.location_forms import knowing

BEFORE, BETWEEN, AFTER = (1,), (1, 2), (2,)


@pytest.fixture
def location() -> str:
    return f"https://images.example/{uuid7()}"


async def noticed(providers: Providers, location: str, *known: int, **of: Any) -> UUID:
    """Receive a notice through a release with these forms."""
    notice_id = uuid7()
    with knowing(*known):
        assert await providers.receive(issued(notice_id, location=location, **of)) == [None]
    return notice_id


async def wanted(providers: Providers, location: str, *known: int) -> UUID:
    preservation_id = uuid7()
    with knowing(*known):
        assert await providers.receive(asked(preservation_id, location=location)) == [None]
    return preservation_id


def by_form(location: str) -> dict[int, bytes]:
    """Return the provider's tokens of a place."""
    return dict(tokens(UrlLocator(kind="url", value=location), KEK, PROVIDER))


async def matched(providers: Providers, preservation_id: UUID) -> list[UUID]:
    async with providers.notices("read") as notices:
        store = ProviderPreservations(notices._driver, KEK)
        return [each.notice_id for each in (await store.show(preservation_id)).matches]


async def may_remove(providers: Providers, notice_id: UUID) -> bool:
    try:
        await providers.act("answer", removing(), notice_id)
    except Refused as refusal:
        assert refusal.code == "preservation_unanswered"
        return False
    return True


async def work_items(client: httpx.AsyncClient, *notices: UUID) -> dict[str, list[str]]:
    """Return the listed work items that contain one of these notices: by work item, the notices of its items."""
    answer = await client.get("/v1/work-items", params={"limit": 200}, headers=asking(PROVIDER))
    listed = [(item["work_item"], [one["notice_id"] for one in item["items"]]) for item in answer.json()["items"]]
    assert len({name for name, _ in listed}) == len(listed)
    return {name: members for name, members in listed if {str(each) for each in notices} & {*members}}


async def versions(providers: Providers, table: str, key: str, subject: UUID) -> list[int]:
    async with providers.notices("read") as notices:
        rows = await notices._driver.fetch(f"SELECT version FROM {table} WHERE {key} = $1 ORDER BY version", subject)
    return [row["version"] for row in rows]


async def test_an_item_has_a_token_by_each_form_that_its_release_knows(providers: Providers, location: str) -> None:
    for known in (BEFORE, BETWEEN, AFTER, tuple(FORMS)):
        notice_id = await noticed(providers, location, *known)
        preservation_id = await wanted(providers, location, *known)
        assert await versions(providers, "notice_location", "notice_id", notice_id) == [*known]
        assert await versions(providers, "preservation_location", "preservation_id", preservation_id) == [*known]


@pytest.mark.parametrize(("of_notice", "of_request"), [(BEFORE, BETWEEN), (BETWEEN, BEFORE), (BETWEEN, AFTER)])
async def test_what_a_neighbouring_release_was_asked_for_matches_all_the_same(
    providers: Providers, location: str, of_notice: tuple[int, ...], of_request: tuple[int, ...]
) -> None:
    notice_id = await noticed(providers, location, *of_notice)
    preservation_id = await wanted(providers, location, *of_request)
    assert await matched(providers, preservation_id) == [notice_id]
    assert not await may_remove(providers, notice_id)


async def test_each_form_finds_its_own(providers: Providers, location: str) -> None:
    """Two places of the first form are one place in the later form."""
    only_first = await noticed(providers, f"{location}/A", *BEFORE)
    both = await noticed(providers, f"{location}/A", *BETWEEN)
    preservation_id = await wanted(providers, f"{location}/a", *BETWEEN)
    assert await matched(providers, preservation_id) == [both]
    assert await may_remove(providers, only_first)
    assert not await may_remove(providers, both)


@pytest.mark.parametrize(("of_notice", "of_request"), [(BEFORE, AFTER), (AFTER, BEFORE)])
async def test_tokens_of_two_forms_are_not_compared_not_even_where_they_are_the_same_bytes(
    providers: Providers,
    client: httpx.AsyncClient,
    location: str,
    of_notice: tuple[int, ...],
    of_request: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = KeyEncryptionKey.location_token
    monkeypatch.setattr(
        KeyEncryptionKey, "location_token", lambda kek, party, _, form: token(kek, party, 1, form.lower())
    )
    notice_id = await noticed(providers, location, *of_notice)
    preservation_id = await wanted(providers, location, *of_request)
    assert await matched(providers, preservation_id) == []
    other = await noticed(providers, location, *of_request, notifier=OTHER_HOTLINE)
    by_first = notice_id if of_notice == BEFORE else other
    assert [*(await work_items(client, notice_id, other)).values()] == [[str(by_first)]]
    assert await may_remove(providers, notice_id)


async def test_a_location_is_one_work_item_by_one_id_whichever_release_took_its_notices(
    providers: Providers, client: httpx.AsyncClient, location: str
) -> None:
    first = await noticed(providers, location, *BEFORE)
    with knowing(*BEFORE):
        ((work_item, _),) = (await work_items(client, first)).items()
    second = await noticed(providers, location, *BETWEEN, notifier=OTHER_HOTLINE)
    last = await noticed(providers, location, *BEFORE)
    members = [str(each) for each in (first, second, last)]
    for known in (BEFORE, BETWEEN):
        with knowing(*known):
            assert await work_items(client, first, second, last) == {work_item: members}
            shown = await client.get(f"/v1/work-items/{work_item}", headers=asking(PROVIDER))
            assert [one["notice_id"] for one in shown.json()["items"]] == members


async def test_what_leads_by_another_form_alone_takes_no_place_on_a_page(
    providers: Providers, client: httpx.AsyncClient, location: str
) -> None:
    elsewhere = await noticed(providers, f"{location}/elsewhere", *BEFORE)
    led, leading = await noticed(providers, location, *BETWEEN), await noticed(providers, location, *BEFORE)
    cursor: dict[str, str | int] = {}
    for members in ([led, leading], [elsewhere]):
        answer = await client.get("/v1/work-items", params=cursor | {"limit": 1}, headers=asking(PROVIDER))
        (item,) = answer.json()["items"]
        assert [one["notice_id"] for one in item["items"]] == [str(each) for each in members]
        cursor = {"cursor": answer.json()["next"]}


async def test_an_id_by_another_form_is_found_and_has_what_is_known_by_that_form(
    providers: Providers, client: httpx.AsyncClient, location: str
) -> None:
    """A release that groups by the later form has shown this id, while this release runs, too."""
    await noticed(providers, location, *BEFORE)
    both = await noticed(providers, location, *BETWEEN, notifier=OTHER_HOTLINE)
    await work_items(client, both)
    with knowing(*BETWEEN):
        by_later = UUID(bytes=by_form(location)[2])
        shown = await client.get(f"/v1/work-items/{by_later}", headers=asking(PROVIDER))
    assert [one["notice_id"] for one in shown.json()["items"]] == [str(both)]
    with knowing(*BEFORE):
        unknown = await client.get(f"/v1/work-items/{by_later}", headers=asking(PROVIDER))
    assert unknown.status_code == 404


def test_a_later_edition_of_the_guard_leaves_tokens_by_a_form_as_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The later edition redacts more of this address.

    Without fixed forms, two releases could not match each other's rows.
    """
    location = "https://later.example/a?sig=abc"
    before = by_form(location)
    with_later(monkeypatch, tmp_path)
    assert by_form(location) == before


def test_the_newest_form_spells_by_todays_edition() -> None:
    """A new edition therefore needs a new form: addresses that differ only in redacted parts become one place again."""
    assert FORMS[max(FORMS)].edition == own()
