"""The assembly of an origin on the machinery of its instance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import asyncpg
from fastapi import FastAPI

from shared.core.errors import Unavailable
from shared.core.guard import edition
from shared.core.protocol.acceptance import Acceptor
from shared.core.protocol.prepare import Documents
from shared.instance.app import App
from shared.instance.delivery.sending import Handler
from shared.instance.machinery import InstanceParts
from shared.instance.streams import first_of
from shared.party.failure_isolation import Isolation
from shared.party.origin.api.act_handlers import OriginApi
from shared.party.origin.api.bodies import answer_filed
from shared.party.origin.api.checking import CheckWorker
from shared.party.origin.api.routes import AMENDMENTS, HOLDS, QUESTIONS, RECHECKS, TRANSFERS
from shared.party.origin.bus import OriginHandler, OriginTimers, suggest
from shared.party.origin.records import AnswerFollower
from shared.party.origin.store.filing import PostgresFilings
from shared.party.origin.store.holds import PostgresHolds, keep_alarm
from shared.party.origin.store.locations import Locations
from shared.party.origin.store.transfers import PostgresContacts, PostgresTransfers
from shared.party.origin.use_cases.alarms import Alarms
from shared.party.origin.use_cases.holds import HoldAnswers
from shared.party.origin.use_cases.intake import Intake
from shared.party.origin.use_cases.questions import QuestionBatch
from shared.party.origin.use_cases.redecide import CurrentDocuments, SentAgain
from shared.party.origin.use_cases.transfers import ClaimGrants, ContactQueue, suggest_again, tell_transfers_again
from shared.party.questions.store import PostgresQuestions
from shared.party.serving import RouteContext

#: The features that add routes and acts on referrals, in this order.
FEATURES: Final = (AMENDMENTS, RECHECKS, HOLDS, TRANSFERS, QUESTIONS)
#: The steps of features for edges that are sent again.
SENT_AGAIN: Final[Sequence[SentAgain]] = (tell_transfers_again, suggest_again)


def answer_followers(
    driver: asyncpg.Connection, documents: Callable[[], Documents], at: datetime, *, instance: str
) -> Sequence[AnswerFollower]:
    """Return the features that follow the answers of one transaction."""
    holding = HoldAnswers(PostgresHolds(driver), documents, instance, at)
    claiming = ClaimGrants(PostgresTransfers(driver), documents, instance, at, holding.lapse)
    asked = QuestionBatch(PostgresQuestions(driver), at)
    return holding, claiming, asked, ContactQueue(PostgresContacts(driver))


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
        features=FEATURES,
    )
    bus = OriginHandler(
        machinery.database,
        law=CurrentDocuments(machinery.documents, machinery.law.documents_at),
        instance=machinery.instance,
        kek=machinery.keys.kek,
        clock=machinery.clock,
        unreleased_days=machinery.settings.unreleased_days,
        aside=machinery.aside,
        followers=partial(answer_followers, instance=machinery.instance),
        sent_again=SENT_AGAIN,
        works=[suggest],
    )
    return Origin(api, bus, intake, alarms, checking, OriginTimers(bus, machinery.speaking_scope))
