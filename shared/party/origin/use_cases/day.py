"""A party's day: what it files between two midnights (UTC) is bounded, in two purses, hashes and all the rest.

What is let through is debited in the transaction that makes it durable: processes that share a database share the day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from shared.exchange.prepare import Prepared
from shared.guard import Charged
from shared.party.origin.domain import Spent, day_of
from shared.party.origin.ports import Days
from shared.routing.directory_index import DirectoryIndex


class Debit(NamedTuple):
    """One record that its party files, or a second person of it lets go."""

    party: str
    spent: Spent

    @classmethod
    def of(cls, party: str, charged: Charged) -> Debit:
        return cls(party, Spent(charged.record, charged.hashes))


def debit_of(prepared: Prepared) -> Debit:
    """What is filed is debited at once; what waits for a second person when it is let go."""
    return Debit.of(prepared.origin, prepared.spent)


async def debit(days: Days, each: Debit, *, directory: DirectoryIndex, at: datetime) -> bool:
    """Debit a record to its party's day, if it fits. Whether it does."""
    fits = await debit_whole(days, each, directory=directory, at=at)
    if not fits:
        await days.debit(day_of(at), {each.party: Spent().less(each.spent)})
    return fits


async def debit_whole(days: Days, each: Debit, *, directory: DirectoryIndex, at: datetime) -> bool:
    """Debit a record whether it fits or not: two have let it go, and it cannot wait. Whether it fits."""
    spent = await days.debit(day_of(at), {each.party: each.spent})
    return spent[each.party].within(rooms_of(spent, directory)[each.party])


def fitting(debits: Sequence[Debit], spent: Mapping[str, Spent], rooms: Mapping[str, Spent]) -> list[bool]:
    """Say of each record whether it fits into its party's day behind those before it. `spent` is after all of them."""
    before = {party: spent[party].less(own) for party, own in sum_by_party(debits).items()}
    fits = []
    for each in debits:
        after = before[each.party].plus(each.spent)
        fits.append(after.within(rooms[each.party]))
        if fits[-1]:
            before[each.party] = after
    return fits


def rooms_of(parties: Iterable[str], directory: DirectoryIndex) -> dict[str, Spent]:
    """All that a day of each party has room for."""
    return {party: Spent.whole(directory.purses(party)) for party in parties}


def sum_by_party(debits: Sequence[Debit]) -> dict[str, Spent]:
    """Add debits up for each party."""
    spent: dict[str, Spent] = {}
    for each in debits:
        spent[each.party] = spent.get(each.party, Spent()).plus(each.spent)
    return spent
