"""What was gone before its notice came, and how much of it while an agency had the notice wait, by country. Pure.

No provider may learn that a notice of its own was held. So no provider stands alone, and of no row is more held than
what is left without the one that had most: whoever subtracts its own can have it all have been of others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from deploy.statistics.merging import ELSEWHERE, Party, can_publish


class GoneParty(Party):
    """A provider, with two measures of its items: those that were gone already, and those of them that were held."""

    @property
    def gone(self) -> int:
        return self.counts[0]

    @property
    def held(self) -> int:
        return self.counts[1]


class GoneRow(NamedTuple):
    """What is published together: a country, or several where it is empty; `parties` had anything gone at all."""

    country: str
    parties: tuple[GoneParty, ...]

    @property
    def gone(self) -> int:
        return sum(each.gone for each in self.parties)

    @property
    def held(self) -> int:
        return sum(each.held for each in self.parties)

    @property
    def tells(self) -> bool:
        """Whether a contributor learns a small number, or one of its parties that something of its own was held."""
        most = max((each.gone for each in self.parties), default=0)
        return not can_publish(self.parties) or self.held > self.gone - most


def gone_rows(parties: Iterable[GoneParty]) -> tuple[GoneRow, ...]:
    """The rows by country, several last. What tells is taken together with the least others until it does not."""
    by_country: dict[str, list[GoneParty]] = {}
    for party in sorted(parties):
        if party.gone:
            by_country.setdefault(party.country, []).append(party)
    countries = [GoneRow(country, tuple(members)) for country, members in by_country.items()]
    alone = sorted((row for row in countries if not row.tells), key=lambda row: (row.gone, row.country), reverse=True)
    several = GoneRow(ELSEWHERE, tuple(party for row in countries if row.tells for party in row.parties))
    while several.parties and several.tells and alone:
        several = GoneRow(ELSEWHERE, several.parties + alone.pop().parties)
    if several.tells:
        return ()
    return (*sorted(alone), *([several] if several.parties else ()))
