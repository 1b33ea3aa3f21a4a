"""What an origin does with its referrals, pure: states, permits, and how an answer moves an edge."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from shared.contracts.base import Contract
from shared.contracts.registry import MessageType
from shared.exchange.acts import ACTS, AnswerState, Offered, Subject, Track
from shared.exchange.states import answer_follows, permits
from shared.kernel.authority import Permit
from shared.kernel.errors import Refused
from shared.vocabulary.routing import Disposition


class ReferralState(StrEnum):
    """A referral at its origin: the four dispositions of a decision, then withdrawn (a state, not a bucket)."""

    ROUTED = Disposition.ROUTED.value
    UNROUTABLE = Disposition.UNROUTABLE.value
    ORPHANED = Disposition.ORPHANED.value
    UNKNOWN_CODE = Disposition.UNKNOWN_CODE.value
    WITHDRAWN = Offered.WITHDRAWN.value


#: The part of every origin's authorisation table that concerns its own referrals.
PERMITS: Final[tuple[Permit, ...]] = tuple(permits(Subject.REFERRAL))
#: The answers an origin understands.
ANSWERS: Final[frozenset[MessageType]] = frozenset(
    row.message for row in ACTS if row.message is not None and row.track is Track.ANSWER
)


@dataclass(frozen=True, slots=True)
class Answered:
    """The new answer of an edge; `detail` holds the answer's codes and times as JSON, no ids."""

    state: AnswerState
    detail: dict[str, Any]


def answer_edge(present: AnswerState, message: MessageType, clear: Contract, *, withdrawn: bool) -> Answered:
    """Apply an answer to an edge of a referral that its origin has `withdrawn` or not.

    Raises `Refused("answer_out_of_order")` for every transition that no row of `acts` lists, and for the
    acknowledgement of a withdrawal that has not been.
    """
    offered = Offered.WITHDRAWN if withdrawn else Offered.OPEN
    following = answer_follows(message, present, clear, offered=offered)
    if following is None:
        raise Refused("answer_out_of_order")
    return Answered(following, clear.model_dump(mode="json", exclude={"referral_id", "notice_id"}, exclude_none=True))
