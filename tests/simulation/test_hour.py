"""The broker is away for an hour: what was filed is decided no more often than the law asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from shared.exchange.message import Record
from tests.simulation.accepting import TOLERANCE, Acceptor
from tests.simulation.hour import Told, without_a_broker
from tests.simulation.writing import Offered

Note = Callable[[str, object], None]


class JudgesWhenRead(Acceptor):
    """A control: a decision must hold by the law that is in force when it is read, not when the broker took it."""

    def in_time(self, clear: Offered, record: Record) -> bool:
        return self.knowledge.holds(clear, self.knowledge.clock.now())


class TakesOnlyTheYoung(Acceptor):
    """A control: a decision must be young when the broker takes it, whatever the law."""

    def in_time(self, clear: Offered, record: Record) -> bool:
        return abs(record.broker_time - clear.decided_at) <= TOLERANCE


@cache
def hour(*, law_changes: bool) -> Told:
    """An edge a second."""
    return without_a_broker(rate=1, law_changes=law_changes)


def test_an_hour_without_a_broker_decides_nothing_again(record_property: Note) -> None:
    told = hour(law_changes=False)
    assert told.violations == ()
    assert told.edges > 4000
    assert (told.again, told.wrong) == (0, 0)
    record_property("edges of an hour without a broker", told.edges)


def test_where_the_law_changes_meanwhile_each_edge_that_it_concerns_is_decided_once_more(record_property: Note) -> None:
    """What the broker had taken before, and nobody had read, it does not concern."""
    told = hour(law_changes=True)
    assert told.violations == ()
    assert told.concerned > 1700
    assert told.unread > 250
    assert (told.again, told.wrong) == (told.concerned, 0)
    record_property("decided once more by another law", told.again)


@pytest.mark.parametrize(("acceptor", "law_changes"), [(JudgesWhenRead, True), (TakesOnlyTheYoung, False)])
def test_by_another_rule_more_is_decided_again(acceptor: type[Acceptor], law_changes: bool) -> None:
    """The control, at a twentieth of the rate."""
    assert without_a_broker(rate=0.05, law_changes=law_changes, acceptor=acceptor).wrong > 10
