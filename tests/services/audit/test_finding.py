"""An auditor finds flows by who filed or was sent them and when, or by an id; each look is kept with its purpose."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import pytest

from services.audit import use_cases
from services.audit.ports import FoundFlows, Sought
from services.audit.use_cases import Look
from shared.envelope.headers import decode_headers
from shared.kernel.authority import Role
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid7
from shared.runtime.database.transactions import Database
from tests.services.audit.log import AUDITOR, PURPOSE, Log
from tests.support.builders import POLICE
from tests.support.exchange_world import HOTLINE


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)


async def found(
    log: Log,
    party: str | None = None,
    reference: UUID | None = None,
    *,
    days: int = 1,
    exercise: bool = True,
    role: Role = Role.AUDITOR,
    purpose: str | None = PURPOSE,
) -> FoundFlows:
    """What is found in `days` until a day after the world's time."""
    until = log.world.at + timedelta(days=1)
    sought = Sought(party, until - timedelta(days=days + 1), until, reference)
    return await use_cases.find_flows(sought, Look(AUDITOR, role, exercise, purpose), entries=log.entries)


@pytest.mark.parametrize("party", [None, HOTLINE, POLICE], ids=["anybody", "who filed it", "who was sent it"])
async def test_a_flow_is_found_by_a_party_and_a_period(log: Log, party: str | None) -> None:
    filed = log.world.prepared()
    await log.file(filed)
    (shown,) = [each for each in (await found(log, party)).items if each.referral_id == filed.referral_id]
    assert shown.origin == HOTLINE
    assert POLICE in shown.recipients


async def test_another_party_another_period_and_another_world_find_nothing_of_it(log: Log) -> None:
    filed = log.world.prepared()
    await log.file(filed)
    for others in (
        await found(log, "nobody.example"),
        await found(log, HOTLINE, days=-1),
        await found(log, HOTLINE, exercise=False),
        await found(log, reference=uuid7()),
    ):
        assert filed.referral_id not in {each.referral_id for each in others.items}


async def test_a_flow_is_found_by_the_id_of_its_referral_and_of_each_message(log: Log) -> None:
    filed = log.world.prepared()
    records = await log.file(filed)
    messages = [decode_headers(each.headers, each.value or b"").attributes for each in records]
    carried = [each for each in messages if each.recipient == POLICE]
    assert carried
    for reference in (filed.referral_id, *(each.id for each in carried)):
        assert [each.referral_id for each in (await found(log, reference=UUID(str(reference)))).items] == [
            filed.referral_id
        ]


async def test_a_look_without_a_purpose_or_by_another_role_finds_nothing(log: Log) -> None:
    with pytest.raises(Refused, match=r"^purpose_missing"):
        await found(log, purpose=None)
    with pytest.raises(Refused, match=r"^forbidden"):
        await found(log, role=Role.VIEWER)


async def test_what_was_looked_for_is_kept_with_its_purpose(log: Log, database: Database) -> None:
    await found(log, HOTLINE)
    async with database.transaction() as session:
        row = await session.driver.fetchrow("SELECT auditor, purpose, what FROM reading ORDER BY at DESC LIMIT 1")
    assert (row["auditor"], row["purpose"]) == (AUDITOR, PURPOSE)
    assert row["what"].startswith(f"find/{HOTLINE}/")


async def test_a_search_is_noted_by_the_days_that_were_asked_for(log: Log, database: Database) -> None:
    day = date(2026, 11, 27)
    sought = Sought.of(HOTLINE, None, since=day, until=day, now=log.world.at)
    await use_cases.find_flows(sought, Look(AUDITOR, Role.AUDITOR, True, PURPOSE), entries=log.entries)
    async with database.transaction() as session:
        what = await session.driver.fetchval("SELECT what FROM reading ORDER BY at DESC LIMIT 1")
    assert what == f"find/{HOTLINE}/2026-11-27/2026-11-27"
