"""The periodic queries of an instance in stores filled by SQL: for clocks, and for duplicate places.

An edge in twenty is open, and is due within the coming days.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from shared.core.protocol.locations import FORMS
from shared.features.filing.rules import PAUSES
from shared.features.filing.service.redecide import DUE_MAX
from shared.features.filing.store import edges, locations
from shared.platform.timers import store, timers


def deadlines(*, id_: str, party: str, ago: str) -> str:
    """Return the statement that fills the deadlines of open edges: a twentieth of all rows."""
    return f"""
INSERT INTO deadline (edge_id, party, subject, origin, recipient, purpose, clock_rules, started_at, due_at, overdue_at)
SELECT gen_random_uuid(), {party}, {id_}, NULL, 'agency.example', 'p1', 'r1', {ago},
       now() + i * interval '1 second', now() + i * interval '1 second'
FROM generate_series(20, {{rows}}, 20) AS i
"""


def places(*, party: str) -> str:
    """Return the statement that fills each party's position in the duplicate check: all but the last arrivals."""
    return f"""
INSERT INTO location_token_position (party, version, arrival)
SELECT {party}, {max(FORMS)}, max(i) - CASE {party} WHEN 'tiny.example' THEN 1 ELSE 0 END
FROM generate_series(1, {{rows}}) AS i GROUP BY 1
"""


#: Its name, the statement, its arguments, and the maximum of rows read.
_Asked = tuple[str, str, Sequence[object], int]


def asked(end: datetime, parties: Sequence[str], newest: int | None) -> Iterator[_Asked]:
    """Yield all of them. `newest` is an origin's position in the duplicate check, or None without an origin."""
    yield from _of_clocks(end)
    if newest is not None:
        yield "edges to decide again", edges._DUE, (end, DUE_MAX, [], end + 2 * max(PAUSES)), 4
        # All subjects at that place were answered for good.
        yield "what has moved", edges._LEFT_BEHIND, ("agency9.example", "law_enforcement", [], DUE_MAX), 4
        yield from _of_places(parties, newest)


def _of_clocks(end: datetime) -> Iterator[_Asked]:
    yield "clocks that are due", store._TAKE_DUE, (end, timers.BATCH), 4
    yield "clocks in retry backoff", store._COUNT_ASIDE, (end,), 4


def _of_places(parties: Sequence[str], newest: int) -> Iterator[_Asked]:
    yield "places not looked at yet", locations._BEHIND, (parties, max(FORMS)), 2 * len(parties)
    yield (
        "referrals with new places",
        locations._NEW,
        (parties[0], newest, locations.BATCH, [], []),
        4 * locations.BATCH,
    )
