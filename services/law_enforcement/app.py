"""The agencies' service, assembled: the only place that chooses implementations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import FastAPI

from services.law_enforcement.api import cases_router
from services.law_enforcement.bus import LawEnforcementDoor
from services.law_enforcement.settings import LawEnforcementSettings
from shared.kernel.errors import Defect
from shared.runtime.http.edge import create_app
from shared.runtime.http.identity import identified
from shared.runtime.http.server import serve_http
from shared.runtime.instance.machinery import Machinery, build_machinery
from shared.runtime.instance.parts import Part
from shared.runtime.post.consumer import Handler
from shared.runtime.post.ports import OutboxRow

INSTANCE = "law_enforcement"


@dataclass(frozen=True, slots=True)
class App:
    """The parts of this instance by name; `causeway serve` runs all of them or those it is told."""

    machinery: Machinery
    http: FastAPI
    parts: dict[str, Part]
    handler: Handler


async def build(settings: LawEnforcementSettings) -> App:
    """Wire the service. Nothing runs yet."""
    return assemble(await build_machinery(INSTANCE, settings))


def assemble(machinery: Machinery) -> App:
    """The parts of the service on top of its machinery; needs no database and no broker."""
    settings = machinery.settings
    door = LawEnforcementDoor(kek=machinery.keys.kek)
    router = cases_router(
        machinery.database,
        machinery.acts(),
        identified(machinery.api_keys, machinery.budgets),
        kek=machinery.keys.kek,
        directory=lambda: machinery.documents().directory,
        clock=machinery.clock,
    )
    http = create_app(
        "Causeway law enforcement",
        [router],
        probes=machinery.probes(),
        measure=machinery.measure,
    )
    parts: dict[str, Part] = {
        "api": lambda: serve_http(http, settings.http_host, settings.http_port),
        "documents": machinery.run_documents,
        "relay": lambda: machinery.run_relay(_none_decided),
        "consumer": lambda: machinery.run_bus(door),
    }
    return App(machinery, http, parts, door)


async def _none_decided(rows: Sequence[OutboxRow]) -> None:
    """Agencies file no referrals: a decision in their outbox is a defect, and is not sent."""
    raise Defect("decision_without_referral")
