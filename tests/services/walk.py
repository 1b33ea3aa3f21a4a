"""One referral's way through the code, in one process: submitted, sent, received, answered, and the answer's return.

The HTTP routes, both databases and all code between are real. Kafka is a list, and a header identifies the caller.
Authentication and transport are the same for every message, so a reader of the code can skip them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import httpx

from services.law_enforcement.app import FEATURES
from shared.core.authority import Role
from shared.delivery.subjects import ListedTracks
from shared.features.cases.api import cases_router
from shared.features.cases.effects import AgencyHandler
from shared.features.filing.store.locations import OriginTracks
from shared.features.offers.effects import hotline_handler
from shared.messaging.acks import ACK_PAUSE
from shared.platform.database.transactions import Database
from tests.services.doors import asking, door, serving
from tests.services.hotline.origin import KEK, Origin
from tests.support.builders import HOTLINE, POLICE
from tests.support.consuming import Site
from tests.support.exchange_world import SUBMISSION, World, world
from tests.support.footsteps import Footsteps, footsteps
from tests.support.wire_records import Written

ORIGIN, AGENCIES = "hotline", "law_enforcement"
Answered = TypeVar("Answered")


@dataclass
class Walk:
    """The footsteps of each leg, by its name, and the origin's final view of the agency."""

    legs: dict[str, Footsteps] = field(default_factory=dict)
    seen: tuple[str, str] = ("", "")

    async def leg(self, name: str, work: Callable[[], Awaitable[Answered]]) -> Answered:
        """Do the work and record its footsteps."""
        with footsteps() as steps:
            answered = await work()
        self.legs[name] = steps
        return answered


class Exchanged:
    """A hotline and the agencies with a world between them."""

    def __init__(self, hotline: Database, agencies: Database) -> None:
        self.world: World = world()
        self.databases = {ORIGIN: hotline, AGENCIES: agencies}
        self.origin = Origin(hotline, self.world)
        clock = self.origin.clock
        agency_door = AgencyHandler(kek=KEK, documents=lambda: self.world.documents, now=clock.now, features=FEATURES)
        origin_console = hotline_handler(kek=KEK, origin=self.origin.bus)
        self.sites = {
            ORIGIN: Site(self.world, ORIGIN, hotline, origin_console, OriginTracks, clock=clock),
            AGENCIES: Site(self.world, AGENCIES, agencies, agency_door, ListedTracks, clock=clock),
        }

    def cases(self) -> httpx.AsyncClient:
        """Return a client of the agencies' routes for their cases."""
        directory = self.world.documents.directory
        return door(
            cases_router(
                serving(self.databases[AGENCIES], AGENCIES, kek=KEK, directory=directory), lambda: self.world.documents
            )
        )

    async def deliver(self, writer: str, reader: str) -> list[Written]:
        """Deliver the unsent messages; return their records."""
        written = await self.sites[writer].relay(reader)
        await self.sites[reader].take(written)
        return written


async def walk(hotline: Database, agencies: Database) -> Walk:
    """Submit one referral, let an agency accept it, and deliver its answer to the hotline. Trace every leg."""
    between, walked = Exchanged(hotline, agencies), Walk()
    origin, agency = between.sites[ORIGIN], between.sites[AGENCIES]
    async with between.origin.intake.running(), between.origin.door() as client:
        await _filed(client, "warm")  # caches are filled before the traced submission
        await between.deliver(ORIGIN, AGENCIES)
        answer = await walked.leg("filing", partial(_filed, client, "walk"))
    referral_id = UUID(answer["referral_id"])
    offered = await walked.leg("sending", partial(origin.relay, AGENCIES))
    await walked.leg("receiving", partial(agency.take, offered))
    between.origin.clock.advance(ACK_PAUSE.total_seconds())
    await origin.take(await agency.acknowledge(ORIGIN))
    async with between.cases() as client:
        await walked.leg("answering", partial(_accepted, client, referral_id))
    await walked.leg("answered", partial(origin.take, await agency.relay(ORIGIN)))
    [edge] = [edge for edge in (await between.origin.show(referral_id))["edges"] if edge["recipient"] == POLICE]
    walked.seen = (edge["delivery"], edge["answer"])
    return walked


async def _filed(client: httpx.AsyncClient, reference: str) -> dict[str, Any]:
    body = SUBMISSION | {"external_ref": reference}
    answer = await client.post("/v1/referrals", json=body, headers=asking(HOTLINE, role=Role.MACHINE, key=reference))
    assert answer.status_code == 202, answer.text
    return answer.json()


async def _accepted(client: httpx.AsyncClient, referral_id: UUID) -> None:
    headers = asking(POLICE, role=Role.MACHINE, key="accepting")
    answer = await client.post(f"/v1/cases/{referral_id}:accept", json={"case_reference": "2026/1"}, headers=headers)
    assert answer.status_code == 202, answer.text
