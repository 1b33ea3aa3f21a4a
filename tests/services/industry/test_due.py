"""`GET /v1/due`: a party's own due items, soonest first, page by page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from shared.core.authority import Role
from shared.core.ids import uuid7
from shared.core.routing.clocks import Law
from shared.instance.parties import party_routers
from shared.platform.timers.store import list_timers
from shared.platform.timers.timers import Timers
from tests.contracts.described import Described
from tests.services.deliveries import OTHER_HOTLINE, OTHER_PROVIDER, PROVIDER, issued
from tests.services.doors import CLOCK, asking, door, serving, timers_of, until_idle
from tests.services.industry.provider import APPLYING, KEK, Providers
from tests.shared.core.routing.test_clocks import SAMPLE_LAW
from tests.support.manual_clock import ManualClock

DESCRIBED = Described("industry")


def provider_timers(providers: Providers) -> Timers:
    law = Law(providers.directory, SAMPLE_LAW)
    return timers_of(providers.database, lambda _: law, ManualClock(CLOCK.now()), APPLYING)


async def looked(providers: Providers) -> None:
    await until_idle(provider_timers(providers))


async def kept(providers: Providers, notice_id: UUID) -> list[asyncpg.Record]:
    """Return the deadlines of a notice."""
    async with providers.database.transaction(APPLYING) as session:
        rows: list[asyncpg.Record] = await session.driver.fetch(
            "SELECT * FROM deadline WHERE subject = $1 ORDER BY edge_id", notice_id
        )
    return rows


async def pages(
    providers: Providers, *, party: str = PROVIDER, subject: UUID | None = None, limit: int = 2
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    held = serving(providers.database, "industry", kek=KEK, directory=providers.directory)
    async with door(*party_routers(held)) as http:
        while True:
            wanted = {"limit": str(limit), "subject": subject and str(subject), "cursor": cursor}
            query = {name: value for name, value in wanted.items() if value is not None}
            answer = await http.get("/v1/due", params=query, headers=asking(party, role=Role.VIEWER))
            assert answer.status_code == 200, answer.text
            assert DESCRIBED.differences(answer) == []
            found += answer.json()["items"]
            cursor = answer.json()["next"]
            if cursor is None:
                return found


async def test_it_is_read_page_by_page_soonest_first_and_by_nobody_else(providers: Providers) -> None:
    notices = [uuid7() for _ in range(3)]
    await providers.receive(*(issued(each) for each in notices))
    await looked(providers)
    found = await pages(providers)
    assert found == await pages(providers, limit=200)
    mine = [each for each in found if each["subject"] in set(map(str, notices))]
    assert sorted(each["subject"] for each in mine) == sorted(map(str, notices)), "one entry an edge"
    assert [each["due_at"] for each in found] == sorted(each["due_at"] for each in found)
    assert {each["owed_by"] for each in mine} == {PROVIDER}
    of_one = await pages(providers, subject=notices[1])
    assert of_one == await pages(providers, subject=notices[1], limit=200)
    assert len(of_one) == len({(each["clock"], each["run"]) for each in of_one}) >= 3
    assert [each["due_at"] for each in of_one] == sorted(each["due_at"] for each in of_one)
    assert of_one[0] == next(each for each in mine if each["subject"] == str(notices[1]))
    assert await pages(providers, party=OTHER_PROVIDER, subject=notices[1]) == []
    others = await pages(providers, party=OTHER_PROVIDER)
    assert not [each for each in others if each["subject"] in set(map(str, notices))]


async def test_what_comes_has_timers_as_after_a_look(providers: Providers, monkeypatch: pytest.MonkeyPatch) -> None:
    law = Law(providers.directory, SAMPLE_LAW)
    monkeypatch.setattr(providers.database, "law_at", lambda _: law)
    notice_id = uuid7()
    notice = issued(notice_id)
    await providers.receive(notice)
    rows = await kept(providers, notice_id)
    ((timers, due_at, overdue_at),) = [(list_timers(row), row["due_at"], row["overdue_at"]) for row in rows]
    assert len(timers) >= 3
    assert due_at <= overdue_at == timers[0].due_at
    await provider_timers(providers).rebuild()
    assert await kept(providers, notice_id) == rows


async def test_one_edge_id_at_two_providers_has_a_deadline_of_each(providers: Providers) -> None:
    """The origin chooses the id of an edge, so two providers may have the same one."""
    first = issued(uuid7())
    other = issued(uuid7(), to=OTHER_PROVIDER, notifier=OTHER_HOTLINE)
    other = replace(other, clear=other.clear.model_copy(update={"edge_id": first.clear.edge_id}))
    assert await providers.receive(first, other) == [None, None]
    for message in (first, other):
        (row,) = await kept(providers, UUID(message.subject))
        assert (row["party"], row["origin"]) == (message.recipient, message.sender)


async def test_what_is_overdue_stays_and_comes_first(providers: Providers, monkeypatch: pytest.MonkeyPatch) -> None:
    notice_id = await providers.issue()
    await looked(providers)
    start = CLOCK.now()
    monkeypatch.setattr(CLOCK, "_now", start + timedelta(hours=80))
    await looked(providers)
    mine = await pages(providers, subject=notice_id)
    first = next(each for each in await pages(providers, limit=200) if each["subject"] == str(notice_id))
    assert first == mine[0]
    assert first["overdue"]
    late = {each["clock"] for each in mine if each["overdue"]}
    assert {"practice-notice-to-owner", "practice-notice-reminder"} <= late
    assert "practice-notice-to-registrar" not in late
    assert [each["overdue"] for each in mine] == sorted((each["overdue"] for each in mine), reverse=True)


async def test_a_cursor_that_was_made_up_and_a_role_that_only_applies_are_refused(providers: Providers) -> None:
    held = serving(providers.database, "industry", kek=KEK, directory=providers.directory)
    async with door(*party_routers(held)) as http:
        wrong = await http.get("/v1/due", params={"cursor": "AAAA"}, headers=asking(PROVIDER))
        assert (wrong.status_code, wrong.json()["code"]) == (400, "cursor_invalid")
        forbidden = await http.get("/v1/due", params={"cursor": "AAAA"}, headers=asking(PROVIDER, role=Role.SERVICE))
        assert forbidden.status_code == 403
