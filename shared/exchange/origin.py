"""What an origin does with its referrals, pure: states, permits, and how an answer moves an edge."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.contracts import answers
from shared.contracts.base import Contract
from shared.contracts.referral import NoticeWithdrawalAcknowledgedClear, WithdrawalAcknowledgedClear
from shared.kernel.authority import Permit, Role
from shared.kernel.errors import Refused
from shared.vocabulary.answers import CaseOutcome
from shared.vocabulary.routing import Disposition


class ReferralState(StrEnum):
    """A referral at its origin: the four dispositions of a decision, then withdrawn (a state, not a bucket)."""

    ROUTED = Disposition.ROUTED.value
    UNROUTABLE = Disposition.UNROUTABLE.value
    ORPHANED = Disposition.ORPHANED.value
    UNKNOWN_CODE = Disposition.UNKNOWN_CODE.value
    WITHDRAWN = "withdrawn"


class AnswerState(StrEnum):
    """What a recipient has answered on one edge."""

    NONE = "none"
    ACKNOWLEDGED = "acknowledged"
    ACTIONED = "actioned"
    REJECTED = "rejected"
    NOT_OURS = "not_ours"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    OUTCOME = "outcome"
    CLOSED = "closed"
    WITHDRAWAL_ACKNOWLEDGED = "withdrawal_acknowledged"


_ALL = frozenset(state.value for state in ReferralState)
_OPEN = _ALL - {ReferralState.WITHDRAWN.value}

#: The part of every origin's authorisation table that concerns its own referrals.
PERMITS: tuple[Permit, ...] = (
    Permit("referral", "submit", frozenset({Role.ANALYST, Role.MACHINE}), _OPEN),
    Permit("referral", "read", frozenset({Role.ANALYST, Role.MACHINE, Role.VIEWER}), _ALL),
    Permit("referral", "withdraw", frozenset({Role.ANALYST, Role.MACHINE}), _OPEN),
    Permit("referral", "apply", frozenset({Role.SERVICE}), _ALL),
)

_OPEN_ANSWERS = frozenset({AnswerState.NONE, AnswerState.ACKNOWLEDGED})
_CASE_OPEN = frozenset({AnswerState.ACCEPTED, AnswerState.OUTCOME})
_ANY = frozenset(AnswerState) - {AnswerState.WITHDRAWAL_ACKNOWLEDGED}

#: Answer message → (states it may come in, the state it leads to). Everything else is refused.
_TRANSITIONS: dict[type[Contract], tuple[frozenset[AnswerState], AnswerState]] = {
    answers.NoticeAcknowledgedClear: (frozenset({AnswerState.NONE}), AnswerState.ACKNOWLEDGED),
    answers.NoticeActionedClear: (_OPEN_ANSWERS, AnswerState.ACTIONED),
    answers.NoticeRejectedClear: (_OPEN_ANSWERS, AnswerState.REJECTED),
    answers.NoticeNotOursClear: (_OPEN_ANSWERS, AnswerState.NOT_OURS),
    answers.CaseAcceptedClear: (frozenset({AnswerState.NONE}), AnswerState.ACCEPTED),
    answers.CaseDeclinedClear: (frozenset({AnswerState.NONE}), AnswerState.DECLINED),
    answers.OutcomeReportedClear: (_CASE_OPEN, AnswerState.OUTCOME),
    WithdrawalAcknowledgedClear: (_ANY, AnswerState.WITHDRAWAL_ACKNOWLEDGED),
    NoticeWithdrawalAcknowledgedClear: (_ANY, AnswerState.WITHDRAWAL_ACKNOWLEDGED),
}
#: The answers an origin understands; `bus.py` of an originating service hands these to it.
ANSWERS: frozenset[type[Contract]] = frozenset(_TRANSITIONS)


@dataclass(frozen=True, slots=True)
class Answered:
    """The new answer of an edge; `detail` holds the answer's codes and times as JSON, no ids."""

    state: AnswerState
    detail: dict[str, Any]


def answer_edge(present: AnswerState, clear: Contract, *, withdrawn: bool) -> Answered:
    """Apply an answer to an edge of a referral that its origin has `withdrawn` or not.

    Raises `Refused("answer_out_of_order")` for every transition not listed, and for the acknowledgement of a
    withdrawal that has not been.
    """
    allowed, following = _TRANSITIONS[type(clear)]
    if present not in allowed or (following is AnswerState.WITHDRAWAL_ACKNOWLEDGED and not withdrawn):
        raise Refused("answer_out_of_order")
    if isinstance(clear, answers.OutcomeReportedClear) and clear.outcome in _CLOSING:
        following = AnswerState.CLOSED
    return Answered(following, clear.model_dump(mode="json", exclude={"referral_id", "notice_id"}, exclude_none=True))


_CLOSING = frozenset({CaseOutcome.CLOSED, CaseOutcome.CONVICTION})
