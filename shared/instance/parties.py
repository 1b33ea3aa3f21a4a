"""Routes, attention sources and automation that every party of an instance has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple

import asyncpg
from fastapi import APIRouter, FastAPI

from shared.core.acts.act import Subject
from shared.core.acts.states import LOOKING, may_come_in, row
from shared.core.acts.table import LAPSE
from shared.core.errors import Unavailable
from shared.core.guard import edition
from shared.core.protocol.acceptance import Acceptor
from shared.core.protocol.origin import ReferralState
from shared.core.protocol.prepare import Documents
from shared.delivery.sending import Handler
from shared.features.amendments.api import AMENDMENTS
from shared.features.attention.api import AttentionRoutes, AttentionSource, attention_router
from shared.features.attention.pages import ListPages
from shared.features.contacts.effects import CONTACTS, suggest
from shared.features.deadlines.api import DueList, due_router
from shared.features.events.api import Events, RouteContext, Words, events_router, timelines_router
from shared.features.events.pages import LiveStream
from shared.features.filing.api.act_handlers import OriginApi, OriginFeature
from shared.features.filing.api.bodies import answer_filed
from shared.features.filing.api.checking import CheckWorker
from shared.features.filing.effects import OriginHandler
from shared.features.filing.ports import AnswerFollower
from shared.features.filing.service.alarms import Alarms
from shared.features.filing.service.intake import Intake
from shared.features.filing.service.redecide import CurrentDocuments
from shared.features.filing.store.attention import keep_alarm, origin_waits, unclaimed_waits
from shared.features.filing.store.intake import PostgresFilings
from shared.features.filing.store.locations import Locations
from shared.features.holds.api import HOLDS
from shared.features.holds.effects import OriginTimers
from shared.features.holds.service import HoldAnswers
from shared.features.holds.store import PostgresHolds, expired_holds
from shared.features.import_export.pages import ImportPages
from shared.features.notices.api import RECHECKS
from shared.features.preservation.api import PreservationRoutes
from shared.features.preservation.pages import PLACE, PreservationPages
from shared.features.questions.api import QUESTIONS, questions_router
from shared.features.questions.service import QuestionExpiry
from shared.features.questions.store import asked_waits, raised_waits
from shared.features.received.effects import Automation, ItemsOf
from shared.features.received.rules import RecipientKind
from shared.features.transfers.api import TRANSFERS
from shared.features.transfers.service import ClaimGrants
from shared.features.transfers.store import PostgresTransfers
from shared.features.webhooks.api import WebhookRoutes, webhooks_router
from shared.features.webhooks.pages import WebhookPages
from shared.features.withdrawals.service import Withdrawals
from shared.features.workspace.pages import referrals, subjects
from shared.features.workspace.pages.subjects import SubjectKind, SubjectPages
from shared.instance.app import App, gate_of
from shared.instance.machinery import InstanceParts
from shared.instance.streams import first_of
from shared.platform.console.frame import ROOT, Frame, NavEntry
from shared.platform.console.rendering import folders_of
from shared.platform.database.failure_isolation import Isolation
from shared.platform.http.identity import whoami_router

#: The features of every origin, in the order of their routes and steps. They follow answers in this order, too.
FEATURES: Final = (AMENDMENTS, RECHECKS, HOLDS, TRANSFERS, QUESTIONS, CONTACTS)


def answer_followers(
    driver: asyncpg.Connection,
    documents: Callable[[], Documents],
    at: datetime,
    *,
    instance: str,
    features: Sequence[OriginFeature],
) -> Sequence[AnswerFollower]:
    """Return what follows the answers of one transaction: holds, claims, then the other features."""
    holding = HoldAnswers(PostgresHolds(driver), documents, instance, at)
    claiming = ClaimGrants(PostgresTransfers(driver), documents, instance, at, holding.lapse)
    return holding, claiming, *(each.follow(driver, documents, at) for each in features if each.follow is not None)


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
                self.bus.run(machinery.speaking_scope, erasing=machinery.streams.row_scope),
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
                **machinery.watching(http),
            },
            handler,
        )


def assemble_origin(
    machinery: InstanceParts, serving: RouteContext, features: Sequence[OriginFeature] = FEATURES
) -> Origin:
    """Build an origin with these features that acts by the permits of `serving`."""
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
        features=features,
    )
    bus = OriginHandler(
        machinery.database,
        law=CurrentDocuments(machinery.documents, machinery.law.documents_at),
        instance=machinery.instance,
        kek=machinery.keys.kek,
        clock=machinery.clock,
        unreleased_days=machinery.settings.unreleased_days,
        catalog=machinery.catalog,
        aside=machinery.aside,
        followers=partial(answer_followers, instance=machinery.instance, features=features),
        sent_again=[each.sent_again for each in features if each.sent_again is not None],
        works=[suggest],
    )
    return Origin(api, bus, intake, alarms, checking, OriginTimers(bus, machinery.speaking_scope))


def party_routers(
    serving: RouteContext, sources: Sequence[AttentionSource] = (), words: Mapping[str, Words] = MappingProxyType({})
) -> Sequence[APIRouter]:
    """Return the routes that every party has, in any role.

    `sources` are the sources of its attention list. `words` has the reader of the words of acts for each collection.
    """
    return (
        attention_router(serving, sources),
        questions_router(serving),
        events_router(serving),
        due_router(serving),
        timelines_router(serving, words),
        webhooks_router(serving),
        whoami_router(serving.identified),
    )


#: Sources for referrals that the party has submitted itself, in all services that are origins.
ORIGIN_WAITS: Final = (
    AttentionSource("referral", ReferralState.ROUTED, origin_waits),
    AttentionSource("referral", ReferralState.ROUTED, unclaimed_waits),
    AttentionSource("referral", ReferralState.ROUTED, expired_holds),
    AttentionSource("referral", ReferralState.ROUTED, asked_waits),
)


def with_rules(app: App, recipient: RecipientKind, items: ItemsOf) -> App:
    """Return the service with two more parts: one for withdrawals and retention, one for overdue questions."""
    machinery = app.machinery
    rule = Automation(
        recipient=recipient,
        database=machinery.database,
        items=items,
        kek=machinery.keys.kek,
        instance=machinery.instance,
        directory=machinery.directory,
        clock=machinery.clock,
        aside=machinery.aside,
    )
    withdrawals = Withdrawals(rule, answer_h=machinery.settings.withdrawal_answer_h)
    return replace(app, parts=app.parts | {"withdrawals": withdrawals.run, "lapses": QuestionExpiry(rule).run})


def own_questions(recipient: RecipientKind) -> AttentionSource:
    """Build the attention source of the party's own questions and disputes."""
    subject = recipient.subject
    open_in = sorted(may_come_in(row(subject, LAPSE)))
    look = partial(raised_waits, subject=subject, open_in=open_in)
    return AttentionSource(subject.value, recipient.first, look)


class ConsoleRouter(NamedTuple):
    """The console to which pages are added before it is `closed`."""

    frame: Frame
    live: LiveStream


def party_console(
    machinery: InstanceParts,
    serving: RouteContext,
    *,
    title: str,
    menu: Sequence[NavEntry],
    kinds: Sequence[SubjectKind],
    sources: Sequence[AttentionSource],
    folders: Sequence[str],
    places: Mapping[Subject, str] = MappingProxyType({}),
    preservations: PreservationRoutes | None = None,
) -> ConsoleRouter:
    """Build the pages that every party has, and the pages of its received subjects.

    `folders` are modules with a template folder. `sources` are the sources of the attention list. `places` are the
    paths of further kinds of subjects below /console. `preservations` is set for agencies and providers only.
    """
    frame = Frame(gate_of(machinery), title, menu, folders=folders_of([*folders, subjects.__file__]))
    live = LiveStream(frame, Events(serving))
    for kind in kinds:
        SubjectPages(frame, kind, live=live)
    found = {kind.routes.recipient.subject: kind.path for kind in kinds} | dict(places)
    if preservations is not None:
        PreservationPages(frame, preservations, live=live)
        found |= {Subject.PRESERVATION: PLACE}
    attention, due = AttentionRoutes(serving, sources), DueList(serving)
    ListPages(frame, live, attention, due=due, places=found)
    WebhookPages(frame, WebhookRoutes(serving))
    return ConsoleRouter(frame, live)


def menu_entry(title: str, path: str) -> NavEntry:
    """Return a menu entry for all roles that may read."""
    return NavEntry(title, f"{ROOT}/{path}", LOOKING)


def around(*own: NavEntry) -> Sequence[NavEntry]:
    """Return a menu: attention first, then the party's own entries, then deadlines and webhooks."""
    return menu_entry("Attention", "attention"), *own, menu_entry("Due", "due"), menu_entry("Webhooks", "webhooks")


def origin_console(
    machinery: InstanceParts,
    serving: RouteContext,
    *,
    title: str,
    use: OriginApi,
    kind: SubjectKind,
    sources: Sequence[AttentionSource],
    folders: Sequence[str],
    more: Sequence[NavEntry] = (),
    preservations: PreservationRoutes | None = None,
) -> ConsoleRouter:
    """Build the pages of a party that submits its own referrals and receives one `kind` of subject.

    `more` are menu entries for pages that its service adds.
    """
    files = row(Subject.REFERRAL, "submit").roles
    menu = around(
        menu_entry("My referrals", "referrals"),
        NavEntry("New referral", f"{ROOT}/new", files),
        NavEntry("Import", f"{ROOT}/import", files),
        menu_entry(kind.title, kind.path),
        *more,
    )
    door = party_console(
        machinery,
        serving,
        title=title,
        menu=menu,
        kinds=[kind],
        sources=sources,
        folders=folders,
        places={Subject.REFERRAL: "referrals"},
        preservations=preservations,
    )
    referrals.ReferralPages(door.frame, use, last=door.live.last)
    ImportPages(door.frame, use)
    return door
