"""Parties merged until no number that is published of them is small, so that nothing small follows from it. Pure.

Nothing is left blank in a table: what cannot stand alone stands with others, first with those of its country, then with
those of other countries. All that is published is then sums over disjoint sets of parties, each of them none or at
least five; whoever knows them all, and that an answer is never more than what was sent, can bound no number of a
merged party by less than its row says. Blanks beside totals cannot promise that: they are found by subtraction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

#: What is below it, and not none, is small.
SMALL: Final = 5
#: The country of what was merged over several.
ELSEWHERE: Final = ""


class Party(NamedTuple):
    """One party and what was counted of it, measure by measure."""

    party: str
    country: str
    counts: tuple[int, ...]


class Row(NamedTuple):
    """What is published together. Of one party it bears the name; `parties` are all that it is of, by id."""

    country: str
    parties: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.parties[0] if len(self.parties) == 1 else ""


def merged(parties: Iterable[Party]) -> tuple[Row, ...] | None:
    """The rows of one table, by country and name, several last; None where even all together are too few."""
    by_country: dict[str, list[Party]] = {}
    for party in sorted(parties):
        if any(party.counts):
            by_country.setdefault(party.country, []).append(party)
    rows: list[Row] = []
    left: dict[str, list[Party]] = {}
    for country, members in by_country.items():
        alone, pool = _pooled([(each,) for each in members])
        if _small(pool):
            left[country] = members
        else:
            rows += [Row(country, _names(each)) for each in alone] + ([Row(country, _names(pool))] if pool else [])
    if left:
        rows, elsewhere = _taken_in(rows, [party for each in left.values() for party in each], by_country)
        if _small(elsewhere):
            return None
        rows.append(Row(ELSEWHERE, _names(elsewhere)))
    return tuple(sorted(rows, key=lambda row: (row.country == ELSEWHERE, row.country, len(row.parties) > 1, row.name)))


def _pooled(members: Sequence[tuple[Party, ...]]) -> tuple[list[tuple[Party, ...]], tuple[Party, ...]]:
    """Who can stand alone, and the rest together: it takes in the least of the others until it is not small."""
    alone = sorted((each for each in members if not _small(each)), key=_size, reverse=True)
    pool = tuple(party for each in members if _small(each) for party in each)
    while pool and _small(pool) and alone:
        pool += alone.pop()
    return alone, pool


def _taken_in(
    rows: list[Row], pool: Sequence[Party], by_country: Mapping[str, Sequence[Party]]
) -> tuple[list[Row], Sequence[Party]]:
    """Take whole countries into the pool, the least first, until it is not small or nothing is left."""
    countries = sorted({row.country for row in rows}, key=lambda each: _size(by_country[each]), reverse=True)
    while _small(pool) and countries:
        country = countries.pop()
        rows = [row for row in rows if row.country != country]
        pool = [*pool, *by_country[country]]
    return rows, pool


def _small(together: Iterable[Party]) -> bool:
    return any(0 < total < SMALL for total in map(sum, zip(*(each.counts for each in together), strict=True)))


def _size(together: Iterable[Party]) -> int:
    return sum(sum(each.counts) for each in together)


def _names(together: Iterable[Party]) -> tuple[str, ...]:
    return tuple(sorted(each.party for each in together))
