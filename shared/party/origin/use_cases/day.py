"""A party's day: what it files between two midnights (UTC) is bounded, in two purses, hashes and all the rest.

What is let through is debited in the transaction that makes it durable: processes that share a database share the day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from shared.contracts.referral import ReferralContent
from shared.exchange.prepare import Prepared
from shared.guard import Charged
from shared.party.origin.domain import DaySpent, Spent, day_of
from shared.party.origin.store.days import PostgresDays
from shared.party.origin.use_cases.referrals import Acting
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.referral import PriorityLevel


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


async def debit_one(days: PostgresDays, content: ReferralContent, spent: Charged, acting: Acting) -> None:
    """Debit one record. Raises `DaySpent` where the day has no room for it, but for a child at risk.

    That is debited whether it fits or not: it cannot wait.
    """
    each, directory = Debit.of(acting.party, spent), acting.documents().directory
    urgent = content.priority.level is PriorityLevel.P0_CHILD_AT_RISK
    if urgent:
        after = await days.debit(day_of(acting.at), {each.party: each.spent})
        fits = after[each.party].within(directory.purses(each.party))
    else:
        (fits,) = await debit(days, [each], directory=directory, at=acting.at)
    if not fits:
        acting.day_filled()
    if not fits and not urgent:
        raise DaySpent(acting.at)


def _by_party(debits: Sequence[Debit]) -> dict[str, Spent]:
    spent: dict[str, Spent] = {}
    for each in debits:
        spent[each.party] = spent.get(each.party, Spent()).plus(each.spent)
    return spent
