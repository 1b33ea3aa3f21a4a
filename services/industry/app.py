"""Assembly of the providers' service. Only this module chooses implementations."""

from __future__ import annotations

from typing import Final

from shared.core.acts.act import Subject, Track
from shared.features.attention.api import overdue
from shared.features.bulk.api import WorkRoutes, work_items_router
from shared.features.bulk.pages import PLACE as WORK
from shared.features.bulk.pages import WorkPages
from shared.features.events.api import no_words
from shared.features.filing.api.act_handlers import referrals_router
from shared.features.filing.store.attention import ERASE_AGAIN, ERASED
from shared.features.filing.store.edge_rows import referral_words
from shared.features.filing.store.locations import OriginTracks
from shared.features.notices import pages
from shared.features.notices.api import WAITS, notice_routes, notices_router, statistics_router
from shared.features.notices.effects import provider_handler
from shared.features.notices.pages import PLACE as REPORT
from shared.features.notices.pages import ReportPages
from shared.features.notices.rules import AUTHORITY, PROVIDER
from shared.features.notices.store import PostgresNotices
from shared.features.preservation.api import PROVIDER_WAITS, PreservationRoutes, preservations_router
from shared.features.preservation.pages import PLACE
from shared.features.preservation.store import (
    ProviderPreservations,
    preservation_words,
)
from shared.features.received.store.arriving import ERASED_RECEIVED
from shared.instance import parties
from shared.instance.app import App, serving
from shared.instance.machinery import InstanceParts
from shared.platform.http.edge import create_app

#: The statement that erases each kind of record again, in a restored database.
ERASES: Final = {ERASED: ERASE_AGAIN, ERASED_RECEIVED: PostgresNotices.erases}
#: Its features with parts at origins: routes, steps, tables and permissions.
FEATURES: Final = (*parties.FEATURES,)
#: The tracks of the service's features.
TRACKS: Final = OriginTracks


def assemble(machinery: InstanceParts) -> App:
    """Assemble the parts of the service on its machinery. This needs no database and no broker."""
    items = serving(machinery, AUTHORITY, FEATURES)
    origin, notices = parties.assemble_origin(machinery, items, FEATURES), notice_routes(items)
    sources = [
        *parties.ORIGIN_WAITS,
        *WAITS,
        *PROVIDER_WAITS,
        parties.own_questions(PROVIDER),
        overdue(machinery.clock, Subject.NOTICE),
    ]
    words = {"referrals": referral_words, "notices": no_words, "preservations": preservation_words}
    asked = PreservationRoutes(
        serving=items, track=Track.ANSWER, documents=machinery.documents, preservations=ProviderPreservations
    )
    routers = [referrals_router(origin.api), notices_router(items), work_items_router(notices)]
    routers += [*parties.party_routers(items, sources, words), preservations_router(asked), statistics_router(items)]
    door = parties.origin_console(
        machinery,
        items,
        title="Causeway industry",
        use=origin.api,
        kind=pages.notices(notices),
        sources=sources,
        folders=pages.FOLDERS,
        more=[
            parties.menu_entry("Work items", WORK),
            parties.menu_entry("Preservations", PLACE),
            parties.menu_entry("Report", REPORT),
        ],
        preservations=asked,
    )
    WorkPages(door.frame, WorkRoutes(notices), last=door.live.last)
    ReportPages(door.frame, notices)
    http = create_app("Causeway industry", [*routers, door.frame.closed()], probes=machinery.probes())
    app = origin.app(machinery, http, provider_handler(kek=machinery.keys.kek, origin=origin.bus))
    return parties.with_rules(app, PROVIDER, PostgresNotices)
