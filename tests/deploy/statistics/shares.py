"""Numbers of recipients, spread over the origins that contribute them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deploy.statistics.held import GoneParty
from deploy.statistics.merging import Party

ORIGINS = 5


def spread(count: int) -> Mapping[str, int]:
    """Split a number over the origins as evenly as it goes."""
    less, more = divmod(count, ORIGINS)
    return {f"origin-{n}.example": less + (n < more) for n in range(ORIGINS)}


def spread_party(party: str, country: str, counts: Sequence[int]) -> Party:
    """A recipient to which all origins contribute alike."""
    return Party(party, country, tuple(map(spread, counts)))


def gone_party(party: str, country: str, gone: int, held: int) -> GoneParty:
    """A provider to whose numbers all origins contribute alike."""
    return GoneParty(party, country, (spread(gone), spread(held)))
