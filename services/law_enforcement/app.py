"""Assembly of the agencies' service. Only this module chooses implementations."""

from __future__ import annotations

from functools import partial
from typing import Final

from shared.core.acts.act import CaseState, PreservationState, Subject, Track
from shared.core.protocol.prepare import Documents
from shared.delivery.subjects import ListedTracks
from shared.features.attention.api import AttentionQuery, AttentionSource, overdue
from shared.features.cases import pages as cases_pages
from shared.features.cases.api import case_routes, cases_router, holds_router
from shared.features.cases.effects import AgencyHandler
from shared.features.cases.rules import AGENCY, AUTHORITY
from shared.features.cases.store.cases import PostgresCases, case_words
from shared.features.cases.store.leases import cases_waiting
from shared.features.cases.store.passed_cases import cases_back
from shared.features.contacts.store import contacts_waiting
from shared.features.holds.store import ended_holds
from shared.features.preservation.api import PreservationRoutes, preservations_router
from shared.features.preservation.pages import PLACE
from shared.features.preservation.store import PostgresPreservations, preservation_words, refused_waits
from shared.features.received.store.arriving import ERASED_RECEIVED, HeldLocations
from shared.instance.app import App, serving
from shared.instance.machinery import InstanceParts, build_machinery
from shared.instance.parties import around, entry, own_questions, party_door, party_routers, with_rules
from shared.instance.settings import RuntimeSettings
from shared.platform.http.edge import create_app

#: The statement that erases each kind of record again, in a restored database.
ERASES: Final = {ERASED_RECEIVED: PostgresCases.erases}


async def build(instance: str, **given: object) -> App:
    """Wire the instance of this name. Settings in `given`, by field, override its environment. Nothing runs yet."""
    settings = RuntimeSettings.of(instance, **given)
    return assemble(await build_machinery(instance, settings, erases=ERASES, tracks=ListedTracks))


def assemble(machinery: InstanceParts) -> App:
    """Assemble the parts of the service on its machinery. This needs no database and no broker."""
    documents, items = partial(_documents, machinery), serving(machinery, AUTHORITY)
    door = AgencyHandler(kek=machinery.keys.kek, documents=documents, now=machinery.clock.now)
    at_risk = partial(cases_waiting, now=machinery.clock.now)
    looks: list[AttentionQuery] = [at_risk, ended_holds, contacts_waiting, cases_back]
    asks = PreservationRoutes(
        serving=items,
        track=Track.OFFER,
        documents=machinery.documents,
        preservations=PostgresPreservations,
        holds=HeldLocations,
    )
    sources = [AttentionSource("case", CaseState.OFFERED, look) for look in looks]
    sources.append(AttentionSource("preservation", PreservationState.REQUESTED, refused_waits))
    sources += [own_questions(AGENCY), overdue(machinery.clock, Subject.CASE)]
    acting = [cases_router(items, documents), holds_router(items), preservations_router(asks)]
    words = {"inbox": case_words, "preservations": preservation_words}
    pages = party_door(
        machinery,
        items,
        title="Causeway law enforcement",
        menu=around(entry(cases_pages.TITLE, cases_pages.PATH), entry("Preservations", PLACE)),
        kinds=[cases_pages.cases(case_routes(items, documents))],
        sources=sources,
        folders=cases_pages.FOLDERS,
        preservations=asks,
    )
    routers = [*acting, *party_routers(items, sources, words), pages.frame.closed()]
    http = create_app("Causeway law enforcement", routers, probes=machinery.probes())
    app = App(
        machinery,
        http,
        {
            "api": lambda: machinery.run_api(http),
            "documents": machinery.run_documents,
            "timers": machinery.run_timers,
            "relay": lambda: machinery.run_relay(door),
            "courier": machinery.run_courier,
            "consumer": lambda: machinery.run_bus(door),
            **machinery.watching(),
        },
        door,
    )
    return with_rules(app, AGENCY, PostgresCases)


def _documents(machinery: InstanceParts) -> Documents:
    """Return the directory and policy in force."""
    return machinery.law.documents_at(machinery.clock.now())
