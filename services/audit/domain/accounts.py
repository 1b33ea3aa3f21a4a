"""What a reconciliation came to, by whose it is, and what of that somebody sees. Pure."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from shared.contracts.base import Contract, Flag, Instant, PartyId

Count = Annotated[int, Field(ge=0)]


class OriginAccount(Contract):
    """What became of everything that one origin was asked to file (equation I). `exercise`: its world."""

    party: PartyId
    exercise: Flag
    submitted: Count
    refused: Count
    routed: Count
    unroutable: Count
    orphaned: Count
    unknown_code: Count


class PairAccount(Contract):
    """What became of all messages of one party to another (equation II); so many of them lie in sealed days."""

    sender: PartyId
    recipient: PartyId
    exercise: Flag
    numbered: Count
    applied: Count
    refused: Count
    moved: Count
    deferred: Count
    waiting: Count
    dead: Count
    in_flight: Count
    sealed: Count


class AccountDifference(Contract):
    """What does not add up, and where: by coordinates, ids and numbers. `parties` and their world where it is known."""

    equation: str
    what: str
    where: str
    parties: tuple[str, ...]
    exercise: bool | None = None


class Accounts(Contract):
    """One reconciliation, as the operator's tool has made it of the books of all sides. Days before are sealed."""

    compared_at: Instant
    sealed_until: date | None = None
    origins: tuple[OriginAccount, ...]
    pairs: tuple[PairAccount, ...]
    differences: tuple[AccountDifference, ...]


def within_scope(accounts: Accounts, parties: frozenset[str] | None, *, exercise: bool) -> Accounts:
    """Those of one world: origins in scope, pairs with a party in scope, and differences of such.

    A difference that names no party may be anybody's, and is of either world: told to who sees everything.
    """

    def is_seen(*named: str) -> bool:
        return parties is None or not parties.isdisjoint(named)

    return accounts.model_copy(
        update={
            "origins": tuple(each for each in accounts.origins if each.exercise is exercise and is_seen(each.party)),
            "pairs": tuple(
                each for each in accounts.pairs if each.exercise is exercise and is_seen(each.sender, each.recipient)
            ),
            "differences": tuple(
                each for each in accounts.differences if each.exercise in (exercise, None) and is_seen(*each.parties)
            ),
        }
    )
