"""What a provider decides: the states of notices issued to it, and who may do what."""

from __future__ import annotations

from enum import StrEnum

from shared.exchange import origin
from shared.kernel.authority import Authority, Permit, Role, state_forbids


class NoticeState(StrEnum):
    """What a provider has made of a notice that was issued to it."""

    ISSUED = "issued"
    ACKNOWLEDGED = "acknowledged"
    ACTIONED = "actioned"
    REJECTED = "rejected"
    NOT_OURS = "not_ours"
    WITHDRAWN = "withdrawn"
    WITHDRAWAL_ACKNOWLEDGED = "withdrawal_acknowledged"


class NoticeAct(StrEnum):
    """What moves a notice. `withdraw` is the notifier's; the others are the provider's own."""

    ACKNOWLEDGE = "acknowledge"
    ACTION = "action"
    REJECT = "reject"
    DISOWN = "disown"
    WITHDRAW = "withdraw"
    ACKNOWLEDGE_WITHDRAWAL = "acknowledge_withdrawal"


_ISSUED = frozenset({NoticeState.ISSUED})
_UNANSWERED = frozenset({NoticeState.ISSUED, NoticeState.ACKNOWLEDGED})
_WITHDRAWN = frozenset({NoticeState.WITHDRAWN})
_ALL = frozenset(NoticeState)
#: Also after an answer: what was removed on a notice may have to come back when the notice is withdrawn.
_NOT_WITHDRAWN = _ALL - {NoticeState.WITHDRAWN, NoticeState.WITHDRAWAL_ACKNOWLEDGED}

#: Act → (states it may come in, the state it leads to). Everything else is refused.
_TRANSITIONS: dict[NoticeAct, tuple[frozenset[NoticeState], NoticeState]] = {
    NoticeAct.ACKNOWLEDGE: (_ISSUED, NoticeState.ACKNOWLEDGED),
    NoticeAct.ACTION: (_UNANSWERED, NoticeState.ACTIONED),
    NoticeAct.REJECT: (_UNANSWERED, NoticeState.REJECTED),
    NoticeAct.DISOWN: (_UNANSWERED, NoticeState.NOT_OURS),
    NoticeAct.WITHDRAW: (_NOT_WITHDRAWN, NoticeState.WITHDRAWN),
    NoticeAct.ACKNOWLEDGE_WITHDRAWAL: (_WITHDRAWN, NoticeState.WITHDRAWAL_ACKNOWLEDGED),
}

_PEOPLE_AND_MACHINES = frozenset({Role.ANALYST, Role.MACHINE})

AUTHORITY = Authority(
    (
        *origin.PERMITS,
        Permit("notice", "read", _PEOPLE_AND_MACHINES | {Role.VIEWER}, _ALL),
        Permit("notice", "acknowledge", _PEOPLE_AND_MACHINES, _ISSUED),
        Permit("notice", "action", _PEOPLE_AND_MACHINES, _UNANSWERED),
        Permit("notice", "reject", _PEOPLE_AND_MACHINES, _UNANSWERED),
        Permit("notice", "disown", _PEOPLE_AND_MACHINES, _UNANSWERED),
        Permit("notice", "acknowledge_withdrawal", _PEOPLE_AND_MACHINES, _WITHDRAWN),
        Permit("notice", "apply", frozenset({Role.SERVICE}), _ALL),
    )
)


def advance(state: NoticeState, act: NoticeAct) -> NoticeState:
    """The state after `act`. Raises `Refused("state_forbids")` for every transition not listed."""
    allowed, following = _TRANSITIONS[act]
    if state not in allowed:
        raise state_forbids()
    return following


def require_role(role: Role, act: NoticeAct) -> None:
    """Raises `Refused("forbidden")` for a role that never may, before anything is looked up for it."""
    AUTHORITY.require("notice", role, action=act, state=min(_TRANSITIONS[act][0]))
