"""The rows of transfers: what an origin says to hotlines that may claim its referral, and what they say.

A claim is the hotline's own act; that it has the referral is the origin's, which grants one claim and tells all others
that it is gone. What may be claimed is not assessed meanwhile, and can be claimed by whoever has declined it before.
"""

from __future__ import annotations

from typing import Final

from shared.contracts import registry, transfers
from shared.contracts.registry import MessageType
from shared.exchange.act import Act, Cause, Move, Offered, Subject, Track
from shared.kernel.authority import Role
from shared.vocabulary.answers import AnswerState
from shared.vocabulary.routing import Disposition

_ACTORS: Final = frozenset({Role.ANALYST, Role.MACHINE})
_INSTANCE: Final = frozenset({Role.SERVICE})
_OPEN: Final = Offered.OPEN.value
_CLAIMABLE: Final = Offered.CLAIMABLE.value
_TRANSFERRED: Final = Offered.TRANSFERRED.value
_MAY_CLAIM: Final = frozenset({_CLAIMABLE})
#: Of the referral itself: where it may be transferred from.
_HELD: Final = tuple(state.value for state in (Disposition.ROUTED, Disposition.ORPHANED))
#: Whatever a hotline has said of what it was offered before.
_ANY_ANSWER: Final = frozenset(
    state.value
    for state in (
        AnswerState.NONE,
        AnswerState.ACCEPTED,
        AnswerState.IN_PART,
        AnswerState.DECLINED,
        AnswerState.CLOSED,
    )
)
_CLAIMED: Final = frozenset({AnswerState.CLAIMED.value})


def _told(name: str, move: Move, message: MessageType, *, needs: frozenset[str] = frozenset()) -> Act:
    return Act(name, Subject.OFFER, Track.OFFER, Cause.ACT, _INSTANCE, (move,), needs, message)


TRANSFER_ACTS: Final[tuple[Act, ...]] = (
    Act(
        "transfer",
        Subject.REFERRAL,
        Track.OFFER,
        Cause.PERSON,
        _ACTORS,
        tuple(Move(frozenset({state}), state) for state in _HELD),
        takes=transfers.Transferring,
    ),
    Act("hand_over", Subject.REFERRAL, Track.OFFER, Cause.ACT, _INSTANCE, (Move(frozenset(_HELD), _TRANSFERRED),)),
    _told("transfer", Move(frozenset({_OPEN, _CLAIMABLE}), _CLAIMABLE), registry.TRANSFER_OFFERED),
    Act(
        "claim",
        Subject.OFFER,
        Track.ANSWER,
        Cause.PERSON,
        _ACTORS,
        (Move(_ANY_ANSWER, AnswerState.CLAIMED.value),),
        _MAY_CLAIM,
        registry.OFFER_CLAIMED,
    ),
    _told("claim_granted", Move(_MAY_CLAIM, _TRANSFERRED), registry.CLAIM_GRANTED, needs=_CLAIMED),
    _told("claim_gone", Move(_MAY_CLAIM, Offered.GONE.value), registry.CLAIM_GONE),
)
