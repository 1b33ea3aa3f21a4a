"""A service, assembled: what every `services/*/app.py` builds, and how people come in to its console."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI

from shared.runtime.console.accounts import LinkSignIn, Sessions
from shared.runtime.console.frame import Gate
from shared.runtime.delivery.unit import Handler
from shared.runtime.instance.keys import read_key_file
from shared.runtime.instance.machinery import Machinery
from shared.runtime.instance.parts import Part
from shared.runtime.sign_in.providers import Providers, read_clients


@dataclass(frozen=True, slots=True)
class App:
    """The parts of an instance by name; `causeway serve` runs all of them or those it is told."""

    machinery: Machinery
    http: FastAPI
    parts: dict[str, Part]
    #: What is handed an inbox's messages. None where topics are read and nothing is applied.
    handler: Handler | None = None


def gate_of(machinery: Machinery) -> Gate:
    """Who comes in: over their party's provider, or, where it has none, by a link that was made for them."""
    database, clock, kek = machinery.database, machinery.clock, machinery.keys.kek
    sessions = Sessions(database, machinery.instance, machinery.directory, clock, kek)
    file = machinery.settings.sign_in_file
    clients = () if file is None else read_clients(read_key_file(file))
    elsewhere = Providers(clients, clock, kek)
    machinery.api_keys.by_name = elsewhere.has
    return Gate(sessions, LinkSignIn(database, clock), machinery.budgets.charge, clock, elsewhere)
