"""A party's day: what it files between two midnights (UTC) is bounded, in two purses, hashes and all the rest.

What is let through is debited in the transaction that makes it durable: processes that share a database share the day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from shared.exchange.prepare import Prepared
from shared.guard import Charged
from shared.party.origin.domain import Spent, day_of
from shared.party.origin.store.days import PostgresDays
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


async def debit(days: PostgresDays, debits: Sequence[Debit], *, directory: DirectoryIndex, at: datetime) -> list[bool]:
    """Debit records to their parties' days, in order, and say of each whether it fits. What does not is not debited."""
    asked = _by_party(debits)
    if not asked:
        return []
    spent = dict(await days.debit(day_of(at), asked))
    purses = {party: directory.purses(party) for party in asked}
    if all(spent[party].within(purses[party]) for party in asked):
        return [True] * len(debits)
    spent = {party: spent[party].less(asked[party]) for party in asked}
    fits = []
    for each in debits:
        after = spent[each.party].plus(each.spent)
        fits.append(after.within(purses[each.party]))
        if fits[-1]:
            spent[each.party] = after
    await give_back(days, [each for each, fit in zip(debits, fits, strict=True) if not fit], at=at)
    return fits


async def give_back(days: PostgresDays, debits: Sequence[Debit], *, at: datetime) -> None:
    """Undo debits, in the transaction that made them: nothing comes of these records."""
    back = {party: Spent().less(spent) for party, spent in _by_party(debits).items()}
    if back:
        await days.debit(day_of(at), back)


async def debit_whole(days: PostgresDays, each: Debit, *, directory: DirectoryIndex, at: datetime) -> bool:
    """Debit a record whether it fits or not: two have let it go, and it cannot wait. Whether it fits."""
    spent = await days.debit(day_of(at), {each.party: each.spent})
    return spent[each.party].within(directory.purses(each.party))


def _by_party(debits: Sequence[Debit]) -> dict[str, Spent]:
    spent: dict[str, Spent] = {}
    for each in debits:
        spent[each.party] = spent.get(each.party, Spent()).plus(each.spent)
    return spent
