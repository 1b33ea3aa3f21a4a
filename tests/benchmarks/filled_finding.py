"""Filters of lists in stores filled by SQL: each filter, and all combinations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import product
from typing import Final
from uuid import UUID

from shared.features.filing.store import referrals
from shared.features.received.store import listing
from shared.features.search.rules import ListFilter
from shared.platform.database.columns import Statement
from tests.benchmarks.filled_attention import P0

#: One in a thousand was sent by another party than the rest.
SENDER: Final = "CASE WHEN i % 1000 = 7 THEN 'rare.example' ELSE 'o.example' END"
_SENDERS: Final = (None, "rare.example", "o.example")
#: An agency with edges of one party in sixty of all submissions, and one with none.
_SENT_TO: Final = ("agency7.example", "nobody.example")

Asked = Iterator[tuple[str, str, Sequence[object]]]


def of_items(lists: Statement, party: str, begun: str, *, end: datetime, limit: int) -> Asked:
    """Yield each query of a recipient's list: its name, statement, arguments."""
    middle = listing._microseconds(end - timedelta(days=365))
    for state, below, only, sender in product((None, begun), (None, middle), (None, P0), _SENDERS):
        for name, since, until in (_EVER, *_periods(end)):
            statement, *asked = lists.bind(
                party=party,
                state=state,
                below=below or 2**63 - 1,
                beside=UUID(int=0),
                low=0 if since is None else listing._microseconds(since),
                high=listing.AT_RISK // 2 if until is None else listing._microseconds(until),
                most=limit,
                level=only,
                sender=sender,
                subjects=None,
                claimed_by=None,
            )
            filters = f"state {state or 'any'}, {only or 'any'}, of {sender or 'anybody'}, {name}"
            yield f"list of {party}, {_from(below)}, {filters}", str(statement), asked


def of_referrals(party: str, known: Sequence[object], *, half: int, end: datetime, limit: int) -> Asked:
    """Yield each query of an origin's list. `known`: a reference and an id."""
    for state, below, only in product((None, "withdrawn"), (None, half), (None, P0)):
        for name, since, until in (_EVER, *_periods(end)):
            sought = ListFilter(None, None, only, since, until)
            bounds = _bounds(2 * half, since, until, end=end)
            statement, *asked = referrals.page_of(party, sought, bounds, state=state, below=below, most=limit)
            filters = f"state {state or 'any'}, {only or 'any'}, {name}"
            yield f"referrals of {party}, {_from(below)}, {filters}", str(statement), asked
    for name, since, until in _periods(end):
        yield f"the numbers of {party}, {name}", referrals.BOUNDS, (party, since, until)
    for reference in known:
        sought = ListFilter(reference=str(reference))
        statement, *asked = referrals.page_of(party, sought, state=None, below=None, most=limit)
        yield f"a referral of {party} by {reference}", str(statement), asked


def of_sent(party: str, *, half: int, end: datetime) -> Asked:
    """Yield each query of an origin's referrals to one party."""
    for to, state, below, only in product(_SENT_TO, (None, "withdrawn"), (None, half), (None, P0)):
        for name, since, until in (_EVER, *_periods(end)):
            sought = ListFilter(to, None, only, since, until)
            statement, *asked = referrals.sent_of(party, sought, state=state, below=below, most=referrals.LOOKED_AT_MAX)
            filters = f"state {state or 'any'}, {only or 'any'}, {name}"
            yield f"referrals of {party} to {to}, {_from(below)}, {filters}", str(statement), asked


_EVER: Final = "ever", None, None


def _bounds(rows: int, since: datetime | None, until: datetime | None, *, end: datetime) -> tuple[int, int]:
    """Return nearly the result of `bounds_of_period`: rows are spread evenly over two years."""
    low, high = referrals.EVER
    low = low if since is None else rows - int((end - since) / timedelta(days=730) * rows)
    return low, high if until is None else rows - int((end - until) / timedelta(days=730) * rows)


def _from(below: int | None) -> str:
    return "from the middle" if below else "first page"


def _periods(end: datetime) -> Iterator[tuple[str, datetime | None, datetime | None]]:
    yield "a week long ago", end - timedelta(days=600), end - timedelta(days=593)
    yield "up to a year ago", None, end - timedelta(days=365)
    yield "since yesterday", end - timedelta(days=1), None
