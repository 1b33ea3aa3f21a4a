"""Who comes in to the console of an instance."""

from __future__ import annotations

from shared.runtime.console.frame import Gate
from shared.runtime.console.people import LinkSignIn, Sessions
from shared.runtime.instance.keys import read_key_file
from shared.runtime.instance.machinery import Machinery
from shared.runtime.sign_in.providers import Providers, read_clients


def gate_of(machinery: Machinery) -> Gate:
    """Who comes in: over their party's provider, or, where it has none, by a link that was made for them."""
    sessions = Sessions(
        machinery.database,
        instance=machinery.instance,
        directory=machinery.directory,
        clock=machinery.clock,
        kek=machinery.keys.kek,
    )
    sign_in = LinkSignIn(machinery.database, machinery.clock)
    file = machinery.settings.sign_in_file
    clients = () if file is None else read_clients(read_key_file(file))
    elsewhere = Providers(clients, machinery.clock, machinery.keys.kek)
    machinery.api_keys.by_name = elsewhere.has
    return Gate(sessions, sign_in, machinery.budgets.charge, machinery.clock, elsewhere)
