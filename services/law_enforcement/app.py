"""Assembly of the agencies' service. Only this module chooses implementations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from shared.core.acts.act import Subject, Track
from shared.core.protocol.prepare import Documents
from shared.delivery.subjects import ListedTracks
from shared.features.attention.api import overdue
from shared.features.cases import pages as cases_pages
from shared.features.cases.api import attention_sources, case_routes, cases_router, holds_router
from shared.features.cases.effects import AgencyHandler
from shared.features.cases.rules import AGENCY, AUTHORITY
from shared.features.cases.store.cases import PostgresCases, case_words
from shared.features.contacts.effects import SUGGESTED
from shared.features.preservation.api import AGENCY_WAITS, PreservationRoutes, preservations_router
from shared.features.preservation.pages import PLACE
from shared.features.preservation.store import PostgresPreservations, preservation_words
from shared.features.received.api import RecipientFeature
from shared.features.received.store.arriving import ERASED_RECEIVED, HeldLocations
from shared.instance import parties
from shared.instance.app import App, serving
from shared.instance.machinery import InstanceParts
from shared.platform.http.edge import create_app

#: The statement that erases each kind of record again, in a restored database.
ERASES: Final = {ERASED_RECEIVED: PostgresCases.erases}
#: Its features with messages of their own: routes, steps, tables and permissions.
FEATURES: Final[Sequence[RecipientFeature]] = (SUGGESTED,)
#: The tracks of the service's features.
TRACKS: Final = ListedTracks


def assemble(machinery: InstanceParts) -> App:
    """Assemble the parts of the service on its machinery. This needs no database and no broker."""
    documents, items = partial(_documents, machinery), serving(machinery, AUTHORITY, FEATURES)
    door = AgencyHandler(kek=machinery.keys.kek, documents=documents, now=machinery.clock.now, features=FEATURES)
    asks = PreservationRoutes(
        serving=items,
        track=Track.OFFER,
        documents=machinery.documents,
        preservations=PostgresPreservations,
        holds=HeldLocations,
    )
    sources = [
        *attention_sources(machinery.clock),
        *AGENCY_WAITS,
        parties.own_questions(AGENCY),
        overdue(machinery.clock, Subject.CASE),
    ]
    acting = [cases_router(items, documents), holds_router(items), preservations_router(asks)]
    acting += [each.routes(case_routes(items, documents)) for each in FEATURES if each.routes is not None]
    words = {"inbox": case_words, "preservations": preservation_words}
    pages = parties.party_console(
        machinery,
        items,
        title="Causeway law enforcement",
        menu=parties.around(
            parties.menu_entry(cases_pages.TITLE, cases_pages.PATH), parties.menu_entry("Preservations", PLACE)
        ),
        kinds=[cases_pages.cases(case_routes(items, documents))],
        sources=sources,
        folders=cases_pages.FOLDERS,
        preservations=asks,
    )
    routers = [*acting, *parties.party_routers(items, sources, words), pages.frame.closed()]
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
            **machinery.watching(http),
        },
        door,
    )
    return parties.with_rules(app, AGENCY, PostgresCases)


def _documents(machinery: InstanceParts) -> Documents:
    """Return the directory and policy in force."""
    return machinery.law.documents_at(machinery.clock.now())
