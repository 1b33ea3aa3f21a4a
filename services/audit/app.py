"""Assembly of the audit service, which reads all topics and acknowledges their messages.

Only this module chooses implementations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from services.audit.api import flows_router
from services.audit.bus import AckWriter, AuditConsumer
from services.audit.console import pages
from services.audit.domain.reading import Reading
from services.audit.domain.shown import ScopeSet, within
from services.audit.store.entries import PostgresEntries, PostgresPartitions
from shared.core.protocol.authority import INBOXES
from shared.delivery.subjects import FeatureTracks
from shared.instance.app import App, gate_of
from shared.instance.machinery import InstanceParts
from shared.instance.streams import Part
from shared.messaging.kafka.log import KafkaLog
from shared.platform.console.frame import Frame
from shared.platform.console.rendering import folders_of
from shared.platform.database.lease import ProcessLease
from shared.platform.http.edge import create_app
from shared.platform.http.identity import Identity, identified, whoami_router
from shared.platform.kafka.follower import LogFollower

#: Audit holds no record of a party, and follows no track.
ERASES: Final[Mapping[str, str]] = {}
TRACKS: Final = FeatureTracks


def assemble(machinery: InstanceParts) -> App:
    """Assemble the parts of the service on its machinery. This needs no database and no broker."""
    settings = machinery.settings
    entries, partitions = PostgresEntries(machinery.database), PostgresPartitions(machinery.database)

    reading = Reading(machinery.shelf, list(machinery.keys.opening.values()), machinery.clock, machinery.catalog)
    written = KafkaLog(settings.kafka_access(), instance=machinery.instance, key=machinery.keys.signing)
    acks = AckWriter(entries, written, key=machinery.keys.signing, clock=machinery.clock)
    door = AuditConsumer(
        LogFollower(settings.kafka_access(), client_id=f"causeway-{machinery.instance}", under=INBOXES),
        entries,
        partitions,
        reading=reading,
        acks=acks,
        lease=ProcessLease(machinery.database, "reader"),
        clock=machinery.clock,
    )

    def seen_by(identity: Identity) -> ScopeSet | None:
        return within(identity.party, identity.scope, machinery.directory(), on=machinery.clock.now().date())

    identities = identified(machinery.api_keys, machinery.budgets)
    frame = _pages(machinery, entries, partitions, reading=reading, within=seen_by)
    http = create_app(
        "Causeway audit",
        [
            flows_router(entries, partitions, identities, clock=machinery.clock, within=seen_by),
            whoami_router(identities),
            frame.closed(),
        ],
        probes=[
            machinery.readiness.probe_database,
            machinery.readiness.probe_documents,
            machinery.law.check,
            door.check,
            acks.check,
        ],
    )
    parts: dict[str, Part] = {
        "api": lambda: machinery.listen(http),
        "documents": machinery.run_documents,
        "reader": door.run,
        **machinery.watching(http, door.measure),
    }
    return App(machinery, http, parts)


def _pages(
    machinery: InstanceParts,
    entries: PostgresEntries,
    partitions: PostgresPartitions,
    *,
    reading: Reading,
    within: Callable[[Identity], ScopeSet | None],
) -> Frame:
    frame = Frame(gate_of(machinery), "Causeway audit", pages.MENU, folders=folders_of(pages.FOLDERS))
    pages.FlowPages(frame, entries, partitions, clock=machinery.clock, within=within, keys=reading.signing_keys)
    return frame
