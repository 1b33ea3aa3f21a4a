"""The rows of questions and disputes: what a recipient asks or contests, and what its origin answers.

They move nothing of their subject: each leads to where it stands. What becomes of a question stands beside the subject,
at both, and is one fold of these acts (`shared.exchange.questions`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.contracts import questions, registry
from shared.contracts.base import Contract
from shared.contracts.registry import MessageType
from shared.exchange import hold_acts
from shared.exchange.act import Act, Cause, Move, Offered, Subject, Track
from shared.kernel.authority import Role
from shared.vocabulary.answers import AnswerState
from shared.vocabulary.routing import Disposition

#: The name of the act by which a question is over that nobody has answered.
LAPSE: Final = "lapse"
_ACTORS: Final = frozenset({Role.ANALYST, Role.MACHINE})
_INSTANCE: Final = frozenset({Role.SERVICE})
_OPEN: Final = frozenset({Offered.OPEN.value})
#: As long as its recipient has not answered it for good.
_BEFORE: Final = {
    Subject.OFFER: (AnswerState.NONE, AnswerState.ACCEPTED, AnswerState.IN_PART),
    Subject.CASE: (AnswerState.NONE, AnswerState.ACCEPTED, AnswerState.ONGOING),
    Subject.NOTICE: (AnswerState.NONE, AnswerState.ACKNOWLEDGED, AnswerState.IN_PART, AnswerState.REAPPEARED),
}


def _answered(name: str, takes: type[Contract]) -> Act:
    """The origin's own act: its referral stays where it is. What was issued of one that was transferred runs on."""
    stays = tuple(Move(frozenset({state}), state) for state in (Disposition.ROUTED.value, Offered.TRANSFERRED.value))
    return Act(name, Subject.REFERRAL, Track.OFFER, Cause.PERSON, _ACTORS, stays, takes=takes)


def _raised(subject: Subject, name: str, message: MessageType, *, takes: type[Contract] | None = None) -> Act:
    """The recipient's own act; without what it takes, that of its service, when the time is over."""
    cause, roles = (Cause.PERSON, _ACTORS) if takes else (Cause.TIMER, _INSTANCE)
    stays = tuple(Move(frozenset({state.value}), state.value) for state in _BEFORE[subject])
    return Act(name, subject, Track.ANSWER, cause, roles, stays, _OPEN, message, takes)


def _told(subject: Subject, name: str, message: MessageType) -> Act:
    """What the origin has answered, as its recipient's instance applies it."""
    stands = (Offered.OPEN.value, Offered.CLAIMABLE.value) if subject is Subject.OFFER else (Offered.OPEN.value,)
    stays = tuple(Move(frozenset({state}), state) for state in stands)
    return Act(name, subject, Track.OFFER, Cause.ACT, _INSTANCE, stays, message=message)


def _of(subject: Subject) -> Iterator[Act]:
    of_notices = subject is Subject.NOTICE
    asked = registry.NOTICE_QUESTION_ASKED if of_notices else registry.QUESTION_ASKED
    disputed = registry.NOTICE_DISPUTE_RAISED if of_notices else registry.DISPUTE_RAISED
    yield _raised(subject, "ask", asked, takes=questions.Question)
    yield _raised(subject, "dispute", disputed, takes=questions.Dispute)
    yield _raised(subject, LAPSE, registry.NOTICE_QUESTION_LAPSED if of_notices else registry.QUESTION_LAPSED)
    yield _told(subject, "reply", registry.NOTICE_QUESTION_REPLIED if of_notices else registry.QUESTION_REPLIED)
    yield _told(subject, "uphold", registry.NOTICE_DISPUTE_ANSWERED if of_notices else registry.DISPUTE_ANSWERED)


QUESTION_ACTS: Final[tuple[Act, ...]] = (
    _answered("reply", questions.Reply),
    _answered("uphold", questions.Verdict),
    *(act for subject in _BEFORE for act in _of(subject)),
)
#: What is said of questions and disputes, by recipients.
RAISING: Final = frozenset(
    row.message for row in QUESTION_ACTS if row.message is not None and row.track is Track.ANSWER
)
#: What a recipient says without moving its subject: of these, or of holds.
STAYING: Final = hold_acts.STAYING | RAISING
