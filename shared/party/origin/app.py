"""An originating service's own half, assembled over the machinery."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI

from shared.kernel.authority import Authority
from shared.party.origin.use_cases.again import DecideAgain
from shared.party.origin.use_cases.intake import Intake
from shared.party.origin.use_cases.referrals import Referrals
from shared.runtime.http.server import serve_http
from shared.runtime.instance.app import App
from shared.runtime.instance.machinery import Machinery
from shared.runtime.post.consumer import Handler


@dataclass(frozen=True, slots=True)
class Origin:
    """What an origin files with, looks with and decides again with."""

    machinery: Machinery
    intake: Intake
    referrals: Referrals
    again: DecideAgain

    def app(self, http: FastAPI, handler: Handler) -> App:
        """The service with its parts."""
        machinery = self.machinery
        return App(
            machinery,
            http,
            {
                "api": lambda: self._serve(http),
                "documents": machinery.run_documents,
                "relay": lambda: machinery.run_relay(self.again.rows),
                "consumer": lambda: machinery.run_bus(handler),
            },
            handler,
        )

    async def _serve(self, http: FastAPI) -> None:
        settings = self.machinery.settings
        # Intake outlives the server: what is posted while it ends is still answered.
        async with self.intake.running():
            await serve_http(http, settings.http_host, settings.http_port)


def build_origin(machinery: Machinery, authority: Authority) -> Origin:
    """Wire an origin on top of its machinery; needs no database and no broker."""
    database, clock, documents = machinery.database, machinery.clock, machinery.documents
    instance, kek = machinery.instance, machinery.keys.kek
    again = DecideAgain(database, documents=documents, instance=instance, kek=kek, clock=clock)
    intake = Intake(database, documents=documents, instance=instance, kek=kek, clock=clock, wake=machinery.wake)
    referrals = Referrals(database, intake, authority=authority, documents=documents, clock=clock)
    return Origin(machinery, intake, referrals, again)
