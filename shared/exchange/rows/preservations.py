"""The rows of preservations: what an agency asks of a provider, and what the provider makes of it.

Both sides know the same subject by the same id. The agency writes the track of what is asked (`Asked`), the provider
that of its answers (`PreservationAnswer`).
"""

from __future__ import annotations

from typing import Final

from shared.contracts import preserving, registry
from shared.contracts.base import Contract
from shared.contracts.registry import MessageType
from shared.exchange.act import ACTORS, Act, Asked, Cause, Move, Subject, Track, any_of
from shared.vocabulary.code import Code
from shared.vocabulary.preservation import PreservationAnswer

_OPEN: Final = any_of(Asked.OPEN)
_STANDS: Final = any_of(Asked.OPEN, Asked.EXTENDED)
#: What is kept, as the provider has said.
_KEPT: Final = any_of(PreservationAnswer.PRESERVED, PreservationAnswer.EXTENDED, PreservationAnswer.EXTENSION_REFUSED)
_NONE: Final = any_of(PreservationAnswer.NONE)
_PRESERVED: Final = any_of(PreservationAnswer.PRESERVED)
_FIRST: Final = (
    PreservationAnswer.PRESERVED,
    PreservationAnswer.REFUSED,
    PreservationAnswer.NOT_POSSIBLE,
    PreservationAnswer.TOO_LATE,
)
_ANY_ANSWER: Final = any_of(*PreservationAnswer) - any_of(PreservationAnswer.WITHDRAWAL_ACKNOWLEDGED)


def _asks(
    name: str,
    moves: tuple[Move, ...],
    message: MessageType,
    *,
    takes: type[Contract],
    needs: frozenset[str] = frozenset(),
) -> Act:
    """The agency's own act; `needs` is what the provider has answered, as the agency knows it."""
    return Act(name, Subject.PRESERVATION, Track.OFFER, Cause.PERSON, ACTORS, moves, needs, message, takes)


def _answers(
    name: str,
    moves: tuple[Move, ...],
    message: MessageType,
    *,
    needs: frozenset[str],
    takes: type[Contract] | None = None,
) -> Act:
    """The provider's own act; `needs` is what the agency asks, as the provider knows it."""
    return Act(name, Subject.PRESERVATION, Track.ANSWER, Cause.PERSON, ACTORS, moves, needs, message, takes)


def _said(before: frozenset[str], *answers: PreservationAnswer) -> tuple[Move, ...]:
    return tuple(Move(before, each.value, frozenset[Code]({each})) for each in answers)


ROWS: Final[tuple[Act, ...]] = (
    _asks(
        "submit",
        (Move(frozenset(), Asked.OPEN.value),),
        registry.PRESERVATION_REQUESTED,
        takes=preserving.PreservationTerms,
    ),
    _asks(
        "extend",
        (Move(_OPEN, Asked.EXTENDED.value),),
        registry.PRESERVATION_EXTENSION_REQUESTED,
        takes=preserving.ExtensionTerms,
        needs=_PRESERVED,
    ),
    _asks(
        "withdraw",
        (Move(_STANDS, Asked.WITHDRAWN.value),),
        registry.PRESERVATION_WITHDRAWN,
        takes=preserving.PreservationWithdrawing,
        needs=_NONE | _KEPT,
    ),
    _answers(
        "answer",
        _said(_NONE, *_FIRST),
        registry.PRESERVATION_ANSWERED,
        needs=_OPEN,
        takes=preserving.PreservationAnswering,
    ),
    # Of what is asked longer, or no more, another answer is due: not this one.
    _answers(
        "correct",
        _said(any_of(*_FIRST), *_FIRST),
        registry.PRESERVATION_CORRECTED,
        needs=_OPEN,
        takes=preserving.PreservationAnswering,
    ),
    _answers(
        "answer_extension",
        _said(_PRESERVED, PreservationAnswer.EXTENDED, PreservationAnswer.EXTENSION_REFUSED),
        registry.PRESERVATION_EXTENSION_ANSWERED,
        needs=any_of(Asked.EXTENDED),
        takes=preserving.ExtensionAnswering,
    ),
    _answers(
        "end",
        (Move(_KEPT, PreservationAnswer.ENDED.value),),
        registry.PRESERVATION_ENDED,
        needs=_STANDS,
        takes=preserving.PreservationEnding,
    ),
    _answers(
        "acknowledge_withdrawal",
        (Move(_ANY_ANSWER, PreservationAnswer.WITHDRAWAL_ACKNOWLEDGED.value),),
        registry.PRESERVATION_WITHDRAWAL_ACKNOWLEDGED,
        needs=any_of(Asked.WITHDRAWN),
    ),
)
