"""Removals during a hold are published, and no provider learns that an item of its own was held."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from deploy.statistics.merging import ELSEWHERE, SMALL, CountedParty, GoneRow, gone_rows, merged
from tests.deploy.statistics.test_merging import spread, spread_party

#: Maximum number of items in a notice.
ITEMS = 10


def gone_party(party: str, country: str, gone: int, held: int) -> CountedParty:
    """Return a provider to whose numbers all origins contribute equally."""
    return CountedParty(party, country, (spread(gone), spread(held)))


@st.composite
def providers(draw: st.DrawFn) -> list[CountedParty]:
    found = []
    for number in range(draw(st.integers(0, 12))):
        gone = draw(st.integers(0, 12) | st.integers(0, 300))
        country = draw(st.sampled_from(["NL", "DE", "US"]))
        found.append(gone_party(f"provider-{number:03}.example", country, gone, draw(st.integers(0, gone))))
    return found


@given(providers())
def test_every_number_is_none_or_at_least_five(counted: list[CountedParty]) -> None:
    assert all(number == 0 or number >= SMALL for row in gone_rows(counted) for number in (row.gone, row.held))


@given(providers())
def test_everybody_who_had_anything_gone_stands_in_one_row_or_nobody_does(counted: list[CountedParty]) -> None:
    rows = gone_rows(counted)
    named = sorted(party for row in rows for party in row.parties)
    assert named in ([], sorted(party for party in counted if party.counts[0]))
    assert all({party.country for party in row.parties} == {row.country} for row in rows if row.country != ELSEWHERE)


def test_a_country_stands_alone_where_the_others_could_have_had_it_all() -> None:
    counted = [
        gone_party("a.example", "NL", 90, 45),
        gone_party("b.example", "NL", 70, 10),
        gone_party("f.example", "NL", 40, 15),
        gone_party("c.example", "DE", 50, 20),
        gone_party("d.example", "DE", 26, 10),
        gone_party("e.example", "US", 60, 10),
    ]
    nl, several = gone_rows(counted)
    assert (nl.country, nl.gone, nl.held) == ("NL", 200, 70)
    assert (several.country, several.gone, several.held) == (ELSEWHERE, 136, 40)
    assert gone_rows(counted[3:5]) == ()


def world(seed: int) -> tuple[list[CountedParty], list[CountedParty]]:
    """Return providers of some countries: removals of their items, and the notices sent, answered and acted on."""
    drawn = random.Random(seed)
    gone, sent = [], []
    for number in range(20):
        name, country = f"provider-{number:03}.example", drawn.choice(("NL", "DE", "US", "FR"))
        counts = sorted((drawn.choice((0, 1, 2, 4, 6, 9, 15, 40)) for _ in range(3)), reverse=True)
        items = drawn.randint(0, counts[2] * 2)
        gone.append(gone_party(name, country, items, drawn.randint(0, items) if drawn.random() < 0.4 else 0))
        sent.append(spread_party(name, country, tuple(counts)))
    return gone, sent


#: Worlds of which at least one row may be published.
SEEDS = tuple([seed for seed in range(60) if gone_rows(world(seed)[0])][:3])


def attacked(
    counted: Sequence[CountedParty], sent: Sequence[CountedParty], rows: Iterable[GoneRow], *, who: int
) -> tuple[float, list[float]]:
    """Return a provider's lower bound of its own held items, and upper bounds of the others' small numbers.

    It knows both tables and all of its own data except holds. It also knows that no measure exceeds the previous one,
    and that a notice that was acted on has ten items at most.
    """
    count, place = len(counted), {each.party: number for number, each in enumerate(counted)}
    equal, sums = [], []

    def say(members: Iterable[int], measure: int, number: int) -> None:
        row = numpy.zeros(count * 5)
        row[[one * 5 + measure for one in members]] = 1.0
        equal.append(row)
        sums.append(float(number))

    for gone in rows:
        members = [place[each.party] for each in gone.parties]
        say(members, 3, gone.gone)
        say(members, 4, gone.held)
    for each in merged(sent) or ():
        members = [place[name] for name in each.parties]
        for measure in range(3):
            say(members, measure, sum(sent[one].counts[measure] for one in members))
    for measure, number in enumerate((*sent[who].counts, counted[who].counts[0])):
        say([who], measure, number)
    less = []
    for one in range(count):
        for above, below, times in ((0, 1, 1), (1, 2, 1), (2, 3, ITEMS), (3, 4, 1)):
            row = numpy.zeros(count * 5)
            row[one * 5 + below], row[one * 5 + above] = 1.0, -float(times)
            less.append(row)

    def extreme(one: int, measure: int, sign: int) -> float:
        wanted = numpy.zeros(count * 5)
        wanted[one * 5 + measure] = float(sign)
        found = linprog(wanted, A_ub=less, b_ub=[0.0] * len(less), A_eq=equal, b_eq=sums, bounds=(0, None))
        assert found.status == 0, found.message
        return sign * float(found.fun)

    shown = {each.party for row in rows for each in row.parties}
    others = [(one, each) for one, each in enumerate(counted) if one != who and each.party in shown]
    small = [(one, at) for one, each in others for at in (3, 4) if 0 < each.counts[at - 3] < SMALL]
    return extreme(who, 4, 1), [extreme(one, at, -1) for one, at in small]


def learns(make: Callable[[Sequence[CountedParty]], Sequence[GoneRow]], seeds: Iterable[int]) -> float:
    """Return the highest lower bound of own held items that any provider of these worlds can derive."""
    most = 0.0
    for seed in seeds:
        counted, sent = world(seed)
        rows = make(counted)
        for who, each in enumerate(counted):
            if each.counts[1]:
                most = max(most, attacked(counted, sent, rows, who=who)[0])
    return most


def test_there_are_worlds_of_several_rows() -> None:
    assert len(SEEDS) == 3
    assert max(len(gone_rows(world(seed)[0])) for seed in SEEDS) > 1


@pytest.mark.parametrize("seed", SEEDS)
def test_no_provider_bounds_what_was_held_of_its_own_above_none(seed: int) -> None:
    assert learns(gone_rows, [seed]) <= 1e-6


def test_a_table_by_provider_tells_each_what_was_held_of_its_own() -> None:
    """The control: each provider with enough removals has its own row."""
    assert learns(lambda counted: [GoneRow(c.country, (c,)) for c in counted if c.counts[1] >= SMALL], SEEDS) >= SMALL


def test_countries_where_one_has_most_tell_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the second rule: if only small numbers are merged, a provider learns of a hold."""
    monkeypatch.setattr(
        GoneRow, "reveals", property(lambda row: any(0 < number < SMALL for number in (row.gone, row.held)))
    )
    assert learns(gone_rows, range(20)) > 0.5


def test_a_small_number_of_anothers_is_bounded_below_five_by_neither_table() -> None:
    bounds: list[float] = []
    for seed in SEEDS[:2]:
        counted, sent = world(seed)
        outsider = next(who for who, each in enumerate(counted) if not each.counts[0])
        bounds += attacked(counted, sent, gone_rows(counted), who=outsider)[1]
    assert bounds
    assert min(bounds) >= SMALL - 1e-6
