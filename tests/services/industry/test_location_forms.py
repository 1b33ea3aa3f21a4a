"""Tokens of two forms share one store, as when two releases run together.

Tokens of different forms are never compared, so requests still match notices. A location is one work item with one id.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.acts.act import Subject
from shared.core.acts.states import row
from shared.core.authority import Role
from shared.core.contracts.referral import UrlLocator
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Refused
from shared.core.guard.edition import own
from shared.core.ids import uuid7
from shared.core.protocol.locations import FORMS
from shared.features.bulk.service import act_on_many
from shared.features.bulk.store import BatchedAct
from shared.features.locations.store import tokens
from shared.features.notices.service import act_on_notice
from shared.features.notices.store import PostgresNotices
from shared.features.preservation.store import ProviderPreservations
from shared.features.received.service.items import ItemActor
from shared.platform.database.migrate import find_differences, read_catalogue
from shared.platform.database.transactions import RowScope, Session
from tests.services.databases import connected
from tests.services.deliveries import AT, LOCATION, OTHER_HOTLINE, PROVIDER, issued
from tests.services.doors import ACTOR, asking
from tests.services.industry.provider import KEK, Providers
from tests.services.industry.test_preservation_before_removal import PRESERVED, asked, removing
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
    monkeypatch.setattr(KeyEncryptionKey, "location_token", lambda key, to, _, form: token(key, to, 1, form.lower()))
    notice_id = await noticed(providers, location, *of_notice)
    preservation_id = await wanted(providers, location, *of_request)
    assert await matched(providers, preservation_id) == []
    other = await noticed(providers, location, *of_request, notifier=OTHER_HOTLINE)
    by_first = notice_id if of_notice == BEFORE else other
    assert [*(await work_items(client, notice_id, other)).values()] == [[str(by_first)]]
    assert await may_remove(providers, notice_id)


async def test_a_location_is_one_work_item(providers: Providers, client: httpx.AsyncClient, location: str) -> None:
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


async def test_a_lead_by_others_takes_no_place(providers: Providers, client: httpx.AsyncClient, location: str) -> None:
    elsewhere = await noticed(providers, f"{location}/elsewhere", *BEFORE)
    led, leading = await noticed(providers, location, *BETWEEN), await noticed(providers, location, *BEFORE)
    cursor: dict[str, str | int] = {}
    for members in ([led, leading], [elsewhere]):
        answer = await client.get("/v1/work-items", params=cursor | {"limit": 1}, headers=asking(PROVIDER))
        (item,) = answer.json()["items"]
        assert [one["notice_id"] for one in item["items"]] == [str(each) for each in members]
        cursor = {"cursor": answer.json()["next"]}


async def test_an_id_by_another_form_is_found(providers: Providers, client: httpx.AsyncClient, location: str) -> None:
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


def test_a_later_edition_of_the_guard_changes_no_tokens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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


# -- Removals and requests take turns at a place. Removals do not wait for each other, and there is no deadlock.


_ANSWER = row(Subject.NOTICE, "answer")
_PLACES = 6
_READING = RowScope([PROVIDER], Role.ANALYST, "read")


class OneBatch:
    """The transaction of a batch of acts, bound to one act after the other like the HTTP routes."""

    def __init__(self, providers: Providers, session: Session) -> None:
        self._providers = providers
        self._session = session

    async def acting(self, action: str) -> ItemActor:
        await self._session.bind(RowScope([PROVIDER], Role.ANALYST, action))
        notices = PostgresNotices(self._session.driver, KEK)
        return ItemActor(PROVIDER, Role.ANALYST, ACTOR, notices, self._providers.directory, AT)

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[None]:
        async with self._session.savepoint():
            yield


async def at_places(providers: Providers, places: Sequence[str]) -> list[UUID]:
    """Receive one notice for each of the places."""
    notices = [uuid7() for _ in places]
    messages = [issued(each, location=place) for each, place in zip(notices, places, strict=True)]
    assert await providers.receive(*messages) == [None] * len(places)
    return notices


async def remove(providers: Providers, notices: Sequence[UUID], *, beside: UUID | None = None) -> set[str]:
    """Remove the items of these notices in one batch; return the outcomes.

    `beside`: the first also answers this request.
    """
    said = [removing((beside, PRESERVED)) if beside is not None and n == 0 else removing() for n in range(len(notices))]
    lines = [BatchedAct(n, _ANSWER, each, said[n]) for n, each in enumerate(notices)]
    async with providers.database.transaction(_READING) as session:
        outcomes = await act_on_many(lines, act_on_notice, OneBatch(providers, session))
    return {each.code if isinstance(each, Refused) else each for each in outcomes.values()}


@pytest.mark.timing
async def test_whoever_removes_waits_for_nobody_who_removes_at_the_same_place(providers: Providers) -> None:
    place = f"{LOCATION}/{uuid7()}"
    mine, other = await at_places(providers, [place, place])
    async with providers.database.transaction(RowScope([PROVIDER], Role.ANALYST, "answer")) as session:
        assert await ProviderPreservations(session.driver, KEK).unanswered(mine, PROVIDER, [1]) == []
        async with asyncio.timeout(20):
            assert await remove(providers, [other]) == {"actioned"}


async def rounds(providers: Providers, seeds: range) -> set[str]:
    """Run two batches of removals and two of requests in random orders.

    One batch answers a request, too. Return failures.
    """
    failed = set[str]()
    for seed in seeds:
        random = Random(seed)
        places = [f"{LOCATION}/{uuid7()}" for _ in range(_PLACES)]
        mine, others = await at_places(providers, places), await at_places(providers, places)
        beside = uuid7()
        assert await providers.receive(asked(beside, location=f"{LOCATION}/{uuid7()}")) == [None]
        requests = [[asked(uuid7(), location=each) for each in random.sample(places, 4)] for _ in range(2)]
        became = await asyncio.gather(
            remove(providers, random.sample(mine, _PLACES)),
            remove(providers, random.sample(others, _PLACES), beside=beside),
            *(providers.receive(*each) for each in requests),
            return_exceptions=True,
        )
        failed |= {str(each) for each in became if isinstance(each, BaseException)}
        assert all(each <= {"actioned", "preservation_unanswered"} for each in became if isinstance(each, set))
    return failed


async def test_removals_and_requests_at_the_same_places_never_wait_in_a_circle(providers: Providers) -> None:
    assert await rounds(providers, range(12)) == set()


async def test_with_a_turn_for_each_line_some_deadlock(providers: Providers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: no batch of removals takes its turns at its start."""

    async def nothing(*_: object) -> None: ...

    monkeypatch.setattr(PostgresNotices, "before_removing", nothing)
    for seed in range(50):
        if await rounds(providers, range(seed, seed + 1)) == {"database_unavailable"}:
            return
    pytest.fail("no round waited in a circle")


async def test_a_place_that_is_missing_among_turns_is_named(endpoint: DatabaseEndpoint, providers: Providers) -> None:
    """Selecting a missing row locks nothing, so the loss would go unnoticed."""
    async with connected(endpoint.owner_url) as owner:
        await owner.execute("BEGIN")
        before = await read_catalogue(owner)
        await owner.execute("DELETE FROM location_lock_slot WHERE slot = 17")
        (differing,) = find_differences(before, await read_catalogue(owner))
        assert differing.startswith("rows of location_lock_slot is ")
