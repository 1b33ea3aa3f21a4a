"""A party's day: what it files between two midnights (UTC) is bounded, in two purses, hashes and all the rest.

What is let through is debited in the transaction that makes it durable: processes that share a database share the day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from shared.contracts.referral import ReferralContent
from shared.exchange.prepare import Prepared
from shared.guard import Charged
from shared.kernel.errors import Refused
from shared.party.origin.domain import DaySpent, Outcome, Spent, day_of
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


async def debit_one(days: PostgresDays, content: ReferralContent, spent: Charged, *, acting: Acting) -> None:
    """Debit one record. Raises `DaySpent` where the day has no room for it, but for a child at risk.

    That is debited whether it fits or not: it cannot wait.
    """
    each, day = Debit.of(acting.party, spent), day_of(acting.at)
    after = await days.debit(day, {each.party: each.spent})
    if after[each.party].within(rooms_of(after, acting.documents().directory)[each.party]):
        return
    acting.day_filled()
    if content.priority.level is not PriorityLevel.P0_CHILD_AT_RISK:
        await days.debit(day, {each.party: Spent().less(each.spent)})
        raise DaySpent(acting.at)


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


def claiming(outcomes: Mapping[int, Sequence[Outcome]]) -> list[int]:
    """The requests whose keys are claimed: not those of which nothing came, but may the next day."""
    return [index for index, each in outcomes.items() if not _may_come_again(each)]


def _may_come_again(outcomes: Sequence[Outcome]) -> bool:
    """Whether nothing came of it, and for want of room in the party's day."""
    return all(isinstance(each, Refused) for each in outcomes) and any(isinstance(each, DaySpent) for each in outcomes)
