"""No small number is published, and none can be derived from the published ones."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from deploy.statistics.merging import ELSEWHERE, SMALL, CountedParty, CountRow, merged

#: The origins over which numbers are spread.
ORIGINS = 5


def spread(count: int) -> Mapping[str, int]:
    """Split a number over the origins as evenly as possible."""
    less, more = divmod(count, ORIGINS)
    return {f"origin-{n}.example": less + (n < more) for n in range(ORIGINS)}


def spread_party(party: str, country: str, counts: Sequence[int]) -> CountedParty:
    """Return a recipient to which all origins contribute equally."""
    return CountedParty(party, country, tuple(map(spread, counts)))


#: Sent, answered, actioned: none exceeds the previous one.
CHAIN = ((0, 1), (1, 2))
#: In addition: removed, confirmed, reappeared. Confirmed items were removed, and reappeared items were answered.
OF_REMOVALS = (*CHAIN, (2, 3), (3, 4), (1, 5))


@st.composite
def parties(draw: st.DrawFn) -> list[CountedParty]:
    found = []
    for number in range(draw(st.integers(0, 14))):
        sent = draw(st.integers(0, 12) | st.integers(0, 400))
        answered = draw(st.integers(0, sent))
        found.append(
            spread_party(
                f"provider-{number:03}.example", draw(st.sampled_from(["NL", "DE", "US"])), (sent, answered, 0)
            )
        )
    return found


def sums(rows: Sequence[CountRow], counted: Sequence[CountedParty]) -> list[tuple[int, ...]]:
    by_name = {party.party: party.counts for party in counted}
    return [tuple(map(sum, zip(*(by_name[name] for name in row.parties), strict=True))) for row in rows]


@given(parties())
def test_every_published_number_is_none_or_at_least_five(counted: list[CountedParty]) -> None:
    assert all(number == 0 or number >= SMALL for row in sums(merged(counted), counted) for number in row)


@given(parties())
def test_every_active_party_of_a_published_country_has_one_row(counted: list[CountedParty]) -> None:
    rows = merged(counted)
    named = sorted(name for row in rows for name in row.parties)
    shown = {party.country for party in counted if party.party in named}
    assert named == sorted(party.party for party in counted if any(party.counts) and party.country in shown)


@given(parties())
def test_a_row_of_a_country_is_of_that_country_alone(counted: list[CountedParty]) -> None:
    country = {party.party: party.country for party in counted}
    for row in merged(counted):
        if row.country != ELSEWHERE:
            assert {country[name] for name in row.parties} == {row.country}


def test_only_countries_that_tell_too_much_together_are_left_out() -> None:
    few = [spread_party("a.example", "NL", (1, 0)), spread_party("b.example", "DE", (2, 1))]
    assert merged(few) == ()
    large = spread_party("c.example", "US", (90, 80))
    assert merged([*few, large]) == (CountRow("US", ("c.example",)),)
    others = [spread_party("d.example", "NL", (60, 50)), spread_party("e.example", "DE", (70, 60))]
    several = CountRow(ELSEWHERE, ("a.example", "b.example", "d.example", "e.example"))
    assert merged([*few, *others, large]) == (CountRow("US", ("c.example",)), several)


def test_a_small_party_stands_with_the_least_of_its_country() -> None:
    rows = merged(
        [
            spread_party("a.example", "NL", (3, 2)),
            spread_party("b.example", "NL", (10, 8)),
            spread_party("c.example", "NL", (14, 12)),
            spread_party("e.example", "NL", (90, 80)),
            spread_party("d.example", "DE", (50, 0)),
        ]
    )
    several = CountRow("NL", ("a.example", "b.example", "c.example"))
    assert rows == (CountRow("DE", ("d.example",)), CountRow("NL", ("e.example",)), several)


@pytest.mark.parametrize(
    ("shares", "published"),
    [
        ({"a": 40, "b": 30, "c": 30}, True),
        ({"a": 50, "b": 50}, False),
        ({"a": 70, "b": 15, "c": 15}, True),
        ({"a": 71, "b": 15, "c": 14}, False),
        ({"a": 4, "b": 2, "c": 2}, False),
        ({}, True),
    ],
    ids=["three", "two", "largest share", "above it", "four remain", "none"],
)
def test_a_row_of_one_party_needs_three_origins(shares: Mapping[str, int], published: bool) -> None:
    party = CountedParty("a.example", "NL", ({"x": 20, "y": 20, "z": 20}, shares))
    assert merged([party]) == ((CountRow("NL", ("a.example",)),) if published else ())


def world(seed: int) -> list[CountedParty]:
    """Return providers of some countries, most of them small."""
    drawn = random.Random(seed)
    found = []
    for number in range(24):
        sent = drawn.choice((0, 1, 2, 3, 4, 6, 9, 15, 40, 200))
        answered = drawn.randint(0, sent)
        found.append(
            spread_party(
                f"provider-{number:03}.example",
                drawn.choice(("NL", "DE", "US", "FR")),
                (sent, answered, drawn.randint(0, answered)),
            )
        )
    return found


#: The status of a linear program without a bound: the party is in no row.
UNBOUNDED = 3
Known = Sequence[tuple[set[int], tuple[int, ...]]]
Order = Sequence[tuple[int, int]]


def bound(party: int, measure: int, *, known: Known, count: int, parts: bool = False, order: Order = CHAIN) -> float:
    """Return an attacker's upper bound of one number, from sums over sets of parties and the order of measures.

    `parts`: the second and third measure add up to the first; otherwise no measure of a pair of `order` exceeds the
    previous one.
    """
    measures = len(known[0][1])
    size = count * measures
    equal = [
        [float(i // measures in members and i % measures == m) for i in range(size)]
        for members, _ in known
        for m in range(measures)
    ]
    sums_known = [float(counts[m]) for _, counts in known for m in range(measures)]
    less = []
    for one in range(count if parts else 0):
        whole = [0.0] * size
        whole[one * measures : (one + 1) * measures] = [-1.0, 1.0, 1.0]
        equal.append(whole)
        sums_known.append(0.0)
    for one in range(0 if parts else count):
        for above, below in order:
            row = [0.0] * size
            row[one * measures + below], row[one * measures + above] = 1.0, -1.0
            less.append(row)
    wanted = numpy.zeros(size)
    wanted[party * measures + measure] = -1.0
    found = linprog(
        wanted, A_ub=less or None, b_ub=[0.0] * len(less) or None, A_eq=equal, b_eq=sums_known, bounds=(0, None)
    )
    assert found.status in (0, UNBOUNDED), found.message
    return float("inf") if found.status == UNBOUNDED else -float(found.fun)


def attacked(
    counted: Sequence[CountedParty], known: Known, *, parts: bool = False, order: Order = CHAIN
) -> list[float]:
    """Return the bounds of all small numbers."""
    return [
        bound(number, measure, known=known, count=len(counted), parts=parts, order=order)
        for number, party in enumerate(counted)
        for measure, count in enumerate(party.counts)
        if 0 < count < SMALL
    ]


def of_rows(rows: Sequence[CountRow], counted: Sequence[CountedParty]) -> Known:
    place = {party.party: number for number, party in enumerate(counted)}
    return [({place[name] for name in row.parties}, sum_) for row, sum_ in zip(rows, sums(rows, counted), strict=True)]


#: Worlds of which at least one row is published.
SEEDS = tuple([seed for seed in range(24) if merged(world(seed))][:4])


def test_there_are_worlds_of_several_rows() -> None:
    assert len(SEEDS) == 4
    assert max(len(merged(world(seed))) for seed in SEEDS) > 2


@pytest.mark.parametrize("seed", SEEDS)
def test_an_attacker_with_every_row_bounds_no_small_number_below_five(seed: int) -> None:
    counted = [party for party in world(seed) if any(party.counts)]
    rows = merged(counted)
    assert rows
    bounds = attacked(counted, of_rows(rows, counted))
    assert bounds
    assert min(bounds) >= SMALL - 1e-6


def filed(seed: int, *, parts: bool) -> tuple[list[CountedParty], list[CountedParty]]:
    """Return agencies with referrals from hotlines and providers; then the same for the merge, as `parts` says.

    Without `parts` the third number is left out.
    """
    counted = []
    for party in world(seed):
        sent, hotlines, _ = party.counts
        if sent:
            counted.append(spread_party(party.party, party.country, (sent, hotlines, sent - hotlines)))
    return counted, counted if parts else [each._replace(origins=each.origins[:2]) for each in counted]


def smallest(counted: list[CountedParty], merged_of: list[CountedParty], **attack: Any) -> float:
    """Return the smallest number that an attacker bounds from the rows merged of these."""
    rows = merged(merged_of)
    assert rows
    return min(attacked(counted, of_rows(rows, counted), **attack))


@pytest.mark.parametrize("seed", range(2))
def test_an_attacker_who_knows_that_two_measures_make_up_a_third_bounds_no_small_number(seed: int) -> None:
    assert smallest(*filed(seed, parts=True), parts=True) >= SMALL - 1e-6


def test_the_part_that_is_left_out_would_be_found_by_subtraction() -> None:
    """The control: merged by the first and the second alone, the third is their difference."""
    assert smallest(*filed(0, parts=False), parts=True) < SMALL


def of_removals(seed: int) -> list[CountedParty]:
    """Return providers with the items that they reported as removed, those confirmed, and those that reappeared."""
    drawn, counted = random.Random(seed), []
    for party in world(seed):
        removed = drawn.randint(0, party.counts[2])
        counts = (*party.counts, removed, drawn.randint(0, removed), drawn.randint(0, party.counts[1]))
        if any(counts):
            counted.append(spread_party(party.party, party.country, counts))
    return counted


@pytest.mark.parametrize("seed", [seed for seed in range(4) if merged(of_removals(seed))])
def test_an_attacker_bounds_no_small_number_of_removals_and_of_what_confirmed_them(seed: int) -> None:
    counted = of_removals(seed)
    assert smallest(counted, counted, order=OF_REMOVALS) >= SMALL - 1e-6


def test_what_was_found_of_removals_would_tell_of_few_where_rows_are_merged_without_it() -> None:
    """The control: merged only by notices sent, answered and acted on, as if the rest were no number."""
    counted = of_removals(1)
    merged_of = [each._replace(origins=each.origins[:3]) for each in counted]
    assert smallest(counted, merged_of, order=OF_REMOVALS) < SMALL


def test_blanks_beside_totals_would_be_found_by_subtraction() -> None:
    counted = [party for party in world(3) if any(party.counts)]
    total = tuple(map(sum, zip(*(party.counts for party in counted), strict=True)))
    published: list[tuple[set[int], tuple[int, ...]]] = [(set(range(len(counted))), total)]
    large = [number for number, party in enumerate(counted) if all(c == 0 or c >= SMALL for c in party.counts)]
    published += [({number}, counted[number].counts) for number in large]
    for country in ("NL", "DE", "US", "FR"):
        members = {number for number, party in enumerate(counted) if party.country == country}
        published.append((members, tuple(map(sum, zip(*(counted[n].counts for n in members), strict=True)))))
    left = [n for n in range(len(counted)) if n not in large]
    published += [({n}, counted[n].counts) for n in left[:-1] if counted[n].country == counted[left[-1]].country]
    assert min(attacked(counted, published)) < SMALL
