"""The rows of what a recipient's service does because time has passed: what was kept is erased, and its origin told."""

from __future__ import annotations

from typing import Final

from shared.contracts import registry
from shared.contracts.registry import MessageType
from shared.exchange.act import SERVICE, Act, Cause, Move, Offered, Subject, Track, any_of
from shared.vocabulary.answers import AnswerState

#: The name of the act in each of its rows.
ERASE: Final = "erase"


def _erased(subject: Subject, message: MessageType) -> Act:
    """Only what its recipient has answered for; that it was kept, and until when, is for the clock to know."""
    moves = (Move(any_of(AnswerState.WITHDRAWAL_ACKNOWLEDGED), AnswerState.RECORD_ERASED.value),)
    return Act(ERASE, subject, Track.ANSWER, Cause.TIMER, SERVICE, moves, any_of(Offered.WITHDRAWN), message)


ROWS: Final[tuple[Act, ...]] = (
    _erased(Subject.OFFER, registry.RECORD_ERASED),
    _erased(Subject.CASE, registry.RECORD_ERASED),
    _erased(Subject.NOTICE, registry.NOTICE_RECORD_ERASED),
)
