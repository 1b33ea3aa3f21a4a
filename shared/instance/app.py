"""An assembled service, as every `services/*/app.py` builds it, and the sign-in to its console."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import FastAPI

from shared.core.acts.act import SERVICE
from shared.core.acts.states import permit
from shared.core.authority import Authority
from shared.core.errors import Defect
from shared.core.evidence import Witness
from shared.delivery.sending import Handler
from shared.features.events.api import RouteContext
from shared.features.filing.api.act_handlers import OriginFeature
from shared.features.received.api import RecipientFeature
from shared.instance.machinery import InstanceParts
from shared.instance.settings import read_key_file
from shared.instance.streams import Part
from shared.platform.console.accounts import LinkSignIn, Sessions
from shared.platform.console.frame import ConsoleAccess
from shared.platform.http.acts import Acts
from shared.platform.http.identity import identified
from shared.platform.sign_in.providers import Providers, read_clients


@dataclass(frozen=True, slots=True)
class App:
    """The parts of an instance by name. `causeway serve` runs all of them, or the named ones."""

    machinery: InstanceParts
    http: FastAPI
    parts: dict[str, Part]
    #: The handler of an inbox's messages. None for a service that reads topics but applies no message.
    handler: Handler | None = None


def gate_of(machinery: InstanceParts) -> ConsoleAccess:
    """Return the access to a console: by the party's identity provider, or by a link if the party has none."""
    database, clock, kek = machinery.database, machinery.clock, machinery.keys.kek
    sessions = Sessions(database, machinery.instance, machinery.directory, clock, kek)
    file = machinery.settings.sign_in_file
    clients = () if file is None else read_clients(read_key_file(file))
    elsewhere = Providers(clients, clock, kek)
    machinery.api_keys.by_name = elsewhere.has
    return ConsoleAccess(sessions, LinkSignIn(database, clock), machinery.budgets.charge, clock, elsewhere)


def joined(authority: Authority, features: Sequence[OriginFeature | RecipientFeature]) -> Authority:
    """Return the permissions of a service with those of its features."""
    acts = [act for each in features if each.feature is not None for act in each.feature.acts]
    return authority.joined(permit(act) for act in acts if SERVICE.isdisjoint(act.roles))


def serving(
    machinery: InstanceParts, authority: Authority, features: Sequence[OriginFeature | RecipientFeature]
) -> RouteContext:
    """Build the shared dependencies of the routes from the machinery and the service's permissions.

    Raises `Defect("message_without_track")` for a feature that the catalogue lacks.
    """
    for each in features:
        if each.feature is not None and each.feature not in machinery.catalog.features:
            raise Defect("message_without_track", f"feature {each.feature.name} is not in the catalogue")
    return RouteContext(
        database=machinery.database,
        acts=Acts(machinery.database),
        authority=joined(authority, features),
        identified=identified(machinery.api_keys, machinery.budgets),
        kek=machinery.keys.kek,
        directory=machinery.directory,
        clock=machinery.clock,
        witness=Witness(machinery.instance, machinery.keys.signing),
        owe=machinery.budgets.owe,
        listener=machinery.listener,
        address_rules=machinery.address_rules(),
    )
