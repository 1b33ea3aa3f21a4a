"""A contributor that subtracts its own numbers from a published table finds no small number of another."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy
import pytest
from scipy.optimize import linprog

from deploy.statistics import merging
from deploy.statistics.merging import SMALL, CountedParty, CountRow, merged

ORIGINS = tuple(f"origin-{n}.example" for n in range(6))
#: The tables, those of the control, and those that a linear program attacks in a default run.
TABLES, CONTROLS, PROGRAMS = 10_000, 100, 1


def table(seed: int) -> list[CountedParty]:
    """Draw recipients of some countries, with the referrals from some origins to each and their results."""
    drawn = random.Random(seed)
    busy = drawn.choice(((0, 0, 1, 2), (0, 1, 3, 6), (2, 5, 9, 14), (4, 6, 8, 40)))
    found = []
    for number in range(drawn.randint(3, 12)):
        sent = {origin: drawn.choice(busy) for origin in ORIGINS if drawn.random() < 0.8}
        answered = {origin: drawn.randint(0, count) for origin, count in sent.items()}
        found.append(CountedParty(f"p{number}.example", drawn.choice(("NL", "DE", "FR")), (sent, answered)))
    return found


class Finding(NamedTuple):
    """A sum that a contributor finds by subtraction, with the other contributors' numbers in it."""

    contributor: str
    remainder: int
    others: tuple[int, ...]

    @property
    def tells(self) -> bool:
        """Return whether it reveals a number of 1 to 4, or limits one to below five."""
        return any(0 < each < SMALL for each in self.others) and self.remainder < SMALL


def findings(rows: Sequence[CountRow], counted: Sequence[CountedParty]) -> Iterator[Finding]:
    """Subtract the number of each contributor from each published number: of every recipient, and of every origin."""
    by_name = {party.party: party for party in counted}
    for row in rows:
        members = [by_name[name] for name in row.parties]
        for measure in range(len(members[0].origins)):
            by_origin = Counter[str]()
            for member in members:
                by_origin.update(member.origins[measure])
            by_party = {member.party: member.counts[measure] for member in members}
            yield from subtracted(by_origin)
            yield from subtracted(by_party) if len(members) > 1 else ()


def subtracted(shares: Mapping[str, int]) -> Iterator[Finding]:
    for name, own in shares.items():
        others = tuple(count for other, count in shares.items() if other != name)
        yield Finding(name, sum(shares.values()) - own, others)


def telling(seeds: range) -> list[Finding]:
    tables = map(table, seeds)
    return [each for counted in tables for each in findings(merged(counted), counted) if each.tells]


def test_no_contributor_of_ten_thousand_tables_finds_a_small_number_of_another() -> None:
    assert sum(bool(merged(table(seed))) for seed in range(CONTROLS)) > CONTROLS / 4
    assert telling(range(TABLES)) == []


def test_sums_of_at_least_five_alone_are_found_by_subtraction(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a rule that only requires zero or at least five, regardless of the contributors."""
    monkeypatch.setattr(merging, "_hides_shares", lambda shares: not 0 < sum(shares) < SMALL)
    assert len(telling(range(CONTROLS))) > CONTROLS / 10


def test_two_recipients_of_one_row_would_find_the_numbers_of_each_other() -> None:
    large = CountedParty("a.example", "NL", (dict.fromkeys(ORIGINS, 5),))
    few = CountedParty("b.example", "NL", (dict.fromkeys(ORIGINS[:1], 1),))
    assert merged([large, few]) == ()
    assert [one.remainder for one in findings([CountRow("NL", ("a.example", "b.example"))], [large, few]) if one.tells]


def bounds(rows: Sequence[CountRow], counted: Sequence[CountedParty], *, contributor: str) -> Iterator[float]:
    """Return the best bounds that a contributor can derive of each small foreign number, by linear programs.

    It knows all rows, its own numbers, and that no recipient answered more of an origin than the origin sent.
    """
    cells = [(p.party, o, m) for p in counted for o in ORIGINS for m in range(2)]
    place = {cell: number for number, cell in enumerate(cells)}
    value = {(p.party, o, m): p.origins[m].get(o, 0) for p in counted for o in ORIGINS for m in range(2)}

    def vector(members: Sequence[tuple[str, str, int]]) -> numpy.ndarray[tuple[int], numpy.dtype[numpy.float64]]:
        row = numpy.zeros(len(cells))
        row[[place[each] for each in members]] = 1.0
        return row

    known = [[cell for cell in cells if cell[0] in row.parties and cell[2] == m] for row in rows for m in range(2)]
    known += [[cell] for cell in cells if contributor in cell[:2]]
    less = [vector([(p.party, o, 1)]) - vector([(p.party, o, 0)]) for p in counted for o in ORIGINS]
    shown = {name for row in rows for name in row.parties}
    of_others = [cell for cell in cells if cell[0] in shown and contributor not in cell[:2]]
    targets = [[c for c in of_others if c[at] == name and c[2] == m] for m in range(2) for at in (0, 1)
               for name in {cell[at] for cell in of_others}]  # fmt: skip
    for target in targets:
        if 0 < sum(value[cell] for cell in target) < SMALL:
            sums = [float(sum(value[cell] for cell in each)) for each in known]
            found = linprog(
                -vector(target), A_ub=less, b_ub=[0.0] * len(less), A_eq=[vector(k) for k in known], b_eq=sums
            )
            assert found.status == 0, found.message
            yield -float(found.fun)


def attack(count: int) -> list[float]:
    """Return the bounds that every contributor of `count` tables with rows of several recipients can derive."""
    seeds = [seed for seed in range(count * 40) if any(len(row.parties) > 1 for row in merged(table(seed)))][:count]
    assert len(seeds) == count
    return [
        bound
        for seed in seeds
        for contributor in (*(party.party for party in table(seed)), *ORIGINS)
        for bound in bounds(merged(table(seed)), table(seed), contributor=contributor)
    ]


def test_no_contributor_bounds_a_small_number_of_another_below_five() -> None:
    found = attack(PROGRAMS)
    assert found
    assert min(found) >= SMALL - 1e-6


@pytest.mark.long
def test_no_contributor_of_a_hundred_tables_bounds_a_small_number_of_another_below_five() -> None:
    assert min(attack(100)) >= SMALL - 1e-6
