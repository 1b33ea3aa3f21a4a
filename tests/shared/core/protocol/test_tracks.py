"""Acts that cross: every order ends with both sides equal, and no act is refused because another crossed it.

The test enumerates the rows of acts, so it includes rows that are added later.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from shared.core.acts import states
from shared.core.acts.act import Offering, Subject, Track
from shared.core.acts.states import TrackState, shown
from shared.core.errors import Refused
from tests.shared.core.protocol.tracks import (
    Deed,
    alike,
    as_the_exchange_does,
    beginning,
    by_tracks,
    deeds,
    every_order,
    lawful,
    own_act,
    random_order,
    said,
    subjects,
)

Record = Callable[[str, object], None]
RANDOM_ORDERS = 10_000


def test_the_subjects_that_two_sides_write_are_there() -> None:
    assert {Subject.OFFER, Subject.CASE, Subject.NOTICE} <= set(subjects())


@pytest.mark.parametrize("subject", subjects())
def test_every_order_ends_alike_and_no_lawful_act_is_refused(subject: Subject, record_property: Record) -> None:
    ends = every_order(subject, as_the_exchange_does(subject), 4)
    assert (ends.unequal, ends.refused) == (0, 0)
    assert ends.equal > 1
    record_property("orders", ends.equal)
    record_property("states", ends.states)


def test_ten_thousand_longer_orders_of_several_subjects_at_once_end_alike(record_property: Record) -> None:
    random, there, deliveries = Random(60), subjects(), 0
    for _ in range(RANDOM_ORDERS):
        chosen = random.choices(there, k=random.randint(1, 3))
        ended, delivered = random_order(chosen, random, acts=random.randint(4, 12))
        deliveries += delivered
        assert all(map(alike, ended))
    record_property("deliveries", deliveries)


@pytest.mark.parametrize("subject", subjects())
def test_every_unlawful_act_has_its_code(subject: Subject, record_property: Record) -> None:
    """Both the party that acts in such a state and the party that receives an impossible act get the code."""
    refused = 0
    for standing in states.standings(subject):
        for deed in (each for track in Track for each in deeds(subject, track)):
            if any(lawful(each, standing) for each in deeds(subject, deed.row.track) if alike_in_words(each, deed)):
                continue
            with pytest.raises(Refused, match="state_forbids"):
                states.follow(deed.row, shown(subject, standing), said(deed))
            refused += 1
    record_property("unlawful", refused)
    assert refused > 0


def alike_in_words(one: Deed, other: Deed) -> bool:
    return one.row is other.row and one.move.codes == other.move.codes


def by_one_state(standing: TrackState, deed: Deed) -> TrackState:
    """Move the one state of a side, held as its first track, which every act moves: the control of `tracks`."""
    return TrackState(states.follow(deed.row, standing.offered, said(deed)))


@pytest.mark.parametrize("subject", subjects())
def test_with_one_shared_state_instead_of_tracks_orders_end_unequal(subject: Subject, record_property: Record) -> None:
    """The control: each side has one state that any act moves, and the last act to arrive prevails."""
    begins = TrackState(shown(subject, beginning(subject).sender.standing))
    ends = every_order(subject, by_one_state, 3, does=by_one_state, begins=begins)
    record_property("unequal", ends.unequal)
    record_property("refused", ends.refused)
    # If a subject can only be answered after its withdrawal, the two sides never act on it at the same time.
    crossing = any(Offering.OPEN.value in deed.row.needs for deed in deeds(subject, Track.ANSWER))
    assert (ends.unequal + ends.refused > 0) is crossing


def test_an_act_that_its_receiver_holds_against_its_own_track_is_found() -> None:
    """The control of "no lawful act is refused": the receiver also checks its own track."""

    def strictly(standing: TrackState, deed: Deed) -> TrackState:
        own_act(standing, deed)
        return by_tracks(standing, deed)

    assert every_order(Subject.NOTICE, strictly, 2).refused > 0
