"""The hotline, assembled: the only place that chooses implementations."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI

from services.hotline.api import offers_router, referrals_router
from services.hotline.bus import HotlineDoor
from services.hotline.domain import AUTHORITY
from services.hotline.settings import HotlineSettings
from shared.party.origin.app import assemble_origin
from shared.runtime.http.edge import create_app
from shared.runtime.http.identity import identified
from shared.runtime.http.server import serve_http
from shared.runtime.instance.machinery import Machinery, build_machinery
from shared.runtime.instance.parts import Part
from shared.runtime.post.consumer import Handler

INSTANCE = "hotline"


@dataclass(frozen=True, slots=True)
class App:
    """The parts of this instance by name; `causeway serve` runs all of them or those it is told."""

    machinery: Machinery
    http: FastAPI
    parts: dict[str, Part]
    handler: Handler


async def build(settings: HotlineSettings) -> App:
    """Wire the service. Nothing runs yet."""
    return assemble(await build_machinery(INSTANCE, settings))


def assemble(machinery: Machinery) -> App:
    """The parts of the service on top of its machinery; needs no database and no broker."""
    settings = machinery.settings
    origin = assemble_origin(machinery, AUTHORITY)
    door = HotlineDoor(kek=machinery.keys.kek, origin=origin.bus)
    who = identified(machinery.api_keys, machinery.budgets)
    acts = machinery.acts()
    http = create_app(
        "Causeway hotline",
        [
            referrals_router(origin.api, who),
            offers_router(
                machinery.database,
                acts,
                who,
                kek=machinery.keys.kek,
                directory=lambda: machinery.documents().directory,
                clock=machinery.clock,
            ),
        ],
        probes=machinery.probes(),
        measure=machinery.measure,
    )
    parts: dict[str, Part] = {
        "api": lambda: origin.serving(lambda: serve_http(http, settings.http_host, settings.http_port)),
        "documents": machinery.run_documents,
        "relay": lambda: machinery.run_relay(origin.bus.stale),
        "consumer": lambda: machinery.run_bus(door),
    }
    return App(machinery, http, parts, door)
