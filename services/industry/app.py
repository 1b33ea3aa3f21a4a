"""The providers' service, assembled: the only place that chooses implementations."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI

from services.industry.api import notices_router
from services.industry.bus import IndustryDoor
from services.industry.domain import AUTHORITY
from services.industry.settings import IndustrySettings
from shared.party.origin.api.routes import origin_router
from shared.party.origin.use_cases.again import DecideAgain
from shared.party.origin.use_cases.intake import Intake
from shared.party.origin.use_cases.referrals import Referrals
from shared.runtime.http.edge import create_app
from shared.runtime.http.identity import identified
from shared.runtime.http.server import serve_http
from shared.runtime.instance.machinery import Machinery, build_machinery
from shared.runtime.instance.parts import Part
from shared.runtime.instance.settings import RuntimeSettings
from shared.runtime.post.consumer import Handler

INSTANCE = "industry"


@dataclass(frozen=True, slots=True)
class App:
    """The parts of this instance by name; `causeway serve` runs all of them or those it is told."""

    machinery: Machinery
    http: FastAPI
    parts: dict[str, Part]
    handler: Handler


async def build(settings: IndustrySettings) -> App:
    """Wire the service. Nothing runs yet."""
    return assemble(await build_machinery(INSTANCE, settings))


def assemble(machinery: Machinery) -> App:
    """The parts of the service on top of its machinery; needs no database and no broker."""
    settings = machinery.settings
    again = DecideAgain(
        machinery.database,
        documents=machinery.documents,
        instance=INSTANCE,
        kek=machinery.keys.kek,
        clock=machinery.clock,
    )
    intake = Intake(
        machinery.database,
        documents=machinery.documents,
        instance=INSTANCE,
        kek=machinery.keys.kek,
        clock=machinery.clock,
        wake=machinery.wake,
    )
    referrals = Referrals(
        machinery.database, intake, authority=AUTHORITY, documents=machinery.documents, clock=machinery.clock
    )
    door = IndustryDoor(kek=machinery.keys.kek, again=again, clock=machinery.clock)
    who = identified(machinery.api_keys, machinery.budgets)
    acts = machinery.acts()
    http = create_app(
        "Causeway industry",
        [
            origin_router(referrals, acts, who),
            notices_router(
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
        "api": lambda: _serve(http, intake, settings),
        "documents": machinery.run_documents,
        "relay": lambda: machinery.run_relay(again.rows),
        "consumer": lambda: machinery.run_bus(door),
    }
    return App(machinery, http, parts, door)


async def _serve(http: FastAPI, intake: Intake, settings: RuntimeSettings) -> None:
    # Intake outlives the server: what is posted while it ends is still answered.
    async with intake.running():
        await serve_http(http, settings.http_host, settings.http_port)
