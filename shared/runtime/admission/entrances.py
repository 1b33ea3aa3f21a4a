"""The entrances of an instance: which principal each class of routes charges, from which budgets, in which pools.

`entrances.tsv` has one row for each route. A route without a row, and a pool that is not named here, fail a test.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple


class ChargedPrincipal(StrEnum):
    """The principal that a request is charged to."""

    NOBODY = "nobody"  # a few bytes, or bytes that are made once: only the connection is bounded
    ADDRESS = "address"
    KEY = "key"
    SESSION = "session"
    KEY_OR_SESSION = "key_or_session"


class EntranceClass(NamedTuple):
    """The budgets and pools of a class of requests. `budgets` as in `budgets.BUDGETS`, `pools` as in `POOLS`."""

    charged: ChargedPrincipal
    budgets: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()


#: Each bounded pool, and the constant that bounds it.
POOLS: Final[Mapping[str, str]] = {
    "connections": "shared.runtime.http.server:CONNECTIONS_MAX",
    "connections_at_rest": "shared.runtime.http.server:RESTING_MAX",
    "bodies": "shared.runtime.http.bodies:BODIES",
    "sign_in": "shared.runtime.admission.places:SIGN_IN",
    "api_keys": "shared.runtime.admission.key_table:KEYS_MAX",
    "long_polls": "shared.runtime.database.feed_reading:PLACES_MAX",
    "intake": "shared.party.origin.use_cases.ways:WAITING_MAX",
    "checks": "shared.runtime.http.aside:WAITING_MAX",
    "webhooks": "shared.runtime.courier.endpoints:ENDPOINTS_MAX",
    "webhook_sending": "shared.runtime.courier.courier:ADDRESSES_MAX",
}

_ASKING: Final = ("requests", "bytes")
_WORKING: Final = (*_ASKING, "work")

CLASSES: Final[Mapping[str, EntranceClass]] = {
    "probe": EntranceClass(ChargedPrincipal.NOBODY),
    "document": EntranceClass(ChargedPrincipal.NOBODY),
    "sign_in": EntranceClass(ChargedPrincipal.ADDRESS, pools=("sign_in",)),
    "read": EntranceClass(ChargedPrincipal.KEY, _ASKING),
    "page": EntranceClass(ChargedPrincipal.SESSION, _ASKING),
    "export": EntranceClass(ChargedPrincipal.KEY_OR_SESSION, _ASKING),
    "long_poll": EntranceClass(ChargedPrincipal.KEY_OR_SESSION, _ASKING, ("long_polls",)),
    "act": EntranceClass(ChargedPrincipal.KEY, _ASKING, ("bodies",)),
    "form": EntranceClass(ChargedPrincipal.SESSION, _ASKING, ("bodies",)),
    "change": EntranceClass(ChargedPrincipal.KEY, _WORKING, ("bodies",)),
    "change_form": EntranceClass(ChargedPrincipal.SESSION, _WORKING, ("bodies",)),
    "bulk": EntranceClass(ChargedPrincipal.KEY, _WORKING, ("bodies",)),
    "bulk_form": EntranceClass(ChargedPrincipal.SESSION, _WORKING, ("bodies",)),
    "file": EntranceClass(ChargedPrincipal.KEY_OR_SESSION, _WORKING, ("bodies", "intake")),
    "check": EntranceClass(ChargedPrincipal.KEY_OR_SESSION, _WORKING, ("bodies", "checks")),
}


class Entrance(NamedTuple):
    """One route: its methods but for HEAD, separated by commas, and its path as the router has it."""

    methods: str
    path: str


def read_entrances() -> dict[Entrance, str]:
    """Read the table: the class of each route."""
    with Path(__file__).with_suffix(".tsv").open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines, delimiter="\t")
        next(rows)
        return {Entrance(methods, path): name for methods, path, name in rows}
