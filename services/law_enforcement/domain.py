"""What an agency decides: the states of its cases, and who may do what."""

from __future__ import annotations

from enum import StrEnum

from shared.kernel.authority import Authority, Permit, Role, state_forbids
from shared.kernel.errors import Refused
from shared.vocabulary.answers import CaseOutcome, CloseReason


class CaseState(StrEnum):
    """What an agency has made of a referral that was offered to it."""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    ONGOING = "ongoing"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"
    WITHDRAWAL_ACKNOWLEDGED = "withdrawal_acknowledged"


class CaseAct(StrEnum):
    """What moves a case. `withdraw` is the origin's; the others are the agency's own."""

    ACCEPT = "accept"
    DECLINE = "decline"
    REPORT_OUTCOME = "report_outcome"
    WITHDRAW = "withdraw"
    ACKNOWLEDGE_WITHDRAWAL = "acknowledge_withdrawal"


_OFFERED = frozenset({CaseState.OFFERED})
_UNDER_WAY = frozenset({CaseState.ACCEPTED, CaseState.ONGOING})
_WITHDRAWN = frozenset({CaseState.WITHDRAWN})
_ALL = frozenset(CaseState)
#: Also declined and closed: whoever was sent a referral still has it, and must learn that it was taken back.
_NOT_WITHDRAWN = _ALL - {CaseState.WITHDRAWN, CaseState.WITHDRAWAL_ACKNOWLEDGED}

#: Act → (states it may come in, the state it leads to). Everything else is refused.
_TRANSITIONS: dict[CaseAct, tuple[frozenset[CaseState], CaseState]] = {
    CaseAct.ACCEPT: (_OFFERED, CaseState.ACCEPTED),
    CaseAct.DECLINE: (_OFFERED, CaseState.DECLINED),
    CaseAct.REPORT_OUTCOME: (_UNDER_WAY, CaseState.ONGOING),
    CaseAct.WITHDRAW: (_NOT_WITHDRAWN, CaseState.WITHDRAWN),
    CaseAct.ACKNOWLEDGE_WITHDRAWAL: (_WITHDRAWN, CaseState.WITHDRAWAL_ACKNOWLEDGED),
}
_CLOSING = frozenset({CaseOutcome.CONVICTION, CaseOutcome.CLOSED})

_PEOPLE_AND_MACHINES = frozenset({Role.ANALYST, Role.MACHINE})

AUTHORITY = Authority(
    (
        Permit("case", "read", _PEOPLE_AND_MACHINES | {Role.VIEWER}, _ALL),
        Permit("case", "accept", _PEOPLE_AND_MACHINES, _OFFERED),
        Permit("case", "decline", _PEOPLE_AND_MACHINES, _OFFERED),
        Permit("case", "report_outcome", _PEOPLE_AND_MACHINES, _UNDER_WAY),
        Permit("case", "acknowledge_withdrawal", _PEOPLE_AND_MACHINES, _WITHDRAWN),
        Permit("case", "apply", frozenset({Role.SERVICE}), _ALL),
    )
)


def advance(state: CaseState, act: CaseAct, outcome: CaseOutcome | None = None) -> CaseState:
    """The state after `act`. A reported `outcome` that ends a case closes it.

    Raises `Refused("state_forbids")` for every transition not listed.
    """
    allowed, following = _TRANSITIONS[act]
    if state not in allowed:
        raise state_forbids()
    return CaseState.CLOSED if act is CaseAct.REPORT_OUTCOME and outcome in _CLOSING else following


def check_close_reason(outcome: CaseOutcome, close_reason: CloseReason | None) -> None:
    """A reason for closing goes with `closed`, always, and with nothing else."""
    if (close_reason is not None) != (outcome is CaseOutcome.CLOSED):
        raise Refused("close_reason_needs_closed", "give it with closed, and only then", field="/close_reason")


def require_role(role: Role, act: CaseAct) -> None:
    """Raises `Refused("forbidden")` for a role that never may, before anything is looked up for it."""
    AUTHORITY.require("case", role, action=act, state=min(_TRANSITIONS[act][0]))


def check_further_edge(state: CaseState, purposes: frozenset[str], purpose: str) -> None:
    """A referral may be offered to one agency for several purposes, each once, until it is withdrawn."""
    if state not in _NOT_WITHDRAWN:
        raise Refused("referral_withdrawn")
    if purpose in purposes:
        raise Refused("edge_exists")
