"""Assembly of the providers' service. Only this module chooses implementations."""

from __future__ import annotations

from functools import partial
from typing import Final

from services.industry import console
from services.industry.api import notice_routes, notices_router, referrals_router, statistics_router
from services.industry.bus import industry_door
from services.industry.console.reports import PLACE as REPORT
from services.industry.console.reports import ReportPages
from services.industry.domain import AUTHORITY, PROVIDER
from services.industry.store import PostgresNotices
from shared.core.acts.act import NoticeState, PreservationState, Subject, Track
from shared.instance.app import App
from shared.instance.machinery import InstanceParts, build_machinery
from shared.instance.settings import RuntimeSettings
from shared.party.attention import ORIGIN_WAITS, AttentionSource, overdue
from shared.party.automation import own_questions, with_rules
from shared.party.console.console_router import entry, origin_door
from shared.party.console.lists import PLACE as WORK
from shared.party.console.lists import WorkPages
from shared.party.console.preservations import PLACE
from shared.party.events import no_words
from shared.party.origin.app import assemble_origin
from shared.party.origin.store.amendments import ERASE_AGAIN, ERASED
from shared.party.origin.store.edge_rows import referral_words
from shared.party.origin.store.locations import OriginTracks
from shared.party.preservation.api import PreservationRoutes, preservations_router
from shared.party.preservation.store.preservations import (
    ProviderPreservations,
    preservation_words,
    refused_waits,
    unanswered_waits,
)
from shared.party.recipient.store.arriving import ERASED_RECEIVED
from shared.party.recipient.store.listing import items_waiting
from shared.party.serving import serving
from shared.party.webhooks import party_routers
from shared.party.work_items.api import WorkRoutes, work_items_router
from shared.platform.http.edge import create_app

#: The statement that erases each kind of record again, in a restored database.
ERASES: Final = {ERASED: ERASE_AGAIN, ERASED_RECEIVED: PostgresNotices.erases}


async def build(instance: str, **given: object) -> App:
    """Wire the instance of this name. Settings in `given`, by field, override its environment. Nothing runs yet."""
    settings = RuntimeSettings.of(instance, **given)
    return assemble(await build_machinery(instance, settings, erases=ERASES, tracks=OriginTracks))


def assemble(machinery: InstanceParts) -> App:
    """Assemble the parts of the service on its machinery. This needs no database and no broker."""
    items = serving(machinery, AUTHORITY)
    origin, notices = assemble_origin(machinery, items), notice_routes(items)
    issued = AttentionSource("notice", NoticeState.ISSUED, partial(items_waiting, subject=Subject.NOTICE))
    wanted = AttentionSource("preservation", PreservationState.REQUESTED, unanswered_waits)
    not_taken = AttentionSource("preservation", PreservationState.REQUESTED, refused_waits)
    raised = own_questions(PROVIDER)
    sources = [*ORIGIN_WAITS, issued, wanted, not_taken, raised, overdue(machinery.clock, Subject.NOTICE)]
    words = {"referrals": referral_words, "notices": no_words, "preservations": preservation_words}
    asked = PreservationRoutes(
        serving=items, track=Track.ANSWER, documents=machinery.documents, preservations=ProviderPreservations
    )
    routers = [referrals_router(origin.api), notices_router(items), work_items_router(notices)]
    routers += [*party_routers(items, sources, words), preservations_router(asked), statistics_router(items)]
    door = origin_door(
        machinery,
        items,
        title="Causeway industry",
        use=origin.api,
        kind=console.notices(notices),
        sources=sources,
        folders=console.FOLDERS,
        more=[entry("Work items", WORK), entry("Preservations", PLACE), entry("Report", REPORT)],
        preservations=asked,
    )
    WorkPages(door.frame, WorkRoutes(notices), last=door.live.last)
    ReportPages(door.frame, notices)
    http = create_app("Causeway industry", [*routers, door.frame.closed()], probes=machinery.probes())
    app = origin.app(machinery, http, industry_door(kek=machinery.keys.kek, origin=origin.bus))
    return with_rules(app, PROVIDER, PostgresNotices)
