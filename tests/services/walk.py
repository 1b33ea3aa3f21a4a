"""One referral's way through the code, in one process: filed, sent, received, answered, and the answer back.

The two doors, both databases and all that lies between are the real ones. Kafka is a list, and who asks stands in a
header: what identifies a caller and what moves bytes are the same for every message, and not on a reader's way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import httpx

from services.hotline.bus import hotline_door
from services.law_enforcement.api import cases_router
from services.law_enforcement.bus import AgencyDoor
from shared.exchange.accept import accept_batch
from shared.exchange.compose import compose_receipts
from shared.exchange.message import Draft, Received, Record
from shared.exchange.topics import inbox_topic
from shared.kernel.authority import Role
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.post.consumer import Composers, Consumer, Handler
from shared.runtime.post.inbox import Keeping, PostgresInbox
from shared.runtime.post.lease import Lease
from shared.runtime.post.numbering import Numbering
from shared.runtime.post.outbox import PostgresLanes
from shared.runtime.post.ports import Appended, Outgoing, Settlement, Unit
from shared.runtime.post.relay import Relay
from tests.services.doors import asking, door, serving
from tests.services.hotline.origin import KEK, Origin
from tests.support.builders import HOTLINE, POLICE
from tests.support.exchange_world import SUBMISSION, World, world
from tests.support.footsteps import Footsteps, footsteps

ORIGIN, AGENCIES = "hotline", "law_enforcement"
Answered = TypeVar("Answered")


@dataclass
class Walk:
    """The footsteps of each leg, by its name, and what the origin saw of the agency at the end."""

    legs: dict[str, Footsteps] = field(default_factory=dict)
    seen: tuple[str, str] = ("", "")

    async def leg(self, name: str, work: Callable[[], Awaitable[Answered]]) -> Answered:
        """Do the work and keep the way that it took."""
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
        agencies.last_step = Numbering(AGENCIES, self.world.keys[AGENCIES].signing)

    def cases(self) -> httpx.AsyncClient:
        """The agencies' way in for theirs."""
        directory = self.world.documents.directory
        return door(cases_router(serving(self.databases[AGENCIES], AGENCIES, kek=KEK, directory=directory)))

    async def relay(self, instance: str) -> tuple[Relay, Sequence[Record]]:
        """What publishes the instance's outbox, and the growing list of what it has published."""
        held = _Held(self.world, instance)
        lanes = PostgresLanes(self.databases[instance], fence=await Lease(self.databases[instance], "relay").wait())
        return Relay(lanes, held, clock=self.origin.clock, sign=_nothing_is_said), held.records

    def consumer(self, instance: str) -> Consumer:
        """What reads the instance's topic."""
        handlers: dict[str, Handler] = {
            ORIGIN: hotline_door(kek=KEK, origin=self.origin.bus),
            AGENCIES: AgencyDoor(kek=KEK, documents=lambda: self.world.documents, now=self.origin.clock.now),
        }
        served = RowScope(self.world.documents.directory.parties_of(instance), Role.SERVICE, "apply")
        keeping = Keeping(KEK, lambda need: need.met(self.world.shelf))
        return Consumer(
            PostgresInbox(self.databases[instance], scope=lambda: served, keeping=keeping, wake=_nobody),
            handlers[instance],
            accept=partial(accept_batch, reader=self.world.reader(instance)),
            composers=Composers(partial(self._receipts, instance), lambda parked: []),
            conversation=_Silence(),
            clock=self.origin.clock,
        )

    def _receipts(self, instance: str, to: str, entries: Any) -> Any:
        directory = self.world.documents.directory
        return compose_receipts(instance, to, entries, directory=directory, at=self.world.at)


async def walk(hotline: Database, agencies: Database) -> Walk:
    """File one referral, let an agency accept it, and hand its answer to the hotline; every leg is followed."""
    between, walked = Exchanged(hotline, agencies), Walk()
    async with between.origin.intake.running(), between.origin.door() as client:
        await _filed(client, "warm")  # what is read once and kept is not on every referral's way
        await between.origin.forget()
        answer = await walked.leg("filing", partial(_filed, client, "walk"))
    referral_id = UUID(answer["referral_id"])
    relay, sent = await between.relay(ORIGIN)
    await walked.leg("sending", partial(relay.publish_once, AGENCIES))
    offered = [record for record in sent if dict(record.headers)["ce_recipient"] == POLICE.encode()]
    await walked.leg("receiving", partial(between.consumer(AGENCIES).consume, offered))
    async with between.cases() as client:
        await walked.leg("answering", partial(_accepted, client, referral_id))
    relay, answered = await between.relay(AGENCIES)
    await relay.publish_once(ORIGIN)
    back = [record for record in answered if record.topic == inbox_topic(ORIGIN, AGENCIES)]
    await walked.leg("answered", partial(between.consumer(ORIGIN).consume, back))
    [edge] = [edge for edge in (await between.origin.show(referral_id))["edges"] if edge["recipient"] == POLICE]
    walked.seen = (edge["delivery"], edge["answer"])
    return walked


class _Silence:
    """The conversation of an instance that listens to nobody: what others say of delivery is read, and let be."""

    async def heard(self, unit: Unit, received: Sequence[Received]) -> None:
        return

    async def unread(self, unit: Unit, stated: Mapping[str, UUID]) -> None:
        return

    async def unknown(self, unit: Unit, held: Sequence[Settlement]) -> None:
        return


@dataclass
class _Held:
    """Kafka as a list: the relay's log writer."""

    world: World
    instance: str
    records: list[Record] = field(default_factory=list)

    async def append(self, lane: str, records: Sequence[Outgoing], *, once: bool = False) -> Appended:
        topic, first = inbox_topic(lane, self.instance), len(self.records)
        for number, each in enumerate(records, first):
            self.records.append(Record(topic, 0, number, self.world.at, each.key, each.headers, each.value))
        return Appended(len(records), first, self.world.at)


async def _filed(client: httpx.AsyncClient, reference: str) -> dict[str, Any]:
    body = SUBMISSION | {"external_ref": reference}
    answer = await client.post("/v1/referrals", json=body, headers=asking(HOTLINE, role=Role.MACHINE, key=reference))
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _accepted(client: httpx.AsyncClient, referral_id: UUID) -> None:
    headers = asking(POLICE, role=Role.MACHINE, key="accepting")
    answer = await client.post(f"/v1/cases/{referral_id}:accept", json={"case_reference": "2026/1"}, headers=headers)
    assert answer.status_code == 202, answer.text


def _nothing_is_said(draft: Draft) -> Outgoing:
    raise AssertionError("nothing is said without a number")


def _nobody() -> None:
    """Whoever would be woken is called by hand."""
