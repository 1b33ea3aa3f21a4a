"""The evidence that a notice was issued: for every role that may see it, verified with the directory alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.authority import Role
from shared.core.evidence import check_evidence, read_evidence
from shared.core.ids import uuid7
from shared.core.protocol.accept import accept
from shared.core.protocol.message import Record
from shared.delivery.sending import Unit
from shared.features.notices.api import notices_router
from shared.platform.database.transactions import RowScope
from tests.services.databases import connected
from tests.services.doors import asking, door, serving
from tests.services.industry.provider import KEK, Providers
from tests.support.builders import PROVIDER
from tests.support.exchange_world import ELSEWHERE, LOCATION, World, world
from tests.support.foreign_proofs import foreign_verdicts

STRANGER = "provider-002.example"


@dataclass
class Received:
    """A notice that arrived over Kafka, and the route to its evidence."""

    world: World
    record: Record
    notice_id: str
    client: httpx.AsyncClient

    async def ask(self, party: str, role: Role = Role.ANALYST, notice_id: str | None = None) -> httpx.Response:
        path = f"/v1/notices/{notice_id or self.notice_id}/evidence"
        return await self.client.get(path, headers=asking(party, role=role))


@pytest.fixture
async def received(providers: Providers) -> AsyncIterator[Received]:
    here = world()
    records = here.records(here.prepared().drafts)
    record = next(each for each in records if each.topic.startswith("causeway.inbox.industry."))
    message = accept(record, here.reader("industry"))
    async with providers.database.transaction(RowScope((PROVIDER,), Role.SERVICE, "apply")) as session:
        unit = Unit(session)
        assert await providers.door.apply(unit, [message]) == {}
    signing, directory = here.keys["industry"].signing, here.documents.directory
    router = notices_router(serving(providers.database, "industry", kek=KEK, directory=directory, signing=signing))
    async with door(router) as client:
        yield Received(here, record, message.subject, client)


@pytest.mark.parametrize("role", [Role.ANALYST, Role.MACHINE, Role.VIEWER])
async def test_whoever_may_see_the_notice_gets_what_proves_it(received: Received, role: Role) -> None:
    answer = await received.ask(PROVIDER, role)
    assert answer.status_code == 200
    for each in read_evidence(answer.content).evidence:
        check_evidence(each, received.world.documents.directory)
    assert foreign_verdicts(received.world.document, evidence=answer.json()["evidence"]) == [True]


async def test_nobody_else_gets_it_and_cannot_tell_that_it_is_there(received: Received) -> None:
    foreign, absent = await received.ask(STRANGER), await received.ask(PROVIDER, notice_id=str(uuid7()))
    assert foreign.status_code == absent.status_code == 404
    assert foreign.content == absent.content
    forbidden = await received.ask(PROVIDER, Role.AUDITOR)
    assert (forbidden.status_code, forbidden.json()["code"]) == (403, "forbidden")


async def test_it_opens_no_record_and_shows_no_location(received: Received, providers: Providers) -> None:
    answer = await received.ask(PROVIDER)
    assert await providers.sent(UUID(received.notice_id)) == []
    opened = await received.client.get(f"/v1/notices/{received.notice_id}", headers=asking(PROVIDER))
    for location in (LOCATION, ELSEWHERE):
        assert location not in answer.text
    assert LOCATION in opened.text, "the search above would find it"


async def test_what_was_erased_with_the_record_is_told_to_be(received: Received, endpoint: DatabaseEndpoint) -> None:
    async with connected(endpoint.owner_url) as owner:
        await owner.execute("ALTER TABLE received NO FORCE ROW LEVEL SECURITY")
        await owner.execute("UPDATE received SET wrapped_key = NULL WHERE subject = $1::text::uuid", received.notice_id)
        await owner.execute("ALTER TABLE received FORCE ROW LEVEL SECURITY")
    answer = await received.ask(PROVIDER)
    assert (answer.status_code, answer.json()["code"]) == (410, "evidence_erased")
    assert (await received.ask(STRANGER)).status_code == 404
