"""The assembly of an origin on the machinery of its instance."""

from __future__ import annotations

from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial

from fastapi import FastAPI

from shared.core.errors import Unavailable
from shared.core.guard import edition
from shared.core.protocol.acceptance import Acceptor
from shared.instance.app import App
from shared.instance.delivery.unit import Handler
from shared.instance.machinery import InstanceParts
from shared.instance.parts import first_of
from shared.party.failure_isolation import Isolation
from shared.party.origin.api.act_handlers import OriginApi
from shared.party.origin.api.bodies import answer_filed
from shared.party.origin.api.checking import CheckWorker
from shared.party.origin.bus import OriginHandler, OriginTimers
from shared.party.origin.store.filing import PostgresFilings
from shared.party.origin.store.holds import keep_alarm
from shared.party.origin.store.locations import Locations
from shared.party.origin.use_cases.alarms import Alarms
from shared.party.origin.use_cases.intake import Intake
from shared.party.origin.use_cases.redecide import CurrentDocuments
from shared.party.serving import RouteContext


@dataclass(frozen=True, slots=True)
class Origin:
    """The parts of an originating service: HTTP, Kafka, intake, alarms and timers."""

    api: OriginApi
    bus: OriginHandler
    intake: Intake
    alarms: Alarms
    checking: CheckWorker
    timers: OriginTimers

    def app(self, machinery: InstanceParts, http: FastAPI, handler: Handler) -> App:
        """Return the service with its parts."""

        async def serve() -> None:
            # The intake outlives the server, so that requests that arrive during shutdown still get an answer.
            async with self.alarms.running(), self.intake.running(), aclosing(self.checking):
                with suppress(Unavailable):  # Known from the start: the message versions that each peer reads.
                    await machinery.peers.look()
                await machinery.run_api(http)

        async def consume() -> None:
            await first_of(
                machinery.run_bus(handler),
                self.bus.run(machinery.speaking_scope, erasing=machinery.service_scope),
                self.bus.issue_waiting(machinery.speaking_scope),
            )

        async def tell_time() -> None:
            await first_of(machinery.run_timers(), self.timers.run())

        async def watch() -> None:
            await first_of(machinery.run_documents(), machinery.peers.run())

        locations = Locations(
            machinery.database,
            machinery.keys.kek,
            lambda: machinery.directory().parties_of(machinery.instance),
            apart=Isolation(machinery.aside, machinery.clock),
        )
        return App(
            machinery,
            http,
            {
                "api": serve,
                "documents": watch,
                "timers": tell_time,
                "relay": lambda: machinery.run_relay(handler),
                "courier": machinery.run_courier,
                "consumer": consume,
                "moves": self.bus.follow_moves,
                "locations": locations.run,
                **machinery.watching(),
            },
            handler,
        )


def assemble_origin(machinery: InstanceParts, serving: RouteContext) -> Origin:
    """Build an origin that acts by the permits of `serving`."""
    acceptor = Acceptor(
        machinery.instance, machinery.keys.signing, edition(), merge_delay_s=machinery.settings.merge_delay_s
    )
    alarms = Alarms(
        partial(keep_alarm, machinery.database),
        clock=machinery.clock,
        name_of=lambda party: machinery.keys.kek.actor_id(party, b""),
    )
    intake = Intake(
        PostgresFilings(machinery.database, machinery.keys.kek),
        answering=partial(answer_filed, acceptor=acceptor),
        authority=serving.authority,
        documents=machinery.documents,
        instance=machinery.instance,
        clock=machinery.clock,
        owe=machinery.budgets.owe,
        alarms=alarms,
    )
    checking = CheckWorker(machinery.documents)
    api = OriginApi(
        serving=serving,
        intake=intake,
        checking=checking,
        alarms=alarms,
        documents=machinery.documents,
        then=machinery.law.documents_at,
        instance=machinery.instance,
    )
    bus = OriginHandler(
        machinery.database,
        law=CurrentDocuments(machinery.documents, machinery.law.documents_at),
        instance=machinery.instance,
        kek=machinery.keys.kek,
        clock=machinery.clock,
        unreleased_days=machinery.settings.unreleased_days,
        aside=machinery.aside,
    )
    return Origin(api, bus, intake, alarms, checking, OriginTimers(bus, machinery.speaking_scope))
