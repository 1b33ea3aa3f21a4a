"""Who comes in to the console of an instance."""

from __future__ import annotations

from shared.runtime.console.frame import Gate
from shared.runtime.console.people import LinkSignIn, Sessions
from shared.runtime.http.strangers import Strangers
from shared.runtime.instance.machinery import Machinery


def gate_of(machinery: Machinery) -> Gate:
    """Who comes in: by a link that was made for them. Another way in is another `SignIn` here."""
    strangers = Strangers()
    sessions = Sessions(
        machinery.database,
        instance=machinery.instance,
        directory=machinery.directory,
        clock=machinery.clock,
        kek=machinery.keys.kek,
        strangers=strangers,
    )
    sign_in = LinkSignIn(machinery.database, machinery.clock, strangers)
    return Gate(sessions, sign_in, machinery.budgets.charge, machinery.clock)
