"""An origin, assembled on the machinery of the instance it is part of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.kernel.authority import Authority
from shared.party.origin.api.routes import OriginApi, answer_filed
from shared.party.origin.bus import OriginBus
from shared.party.origin.store.filing import PostgresFilings
from shared.party.origin.use_cases.intake import Intake
from shared.runtime.instance.machinery import Machinery


@dataclass(frozen=True, slots=True)
class Origin:
    """What a service needs that originates: its doors, and the intake, which runs for as long as the HTTP door."""

    api: OriginApi
    bus: OriginBus
    intake: Intake

    async def serving(self, serve: Callable[[], Awaitable[None]]) -> None:
        """Serve, and commit what is submitted. Intake outlives the server: what is posted while it ends is answered."""
        async with self.intake.running():
            await serve()


def assemble_origin(machinery: Machinery, authority: Authority) -> Origin:
    """An origin that acts by these permits."""
    intake = Intake(
        PostgresFilings(machinery.database, machinery.keys.kek),
        answering=answer_filed,
        authority=authority,
        documents=machinery.documents,
        instance=machinery.instance,
        clock=machinery.clock,
        wake=machinery.wake,
    )
    api = OriginApi(
        machinery.database,
        machinery.acts(),
        intake,
        authority=authority,
        documents=machinery.documents,
        clock=machinery.clock,
    )
    bus = OriginBus(
        machinery.database,
        documents=machinery.documents,
        instance=machinery.instance,
        kek=machinery.keys.kek,
        clock=machinery.clock,
    )
    return Origin(api, bus, intake)
