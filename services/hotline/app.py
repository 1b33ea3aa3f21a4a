"""The assembly of the hotline service: the only module that chooses implementations."""

from __future__ import annotations

from typing import Final

from shared.core.acts.act import Subject
from shared.features.attention.api import overdue
from shared.features.events.api import no_words
from shared.features.filing.api.act_handlers import referrals_router
from shared.features.filing.store.attention import ERASE_AGAIN, ERASED
from shared.features.filing.store.edge_rows import referral_words
from shared.features.filing.store.locations import OriginTracks
from shared.features.offers import pages
from shared.features.offers.api import WAITS, offer_routes, offers_router
from shared.features.offers.effects import hotline_handler
from shared.features.offers.rules import AUTHORITY, HOTLINE
from shared.features.offers.store import PostgresOffers
from shared.features.received.store.arriving import ERASED_RECEIVED
from shared.instance import parties
from shared.instance.app import App, serving
from shared.instance.machinery import InstanceParts
from shared.platform.http.edge import create_app

#: The statement that erases each kind of record again after a restore.
ERASES: Final = {ERASED: ERASE_AGAIN, ERASED_RECEIVED: PostgresOffers.erases}
#: Its features with parts at origins: routes, steps, tables and permissions.
FEATURES: Final = (*parties.FEATURES,)
#: The tracks of the service's features.
TRACKS: Final = OriginTracks


def assemble(machinery: InstanceParts) -> App:
    """Assemble the parts of the service on its machinery. Needs no database and no broker."""
    items = serving(machinery, AUTHORITY, FEATURES)
    origin = parties.assemble_origin(machinery, items, FEATURES)
    sources = [*parties.ORIGIN_WAITS, *WAITS, parties.own_questions(HOTLINE), overdue(machinery.clock, Subject.OFFER)]
    about = parties.party_routers(items, sources, {"referrals": referral_words, "inbox": no_words})
    routers = [referrals_router(origin.api), offers_router(items), *about]
    door = parties.origin_console(
        machinery,
        items,
        title="Causeway hotline",
        use=origin.api,
        kind=pages.offers(offer_routes(items)),
        sources=sources,
        folders=pages.FOLDERS,
    )
    http = create_app("Causeway hotline", [*routers, door.frame.closed()], probes=machinery.probes())
    app = origin.app(machinery, http, hotline_handler(kek=machinery.keys.kek, origin=origin.bus))
    return parties.with_rules(app, HOTLINE, PostgresOffers)
