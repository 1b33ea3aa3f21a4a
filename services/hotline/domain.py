"""What a hotline decides: the states of offers made to it, and who may do what."""

from __future__ import annotations

from enum import StrEnum

from shared.exchange import origin
from shared.kernel.authority import Authority, Permit, Role, state_forbids


class OfferState(StrEnum):
    """A referral that another origin offered to this hotline."""

    OFFERED = "offered"
    WITHDRAWN = "withdrawn"
    WITHDRAWAL_ACKNOWLEDGED = "withdrawal_acknowledged"


class OfferAct(StrEnum):
    """What moves an offer. `withdraw` is the origin's; the other is the hotline's own."""

    WITHDRAW = "withdraw"
    ACKNOWLEDGE_WITHDRAWAL = "acknowledge_withdrawal"


_WITHDRAWN = frozenset({OfferState.WITHDRAWN})
_ALL = frozenset(OfferState)

#: Act → (states it may come in, the state it leads to). Everything else is refused.
_TRANSITIONS: dict[OfferAct, tuple[frozenset[OfferState], OfferState]] = {
    OfferAct.WITHDRAW: (frozenset({OfferState.OFFERED}), OfferState.WITHDRAWN),
    OfferAct.ACKNOWLEDGE_WITHDRAWAL: (_WITHDRAWN, OfferState.WITHDRAWAL_ACKNOWLEDGED),
}

_PEOPLE_AND_MACHINES = frozenset({Role.ANALYST, Role.MACHINE})

AUTHORITY = Authority(
    (
        *origin.PERMITS,
        Permit("offer", "read", _PEOPLE_AND_MACHINES | {Role.VIEWER}, _ALL),
        Permit("offer", "acknowledge_withdrawal", _PEOPLE_AND_MACHINES, _WITHDRAWN),
        Permit("offer", "apply", frozenset({Role.SERVICE}), _ALL),
    )
)


def advance(state: OfferState, act: OfferAct) -> OfferState:
    """The state after `act`. Raises `Refused("state_forbids")` for every transition not listed."""
    allowed, following = _TRANSITIONS[act]
    if state not in allowed:
        raise state_forbids()
    return following


def require_role(role: Role, act: OfferAct) -> None:
    """Raises `Refused("forbidden")` for a role that never may, before anything is looked up for it."""
    AUTHORITY.require("offer", role, action=act, state=min(_TRANSITIONS[act][0]))
