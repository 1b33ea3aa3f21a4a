"""Merge parties until no published number of them is small, and no small number follows from one.

The published rows are sums over disjoint sets of parties, and there is no blank cell and no total to subtract
from. A party that cannot have its own row is merged with others of its country, and then with other countries.

Each number is zero, or it has at least three contributors, none of them with more than 70 percent. Without any one
contributor, at least five remain. So a contributor that subtracts its own share learns no small number of another.
Contributors are the origins that sent, and the parties of the row if it has several. Two that share their numbers can
learn more: the rule is against one.

The table of gone items also has the number of them that agencies held. No provider may learn that its own notice was
held. So no provider has its own row there. In no row is the held number above the gone number without the largest
party: by subtracting its own share, a provider can attribute all held notices to others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

#: A number below this, except zero, is small.
SMALL: Final = 5
#: The minimum number of contributors of a number, and the maximum share of one of them in percent.
CONTRIBUTORS_MIN: Final = 3
SHARE_PERCENT_MAX: Final = 70
#: The country of a row that was merged over several countries.
ELSEWHERE: Final = ""


class CountedParty(NamedTuple):
    """One recipient. `origins` has, measure by measure, the number that each origin contributes."""

    party: str
    country: str
    origins: tuple[Mapping[str, int], ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Return the number of each measure over all origins."""
        return tuple(sum(each.values()) for each in self.origins)


class CountRow(NamedTuple):
    """One published row. A row of one party has its name; `parties` are all its parties, by id."""

    country: str
    parties: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.parties[0] if len(self.parties) == 1 else ""


def merged(parties: Iterable[CountedParty]) -> tuple[CountRow, ...]:
    """Return the rows of one table by country and name, several last.

    Countries are left out if even the sum over all countries reveals too much.
    """
    by_country: dict[str, list[CountedParty]] = {}
    for party in sorted(parties):
        if any(party.counts):
            by_country.setdefault(party.country, []).append(party)
    rows: list[CountRow] = []
    left: dict[str, list[CountedParty]] = {}
    for country, members in by_country.items():
        alone, pool = _pooled([(each,) for each in members])
        if not can_publish(pool):
            left[country] = members
        else:
            rows += [CountRow(country, _names(each)) for each in (*alone, pool) if each]
    if left:
        others, elsewhere = _taken_in(rows, [party for each in left.values() for party in each], by_country)
        if can_publish(elsewhere):
            rows = [*others, CountRow(ELSEWHERE, _names(elsewhere))]
    return tuple(sorted(rows, key=lambda row: (row.country == ELSEWHERE, row.country, len(row.parties) > 1, row.name)))


def _pooled(
    members: Sequence[tuple[CountedParty, ...]],
) -> tuple[list[tuple[CountedParty, ...]], tuple[CountedParty, ...]]:
    """Split into parties with their own row and a pool, which takes the smallest others as needed."""
    alone = sorted((each for each in members if can_publish(each)), key=_size, reverse=True)
    pool = tuple(party for each in members if not can_publish(each) for party in each)
    while not can_publish(pool) and alone:
        pool += alone.pop()
    return alone, pool


def _taken_in(
    rows: list[CountRow], pool: Sequence[CountedParty], by_country: Mapping[str, Sequence[CountedParty]]
) -> tuple[list[CountRow], Sequence[CountedParty]]:
    """Add whole countries to the pool, the smallest first, until it can be published or none is left."""
    countries = sorted({row.country for row in rows}, key=lambda each: _size(by_country[each]), reverse=True)
    while not can_publish(pool) and countries:
        country = countries.pop()
        rows = [row for row in rows if row.country != country]
        pool = [*pool, *by_country[country]]
    return rows, pool


def can_publish(together: Sequence[CountedParty]) -> bool:
    """Return whether no contributor learns a small number of another from the sums over these parties."""
    counts = [each.counts for each in together]
    if len(together) > 1 and not all(map(_hides_shares, zip(*counts, strict=True))):
        return False
    by_measure = zip(*(each.origins for each in together), strict=True)
    return all(_hides_shares(sum(map(Counter, parts), Counter[str]()).values()) for parts in by_measure)


def _hides_shares(shares: Iterable[int]) -> bool:
    """Return whether a sum hides its parts from the contributor of each; a sum of zero does."""
    parts = [each for each in shares if each]
    total, most = sum(parts), max(parts, default=0)
    shared = len(parts) >= CONTRIBUTORS_MIN and 100 * most <= SHARE_PERCENT_MAX * total
    return not parts or (shared and total - most >= SMALL)


def _size(together: Iterable[CountedParty]) -> int:
    return sum(sum(each.counts) for each in together)


def _names(together: Iterable[CountedParty]) -> tuple[str, ...]:
    return tuple(sorted(each.party for each in together))


class GoneRow(NamedTuple):
    """One published row: a country, or several if it is empty; `parties` had any gone item.

    They have two measures of their items: those that were already gone, and those of them that were held.
    """

    country: str
    parties: tuple[CountedParty, ...]

    @property
    def gone(self) -> int:
        return sum(each.counts[0] for each in self.parties)

    @property
    def held(self) -> int:
        return sum(each.counts[1] for each in self.parties)

    @property
    def reveals(self) -> bool:
        """Return whether a contributor learns a small number, or a provider that its own notice was held."""
        most = max((each.counts[0] for each in self.parties), default=0)
        return not can_publish(self.parties) or self.held > self.gone - most


def gone_rows(parties: Iterable[CountedParty]) -> tuple[GoneRow, ...]:
    """Return the rows by country, several last.

    A revealing row is merged with the smallest others until it is safe.
    """
    by_country: dict[str, list[CountedParty]] = {}
    for party in sorted(parties):
        if party.counts[0]:
            by_country.setdefault(party.country, []).append(party)
    countries = [GoneRow(country, tuple(members)) for country, members in by_country.items()]
    alone = sorted((row for row in countries if not row.reveals), key=lambda row: (row.gone, row.country), reverse=True)
    several = GoneRow(ELSEWHERE, tuple(party for row in countries if row.reveals for party in row.parties))
    while several.parties and several.reveals and alone:
        several = GoneRow(ELSEWHERE, several.parties + alone.pop().parties)
    if several.reveals:
        return ()
    return (*sorted(alone), *([several] if several.parties else ()))
