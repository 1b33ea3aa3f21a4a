"""The rows of what changes after it was sent: an amendment, and where it leads an answer that was given before it.

An amendment moves its origin's track from open to open: it never moves its recipient's. What the recipient has said
stays said; of it is shown what it means to the content that stands now, by one function at both ends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from shared.contracts import registry
from shared.contracts.registry import MessageType
from shared.exchange import findings, items
from shared.exchange.act import ACTORS, SERVICE, Act, Cause, Move, Offered, Subject, Track, any_of, stays
from shared.exchange.items import Said
from shared.vocabulary.answers import AnswerState, ItemsFold, OfferFold
from shared.vocabulary.routing import Disposition

#: What an amendment is called, of whatever subject.
AMEND: Final = "amend"


def _on_referral(name: str, before: frozenset[str]) -> Act:
    """The origin decides its own referral afresh."""
    moves = tuple(Move(before, disposition.value) for disposition in Disposition)
    return Act(name, Subject.REFERRAL, Track.OFFER, Cause.PERSON, ACTORS, moves)


def _amended(subject: Subject, message: MessageType) -> Act:
    """What stands open is sent once more, under a higher revision; what may be claimed may be claimed still."""
    moves = stays(*((Offered.OPEN, Offered.CLAIMABLE) if subject is Subject.OFFER else (Offered.OPEN,)))
    return Act(AMEND, subject, Track.OFFER, Cause.ACT, SERVICE, moves, message=message)


ROWS: Final[tuple[Act, ...]] = (
    _on_referral(AMEND, any_of(*Disposition)),
    _on_referral("reroute", any_of(Disposition.ROUTED)),
    _amended(Subject.OFFER, registry.REFERRAL_OFFERED),
    _amended(Subject.CASE, registry.REFERRAL_OFFERED),
    _amended(Subject.NOTICE, registry.NOTICE_ISSUED),
)

#: What was said of a notice's items makes it.
_FOLDED: Final = frozenset({AnswerState.IN_PART, *(AnswerState(fold.value) for fold in ItemsFold)})
#: What was found of an offer's items does.
_ASSESSED: Final = frozenset(AnswerState(fold.value) for fold in OfferFold)


def after_amendment(answer: AnswerState, said: Mapping[str, object], *, numbers: Collection[int]) -> AnswerState:
    """What an answer means to the content that follows the one it answered.

    A declination was of what stood before: it is open again. Of a notice, or of an offer that was assessed, whose items
    now are `numbers`, what was said of these counts, and of any that is new nothing is said yet. All else stands.
    """
    if answer is AnswerState.DECLINED:
        return AnswerState.NONE
    if (assessed := findings.found_in(said)) and answer in _ASSESSED:
        return AnswerState(findings.fold_offer(numbers, assessed).items.value)
    if not numbers or answer not in _FOLDED:
        return answer
    return AnswerState(items.fold(numbers, Said.kept(said)).items.value)
