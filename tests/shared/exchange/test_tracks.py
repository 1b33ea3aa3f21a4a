"""Acts that cross: every order of them ends alike on both sides, and none is refused because another crossed it.

By the rows of acts, whatever rows there are: a row that is added is enumerated with the others.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from shared.exchange import states
from shared.exchange.act import Offered, Subject, Track
from shared.exchange.states import Standing, shown
from shared.kernel.errors import Refused
from tests.shared.exchange import shared_state
from tests.shared.exchange.tracks import (
    Deed,
    alike,
    as_the_exchange_does,
    by_tracks,
    deeds,
    every_order,
    lawful,
    random_order,
    said,
    subjects,
)

Record = Callable[[str, object], None]
RANDOM_ORDERS = 10_000


def test_the_subjects_that_two_sides_write_are_there() -> None:
    assert {Subject.OFFER, Subject.CASE, Subject.NOTICE} <= set(subjects())


@pytest.mark.parametrize("acts", [3, 4])
@pytest.mark.parametrize("subject", subjects())
def test_every_order_ends_alike_and_no_lawful_act_is_refused(
    subject: Subject, acts: int, record_property: Record
) -> None:
    ends = every_order(subject, by_tracks, acts)
    assert (ends.unequal, ends.refused) == (0, 0)
    assert ends.equal > 1
    assert every_order(subject, as_the_exchange_does(subject), acts) == ends
    record_property("orders", ends.equal)
    record_property("states", ends.states)


def test_ten_thousand_longer_orders_of_several_subjects_at_once_end_alike(record_property: Record) -> None:
    random, there, deliveries = Random(60), subjects(), 0
    for _ in range(RANDOM_ORDERS):
        chosen = random.choices(there, k=random.randint(1, 3))
        ended, delivered = random_order(chosen, random, acts=random.randint(4, 12))
        deliveries += delivered
        assert all(alike(subject, both) for subject, both in zip(chosen, ended, strict=True))
    record_property("deliveries", deliveries)


@pytest.mark.parametrize("subject", subjects())
def test_every_unlawful_act_has_its_code(subject: Subject, record_property: Record) -> None:
    """Of whoever does it in a state, and of whoever is told of one that cannot have been."""
    refused = 0
    for standing in states.standings(subject):
        for deed in (each for track in Track for each in deeds(subject, track)):
            if any(lawful(each, standing) for each in deeds(subject, deed.row.track) if alike_in_words(each, deed)):
                continue
            with pytest.raises(Refused) as refusal:
                states.follow(deed.row, shown(subject, standing), said(deed))
            assert refusal.value.code == "state_forbids"
            refused += 1
    record_property("unlawful", refused)
    assert refused > 0


def alike_in_words(one: Deed, other: Deed) -> bool:
    return one.row is other.row and one.move.codes == other.move.codes


@pytest.mark.parametrize("subject", subjects())
def test_with_one_shared_state_instead_of_tracks_orders_end_unequal(subject: Subject, record_property: Record) -> None:
    """The switch: the same acts, each side with one state that any act moves, the last to arrive prevailing."""
    ends = shared_state.every_order(subject, 3)
    record_property("unequal", ends.unequal)
    record_property("refused", ends.refused)
    # What can only be answered once it was taken back is never acted on from both sides at once.
    crossing = any(Offered.OPEN.value in deed.row.needs for deed in deeds(subject, Track.ANSWER))
    assert (ends.unequal + ends.refused > 0) is crossing


def test_an_act_that_its_receiver_holds_against_its_own_track_is_found() -> None:
    """The control of "no lawful act is refused": the receiver asks for what the actor needed to see."""

    def strictly(standing: Standing, deed: Deed) -> Standing:
        if not lawful(deed, standing):
            raise Refused("state_forbids")
        return by_tracks(standing, deed)

    assert every_order(Subject.NOTICE, strictly, 2).refused > 0
