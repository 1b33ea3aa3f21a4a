"""Audit's HTTP routes: a request for more than Kafka has is refused cleanly; flows are found as on the pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.audit.api import flows_router
from services.audit.store.entries import PostgresEntries, PostgresPartitions
from shared.core.authority import Role
from shared.platform.database.transactions import Database
from tests.services.audit.log import AUDITOR, PURPOSE, Log
from tests.services.doors import asking, door, identified_as
from tests.support.builders import AT, POLICE
from tests.support.exchange_world import HOTLINE
from tests.support.manual_clock import ManualClock

HEADERS = asking(AUDITOR, role=Role.AUDITOR) | {"Purpose": PURPOSE}


async def asked(database: Database, path: str, **query: Any) -> httpx.Response:
    clock = ManualClock(AT + timedelta(days=1))
    places = PostgresEntries(database), PostgresPartitions(database)
    async with door(flows_router(*places, identified_as("auditor"), clock=clock)) as client:
        return await client.get(path, params=query, headers=HEADERS)


@pytest.mark.parametrize(("partition", "status"), [(2**31 - 1, 200), (2**31, 400), (-1, 400)])
async def test_a_partition_that_kafka_cannot_have_is_refused(database: Database, partition: int, status: int) -> None:
    answer = await asked(database, "/v1/entries", topic="causeway.audit.v1", partition=partition)
    assert answer.status_code == status


async def test_flows_are_found_by_party_period_and_reference(database: Database) -> None:
    log = Log(database)
    filed = log.world.prepared()
    await log.file(filed)
    day, before = f"{AT:%Y-%m-%d}", f"{AT - timedelta(days=1):%Y-%m-%d}"

    async def finds(**query: str) -> bool:
        answer = await asked(database, "/v1/flows", **query)
        assert answer.status_code == 200, answer.text
        return str(filed.referral_id) in {each["referral_id"] for each in answer.json()["items"]}

    for sought in ({}, {"party": HOTLINE}, {"party": POLICE}, {"since": day, "until": day}):
        assert await finds(**sought)
    assert await finds(reference=str(filed.referral_id), until=before)
    for said in ({"party": "nobody.example"}, {"until": before}, {"party": HOTLINE, "since": before, "until": before}):
        assert not await finds(**said)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"since": "2026-05-04", "until": "2026-05-03"}, "period_empty"),
        ({"since": "2026-05-99"}, "parameter_invalid"),
        ({"reference": "x"}, "parameter_invalid"),
    ],
)
async def test_a_wrong_period_or_reference_is_refused(database: Database, query: dict[str, str], code: str) -> None:
    answer = await asked(database, "/v1/flows", **query)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
