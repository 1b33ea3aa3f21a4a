"""The switch of `tracks`: one state of a subject at each side, which every act moves, whoever wrote it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from shared.exchange import states
from shared.exchange.act import Subject
from shared.kernel.errors import Refused
from tests.shared.exchange.tracks import WRITES, Deed, Ends, beginning, kinds, said


class Side(NamedTuple):
    state: str
    sent: tuple[Deed, ...] = ()
    done: int = 0


Both = tuple[Side, Side]


def every_order(subject: Subject, acts: int) -> Ends:
    """What becomes of all orders of at most so many acts a side. An act that is refused on arrival changes nothing."""
    first = states.shown(subject, beginning(subject).sender.standing)
    now: Counter[Both] = Counter({(Side(first), Side(first)): 1})
    ends, met = Counter[str](), 0
    while now:
        met += len(now)
        following: Counter[Both] = Counter()
        for both, orders in now.items():
            if not both[0].sent and not both[1].sent:
                ends["equal" if both[0].state == both[1].state else "unequal"] += orders
            for after, ways, refused in _next(subject, both, acts):
                following[after] += orders * ways
                ends["refused"] += orders * refused
        now = following
    return Ends(ends["equal"], ends["unequal"], ends["refused"], met)


def _next(subject: Subject, both: Both, acts: int) -> Iterator[tuple[Both, int, bool]]:
    for place, side in enumerate(both):
        if side.done < acts:
            for kind in kinds(subject, WRITES[place]):
                state = _follow(kind.first, side.state)
                if state is not None:
                    after = _put(both, place, Side(state, (*side.sent, kind.first), side.done + 1))
                    yield after, len(kind.members), False
        if side.sent:
            deed, *later = side.sent
            other = both[1 - place]
            state = _follow(deed, other.state)
            told = _put(both, place, side._replace(sent=tuple(later)))
            yield _put(told, 1 - place, other if state is None else other._replace(state=state)), 1, state is None


def _follow(deed: Deed, state: str) -> str | None:
    try:
        return states.follow(deed.row, state, said(deed))
    except Refused:
        return None


def _put(both: Both, place: int, side: Side) -> Both:
    return (side, both[1]) if place == 0 else (both[0], side)
