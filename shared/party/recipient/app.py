"""What a recipient's routes stand on, taken from the machinery."""

from __future__ import annotations

from shared.exchange.evidence import Witness
from shared.party.recipient.api import Serving
from shared.runtime.http.identity import identified
from shared.runtime.instance.machinery import Machinery


def serving(machinery: Machinery) -> Serving:
    """What the routes of every kind of item stand on."""
    return Serving(
        database=machinery.database,
        acts=machinery.acts(),
        identified=identified(machinery.api_keys, machinery.budgets),
        kek=machinery.keys.kek,
        directory=machinery.directory,
        clock=machinery.clock,
        witness=Witness(machinery.instance, machinery.keys.signing),
        owe=machinery.budgets.owe,
        listener=machinery.listener,
        address_rules=machinery.address_rules(),
    )
