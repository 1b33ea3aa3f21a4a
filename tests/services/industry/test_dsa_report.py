"""A provider's report about the notices issued to it, as rows of Implementing Regulation (EU) 2024/2835."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from shared.core.contracts.answers import ItemStatement, NoticeStatements
from shared.core.contracts.decision import Edge
from shared.core.contracts.referral import NoticeRecord
from shared.core.ids import uuid7
from shared.core.protocol.message import Received, WireForm
from shared.core.vocabulary.answers import NoticeAction, NoticeRejection
from shared.core.vocabulary.referral import IncidentKind
from shared.features.notices.api import statistics_router
from shared.formats.dsa_notices import CATEGORY, COLUMNS
from tests.services.deliveries import OTHER_PROVIDER, PROVIDER, edge, issued
from tests.services.doors import door, serving
from tests.services.industry.provider import APPLYING, KEK, Providers

PATH = "/v1/statistics/dsa-notices"
#: Long before the notices of other tests. Each test has days of its own.
DAY = "2021-03-{:02}"
COUNTED = slice(5, 15)


def under(*articles: str) -> Edge:
    """Return the edge of a notice under these articles of the DSA."""
    basis = [{"instrument": "dsa", "article": each, "jurisdiction": "BLOC-EU"} for each in articles]
    return Edge.model_validate(edge(PROVIDER, "takedown").model_dump(mode="json", exclude_none=True) | {"basis": basis})


def notice(*articles: str, items: int = 1, to: str = PROVIDER) -> Received:
    found = issued(uuid7(), to=to, items=items)
    if not articles:
        return found
    stated = under(*articles)
    assert found.spelt is not None
    spelt = WireForm(stated.model_dump_json(exclude_none=True).encode(), found.spelt.record)
    return replace(found, edge=stated, spelt=spelt)


async def came(providers: Providers, day: int, messages: Sequence[Received]) -> list[UUID]:
    """Receive messages at noon of a day."""
    assert set(await providers.receive(*messages)) == {None}
    ids = [UUID(each.subject) for each in messages]
    async with providers.database.transaction(APPLYING) as session:
        # The first concerns a child at risk.
        moved = """
UPDATE received SET received_at = $2, priority = CASE WHEN subject = $1[1] THEN 'p0_child_at_risk' END
WHERE subject = ANY($1::uuid[])"""
        assert await session.driver.execute(moved, ids, noon(day)) == f"UPDATE {len(ids)}"
    return ids


def noon(day: int) -> datetime:
    return datetime(2021, 3, day, 12, tzinfo=UTC)


def removed(*numbers: int) -> NoticeStatements:
    return NoticeStatements(items=tuple(ItemStatement(n=n, action=NoticeAction.REMOVED) for n in numbers or (None,)))


async def answered(providers: Providers, times: Mapping[UUID, datetime]) -> None:
    """Add to the journal that the provider answered at these times."""
    row = "$1, 0, 'notice.answer', $2, $3, '{\"state\": \"actioned\"}'"
    add = f"INSERT INTO act (party, number, type, subject, at, detail) VALUES ({row})"
    async with providers.database.transaction(APPLYING) as session:
        await session.driver.executemany(add, [(PROVIDER, *each) for each in times.items()])


@pytest.fixture
async def http(providers: Providers) -> AsyncIterator[httpx.AsyncClient]:
    about = serving(providers.database, "industry", kek=KEK, directory=providers.directory)
    async with door(statistics_router(about)) as opened:
        yield opened
    async with providers.database.transaction(APPLYING) as session:
        # Urgent notices are first in the lists, before those of other tests.
        await session.driver.execute("UPDATE received SET priority = NULL WHERE priority = 'p0_child_at_risk'")


async def report(http: httpx.AsyncClient, day: int, *, party: str = PROVIDER, **query: str) -> dict[str, list[str]]:
    asked = {"since": DAY.format(day), "until": DAY.format(day), "exercises": "true"} | query
    answer = await http.get(PATH, params=asked, headers={"x-party": party, "x-role": "viewer"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8"), answer.text
    header, *rows = csv.reader(io.StringIO(answer.text, newline=""))
    assert tuple(header) == COLUMNS
    return {row[3]: row[COUNTED] for row in rows}


async def test_notices_items_actions_and_hours_of_a_day(providers: Providers, http: httpx.AsyncClient) -> None:
    plain, flagged, silent = await came(
        providers, 1, [notice("Art. 16", items=3), notice("Art. 16", "Art. 22(1)", items=2), notice("Art. 16")]
    )
    await providers.act("answer", removed(1, 2), plain)
    await providers.act("answer", removed(), flagged)
    await answered(providers, {plain: noon(1) + timedelta(hours=1.5), flagged: noon(1) + timedelta(hours=0.25)})
    assert silent
    rows = await report(http, 1)
    assert rows[CATEGORY] == ["3", "1", "6", "2", "0.25", "0.25", "4", "2", "", ""]
    assert rows["KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL"] == rows[CATEGORY]


async def test_what_was_gone_kept_or_rejected_is_no_action(providers: Providers, http: httpx.AsyncClient) -> None:
    gone, rejected = await came(providers, 2, [notice("Art. 16"), notice("Art. 16")])
    kept = [ItemStatement(action=each) for each in (NoticeAction.ALREADY_GONE, NoticeAction.PRESERVED)]
    await providers.act("answer", NoticeStatements(items=tuple(kept)), gone)
    refused = ItemStatement(rejection=NoticeRejection.NOT_FOUND)
    await providers.act("answer", NoticeStatements(items=(refused,)), rejected)
    assert (await report(http, 2))[CATEGORY] == ["2", "0", "2", "0", "", "", "0", "0", "", ""]


async def test_notices_of_other_laws_worlds_or_providers_are_out(providers: Providers, http: httpx.AsyncClient) -> None:
    others = [notice(), notice("Art. 220"), notice("Art. 16", to=OTHER_PROVIDER)]
    await came(providers, 3, others)
    assert (await report(http, 3))[CATEGORY][:2] == ["1", "0"]
    assert (await report(http, 3, exercises="false"))[CATEGORY][:2] == ["0", "0"]
    assert (await report(http, 3, party=OTHER_PROVIDER))[CATEGORY][:2] == ["1", "0"]
    assert (await report(http, 4))[CATEGORY][:2] == ["0", "0"]


async def test_an_amended_notice_counts_under_its_last_kind(providers: Providers, http: httpx.AsyncClient) -> None:
    (notice_id,) = await came(providers, 5, [notice("Art. 16")])
    again = issued(notice_id, revision=2)
    assert isinstance(again.sealed, NoticeRecord)
    record = again.sealed.model_copy(update={"incident_kind": IncidentKind.GROOMING})
    stated = under("Art. 16")
    spelt = WireForm(*(each.model_dump_json(exclude_none=True).encode() for each in (stated, record)))
    assert await providers.receive(replace(again, sealed=record, edge=stated, spelt=spelt)) == [None]
    rows = await report(http, 5)
    counted = {category: cells[0] for category, cells in rows.items() if cells[0] != "0"}
    assert counted == {CATEGORY: "1", "KEYWORD_GROOMING_SEXUAL_ENTICEMENT_MINORS": "1"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"since": "2026-02-01", "until": "2026-01-31"}, "period_empty"),
        ({"since": "2025-01-01", "until": "2026-01-02"}, "period_long"),
        ({"since": "2026-02-30", "until": "2026-03-01"}, "parameter_invalid"),
        ({"since": "2026-02-01"}, "parameter_invalid"),
    ],
)
async def test_a_period_is_at_most_a_year_of_days(http: httpx.AsyncClient, query: dict[str, str], code: str) -> None:
    answer = await http.get(PATH, params=query, headers={"x-party": PROVIDER, "x-role": "viewer"})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not any(value in answer.text for value in query.values())
