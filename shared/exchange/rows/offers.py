"""What a hotline makes of a referral that was offered to it: rows of the table in `shared.exchange.acts`."""

from __future__ import annotations

from typing import Final

from shared.contracts import answers, registry, transfers
from shared.contracts.base import Contract
from shared.contracts.registry import MessageType
from shared.exchange.act import ACTORS, OPEN, Act, Cause, Move, Subject, Track, any_of
from shared.vocabulary.answers import AnswerState, OfferFold
from shared.vocabulary.code import Code

_NONE: Final = any_of(AnswerState.NONE)
#: Only who has taken it up acts on it.
_ASSIGNED: Final = any_of(AnswerState.ACCEPTED, AnswerState.IN_PART)


def _row(name: str, moves: tuple[Move, ...], *, message: MessageType, takes: type[Contract] | None = None) -> Act:
    return Act(name, Subject.OFFER, Track.ANSWER, Cause.PERSON, ACTORS, moves, OPEN, message, takes)


ROWS: Final = (
    _row("accept", (Move(_NONE, AnswerState.ACCEPTED.value),), message=registry.OFFER_ACCEPTED),
    _row(
        "decline",
        (Move(_NONE, AnswerState.DECLINED.value),),
        message=registry.OFFER_DECLINED,
        takes=answers.Declination,
    ),
    _row(
        "assess",
        tuple(Move(_ASSIGNED, fold.value, frozenset[Code]({fold})) for fold in OfferFold),
        message=registry.OFFER_ASSESSED,
        takes=transfers.OfferFindings,
    ),
)
