"""What a hotline decides: the states of offers made to it, and who may do what."""

from __future__ import annotations

from enum import StrEnum

from shared.exchange import origin
from shared.kernel.authority import Authority, Permit, Role
from shared.kernel.errors import Refused


class OfferState(StrEnum):
    """A referral that another origin offered to this hotline."""

    OFFERED = "offered"
    WITHDRAWN = "withdrawn"
    WITHDRAWAL_ACKNOWLEDGED = "withdrawal_acknowledged"


_PEOPLE_AND_MACHINES = frozenset({Role.ANALYST, Role.MACHINE})
_ALL = frozenset(state.value for state in OfferState)

AUTHORITY = Authority(
    (
        *origin.PERMITS,
        Permit("offer", "read", _PEOPLE_AND_MACHINES | {Role.VIEWER}, _ALL),
        Permit("offer", "acknowledge_withdrawal", _PEOPLE_AND_MACHINES, frozenset({OfferState.WITHDRAWN.value})),
        Permit("offer", "apply", frozenset({Role.SERVICE}), _ALL),
    )
)


def withdraw_offer(state: OfferState) -> OfferState:
    """The origin takes the referral back, once. Every other transition is refused."""
    if state is not OfferState.OFFERED:
        raise Refused("offer_not_open")
    return OfferState.WITHDRAWN
