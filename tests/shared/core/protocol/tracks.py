"""Two sides of one subject, by the rows of acts alone: all acts done and in transit, in every order.

A side may act as its own track and its copy of the other track allow. It checks a received act against its copy of the
sender's track, never against its own. Messages of one side arrive in order. Equal states have equal futures, so they
are merged, and the number of orders that lead to each is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from random import Random
from typing import NamedTuple

from shared.catalog import CATALOG
from shared.core.acts import states
from shared.core.acts.act import ASKED_BY_AGENCIES, Act, Move, Offering, Subject, Track
from shared.core.acts.states import TrackState, shown
from shared.core.contracts.base import Contract
from shared.core.errors import Refused
from shared.core.protocol import preservation
from shared.core.vocabulary.answers import AnswerState
from shared.core.vocabulary.code import Code


class Deed(NamedTuple):
    """An act, and one of its moves, identified by its code."""

    row: Act
    move: Move


class Alike(NamedTuple):
    """Acts that differ only by name: they are possible in the same states and lead to the same state."""

    members: tuple[Deed, ...]

    @property
    def first(self) -> Deed:
        return self.members[0]


class Side(NamedTuple):
    """One side: both tracks in its view, and its sent acts that have not arrived, the oldest first."""

    standing: TrackState
    sent: tuple[Alike, ...] = ()
    done: int = 0


class Both(NamedTuple):
    """A subject at its sender, which writes the offer, and at its recipient, which writes the answer."""

    sender: Side
    recipient: Side


class Saying(Contract):
    """A content with one code of any list."""

    code: Code | None = None


#: How a side applies an act: its own, or one that it receives. Raises `Refused`.
Takes = Callable[[TrackState, Deed], TrackState]

WRITES = {0: Track.OFFER, 1: Track.ANSWER}


def subjects() -> list[Subject]:
    """Return the subjects that two sides write."""
    return [each for each in Subject if {row.track for row in CATALOG.acts_on(each)} == {*Track}]


def beginning(subject: Subject) -> Both:
    """Return the subject after it was sent and has arrived."""
    (first,) = {move.to for row in CATALOG.acts_on(subject) for move in row.moves if not move.before}
    return Both(Side(TrackState(first)), Side(TrackState(first)))


def deeds(subject: Subject, track: Track) -> list[Deed]:
    rows = [row for row in CATALOG.acts_on(subject) if row.track is track]
    return [Deed(row, move) for row in rows for move in row.moves if move.before]


@cache
def kinds(subject: Subject, track: Track) -> tuple[Alike, ...]:
    """Return the acts of a track in groups of equivalent ones.

    Each group is enumerated once, and its members are counted.
    """
    found: dict[object, list[Deed]] = {}
    for deed in deeds(subject, track):
        found.setdefault((deed.move.before, deed.move.to, deed.row.needs), []).append(deed)
    return tuple(Alike(tuple(members)) for members in found.values())


def lawful(deed: Deed, standing: TrackState) -> bool:
    """Return whether the writer may do the act, by the rows alone."""
    own, other = _of(standing, deed.row.track), _of(standing, _other(deed.row.track))
    return own in deed.move.before and (not deed.row.needs or other in deed.row.needs)


def own_act(standing: TrackState, deed: Deed) -> TrackState:
    """Move the writer's own track. Raises `Refused` if the act is not lawful."""
    if not lawful(deed, standing):
        raise Refused("state_forbids")
    return _with(standing, deed.row.track, deed.move.to)


def by_tracks(standing: TrackState, deed: Deed) -> TrackState:
    """Move the receiver's copy of the sender's track. The receiver's own track does not matter."""
    if _of(standing, deed.row.track) not in deed.move.before:
        raise Refused("out_of_order")
    return _with(standing, deed.row.track, deed.move.to)


def said(deed: Deed) -> Saying:
    return Saying.model_construct(code=next(iter(sorted(deed.move.codes)), None))


@cache
def as_the_exchange_does(subject: Subject) -> Takes:
    """Return `by_tracks` with a check against the code: a recipient by the state it shows, an origin by its copy."""

    @cache
    def taken(standing: TrackState, deed: Deed) -> TrackState:
        after = by_tracks(standing, deed)
        if subject in ASKED_BY_AGENCIES:
            if preservation.told(deed.row, standing, said(deed)) != after:
                raise Refused("differs")
        elif deed.row.track is Track.OFFER:
            following = states.follow(deed.row, shown(subject, standing), said(deed))
            if following != shown(subject, after):
                raise Refused("differs")
        elif deed.row.message is not None:
            present, offered = AnswerState(standing.answer), Offering(standing.offered)
            if (
                states.answer_follows(CATALOG.acts_of(deed.row.message), present, said(deed), offered=offered)
                != after.answer
            ):
                raise Refused("differs")
        return after

    return taken


class Ends(NamedTuple):
    """The results of all orders: the number that end equal and unequal, and the number with a refused lawful act."""

    equal: int
    unequal: int
    refused: int
    states: int


def every_order(
    subject: Subject, takes: Takes, acts: int, *, does: Takes = own_act, begins: TrackState | None = None
) -> Ends:
    """Try all orders of at most `acts` acts per side with every delivery, until nothing is in transit."""
    first = beginning(subject) if begins is None else Both(Side(begins), Side(begins))
    now: Counter[Both] = Counter({first: 1})
    ends = Counter[str]()
    met = 0
    while now:
        met += len(now)
        following: Counter[Both] = Counter()
        for both, orders in now.items():
            if not both.sender.sent and not both.recipient.sent:
                ends["equal" if alike(both) else "unequal"] += orders
            for after, ways in _next(subject, both, takes, acts, does=does):
                if after is None:
                    ends["refused"] += orders
                else:
                    following[after] += orders * ways
        now = following
    return Ends(ends["equal"], ends["unequal"], ends["refused"], met)


def random_order(chosen: Sequence[Subject], random: Random, *, acts: int) -> tuple[list[Both], int]:
    """Run several subjects at once in a drawn order until all has arrived; return the number of deliveries."""
    now, delivered = [beginning(subject) for subject in chosen], 0
    takes = [as_the_exchange_does(subject) for subject in chosen]
    coming = [[*_next(subject, now[place], takes[place], acts)] for place, subject in enumerate(chosen)]
    while moves := [(place, after) for place, steps in enumerate(coming) for after, _ in steps]:
        place, after = random.choice(moves)
        if after is None:
            raise Refused("crossed")
        delivered += sum(len(side.sent) for side in after) < sum(len(side.sent) for side in now[place])
        now[place] = after
        coming[place] = [*_next(chosen[place], after, takes[place], acts)]
    return now, delivered


@cache
def possible(does: Takes, subject: Subject, track: Track, standing: TrackState) -> tuple[tuple[Alike, TrackState], ...]:
    """Return the acts that the writer of a track may do, each with the standing after it."""
    found = []
    for kind in kinds(subject, track):
        with suppress(Refused):
            found.append((kind, does(standing, kind.first)))
    return tuple(found)


def _next(
    subject: Subject, both: Both, takes: Takes, acts: int, *, does: Takes = own_act
) -> Iterator[tuple[Both | None, int]]:
    """Yield each possible next step with its number of acts: an act of either side, or a delivery.

    None if it is refused.
    """
    for place, side in enumerate(both):
        if side.done < acts:
            for kind, after in possible(does, subject, WRITES[place], side.standing):
                yield _put(both, place, Side(after, (*side.sent, kind), side.done + 1)), len(kind.members)
        if side.sent:
            kind, *later = side.sent
            other = both[1 - place]
            try:
                (told,) = {takes(other.standing, each) for each in kind.members}
            except Refused:
                yield None, 1
                continue
            delivered = _put(both, place, side._replace(sent=tuple(later)))
            yield _put(delivered, 1 - place, other._replace(standing=told)), 1


def alike(both: Both) -> bool:
    """Return whether both sides have equal tracks, and so show the same state."""
    return both.sender.standing == both.recipient.standing


def _put(both: Both, place: int, side: Side) -> Both:
    return both._replace(sender=side) if place == 0 else both._replace(recipient=side)


def _of(standing: TrackState, track: Track) -> str:
    return standing.offered if track is Track.OFFER else standing.answer


def _with(standing: TrackState, track: Track, to: str) -> TrackState:
    return standing._replace(offered=to) if track is Track.OFFER else standing._replace(answer=to)


def _other(track: Track) -> Track:
    return Track.ANSWER if track is Track.OFFER else Track.OFFER
