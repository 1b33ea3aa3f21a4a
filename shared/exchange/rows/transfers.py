"""The rows of transfers: what an origin says to hotlines that may claim its referral, and what they say.

A claim is the hotline's own act; that it has the referral is the origin's, which grants one claim and tells all others
that it is gone. What may be claimed is not assessed meanwhile, and can be claimed by whoever has declined it before.
"""

from __future__ import annotations

from typing import Final

from shared.contracts import registry, transfers
from shared.contracts.registry import MessageType
from shared.exchange.act import ACTORS, SERVICE, Act, Cause, Move, Offered, Subject, Track, any_of, stays
from shared.vocabulary.answers import AnswerState
from shared.vocabulary.routing import Disposition

_CLAIMABLE: Final = Offered.CLAIMABLE.value
_TRANSFERRED: Final = Offered.TRANSFERRED.value
_MAY_CLAIM: Final = any_of(Offered.CLAIMABLE)
#: Of the referral itself: where it may be transferred from.
_HELD: Final = (Disposition.ROUTED, Disposition.ORPHANED)
#: Whatever a hotline has said of what it was offered before.
_ANY_ANSWER: Final = any_of(
    AnswerState.NONE, AnswerState.ACCEPTED, AnswerState.IN_PART, AnswerState.DECLINED, AnswerState.CLOSED
)
_CLAIMED: Final = any_of(AnswerState.CLAIMED)


def _told(name: str, move: Move, message: MessageType, *, needs: frozenset[str] = frozenset()) -> Act:
    return Act(name, Subject.OFFER, Track.OFFER, Cause.ACT, SERVICE, (move,), needs, message)


ROWS: Final[tuple[Act, ...]] = (
    Act(
        "transfer",
        Subject.REFERRAL,
        Track.OFFER,
        Cause.PERSON,
        ACTORS,
        stays(*_HELD),
        takes=transfers.Transferring,
    ),
    Act("hand_over", Subject.REFERRAL, Track.OFFER, Cause.ACT, SERVICE, (Move(any_of(*_HELD), _TRANSFERRED),)),
    _told("transfer", Move(any_of(Offered.OPEN, Offered.CLAIMABLE), _CLAIMABLE), registry.TRANSFER_OFFERED),
    Act(
        "claim",
        Subject.OFFER,
        Track.ANSWER,
        Cause.PERSON,
        ACTORS,
        (Move(_ANY_ANSWER, AnswerState.CLAIMED.value),),
        _MAY_CLAIM,
        registry.OFFER_CLAIMED,
    ),
    _told("claim_granted", Move(_MAY_CLAIM, _TRANSFERRED), registry.CLAIM_GRANTED, needs=_CLAIMED),
    _told("claim_gone", Move(_MAY_CLAIM, Offered.GONE.value), registry.CLAIM_GONE),
)
