"""The agencies' service, assembled: the only place that chooses implementations."""

from __future__ import annotations

from functools import partial
from typing import Final

from services.law_enforcement.api import cases_router
from services.law_enforcement.bus import law_enforcement_door
from services.law_enforcement.domain import AGENCY, AUTHORITY
from services.law_enforcement.store import PostgresCases
from shared.exchange.act import CaseState, Subject
from shared.exchange.events import event_type
from shared.party.attention import Source, attention_router
from shared.party.feed import feed_routers
from shared.party.recipient.app import serving
from shared.party.recipient.store.attention import items_waiting
from shared.party.withdrawals import with_withdrawals
from shared.runtime.http.edge import create_app
from shared.runtime.instance.app import App
from shared.runtime.instance.machinery import Machinery, build_machinery
from shared.runtime.instance.settings import RuntimeSettings

#: What each kind of event begins, and its lists have.
LISTS: Final = {event_type(Subject.CASE, "offer"): PostgresCases.table.listed}
#: How each kind of record is erased once more, in a restored database.
ERASES: Final = {PostgresCases.table.name: PostgresCases.table.erase_again}


async def build(instance: str, **given: object) -> App:
    """Wire the instance of this name. Settings `given`, by field, win over its environment. Nothing runs yet."""
    return assemble(await build_machinery(instance, RuntimeSettings.of(instance, **given), listed=LISTS, erases=ERASES))


def assemble(machinery: Machinery) -> App:
    """The parts of the service on top of its machinery; needs no database and no broker."""
    door, items = law_enforcement_door(kek=machinery.keys.kek), serving(machinery)
    waiting = Source("case", CaseState.OFFERED, partial(items_waiting, table=PostgresCases.table, subject=Subject.CASE))
    attention = attention_router(items, AUTHORITY, waiting)
    routers = [cases_router(items), attention, *feed_routers(items, AUTHORITY)]
    http = create_app("Causeway law enforcement", routers, probes=machinery.probes())
    app = App(
        machinery,
        http,
        {
            "api": lambda: machinery.run_api(http),
            "documents": machinery.run_documents,
            "numberer": machinery.run_numberer,
            "timers": machinery.run_timers,
            "relay": lambda: machinery.run_relay(door),
            "courier": machinery.run_courier,
            "consumer": lambda: machinery.run_bus(door),
            **machinery.watching(),
        },
        door,
    )
    return with_withdrawals(app, AGENCY, PostgresCases)
