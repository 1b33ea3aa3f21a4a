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
from shared.exchange.act import ACTORS, ISSUED, OPEN, SERVICE, WORKED_ON, Act, Cause, Offered, Subject, Track, stays
from shared.exchange.rows import holds

#: The name of the act by which a question is over that nobody has answered.
LAPSE: Final = "lapse"


def _answered(name: str, takes: type[Contract]) -> Act:
    """The origin's own act: its referral stays where it is. What was issued of one that was transferred runs on."""
    return Act(name, Subject.REFERRAL, Track.OFFER, Cause.PERSON, ACTORS, stays(*ISSUED), takes=takes)


def _raised(subject: Subject, name: str, message: MessageType, *, takes: type[Contract] | None = None) -> Act:
    """The recipient's own act; without what it takes, that of its service, when the time is over."""
    cause, roles = (Cause.PERSON, ACTORS) if takes else (Cause.TIMER, SERVICE)
    return Act(name, subject, Track.ANSWER, cause, roles, stays(*WORKED_ON[subject]), OPEN, message, takes)


def _told(subject: Subject, name: str, message: MessageType) -> Act:
    """What the origin has answered, as its recipient's instance applies it."""
    moves = stays(*((Offered.OPEN, Offered.CLAIMABLE) if subject is Subject.OFFER else (Offered.OPEN,)))
    return Act(name, subject, Track.OFFER, Cause.ACT, SERVICE, moves, message=message)


def _of(subject: Subject) -> Iterator[Act]:
    of_notices = subject is Subject.NOTICE
    asked = registry.NOTICE_QUESTION_ASKED if of_notices else registry.QUESTION_ASKED
    disputed = registry.NOTICE_DISPUTE_RAISED if of_notices else registry.DISPUTE_RAISED
    yield _raised(subject, "ask", asked, takes=questions.Question)
    yield _raised(subject, "dispute", disputed, takes=questions.Dispute)
    yield _raised(subject, LAPSE, registry.NOTICE_QUESTION_LAPSED if of_notices else registry.QUESTION_LAPSED)
    yield _told(subject, "reply", registry.NOTICE_QUESTION_REPLIED if of_notices else registry.QUESTION_REPLIED)
    yield _told(subject, "uphold", registry.NOTICE_DISPUTE_ANSWERED if of_notices else registry.DISPUTE_ANSWERED)


ROWS: Final[tuple[Act, ...]] = (
    _answered("reply", questions.Reply),
    _answered("uphold", questions.Verdict),
    *(act for subject in WORKED_ON for act in _of(subject)),
)
#: What is said of questions and disputes, by recipients.
RAISING: Final = frozenset(row.message for row in ROWS if row.message is not None and row.track is Track.ANSWER)
#: What a recipient says without moving its subject: of these, or of holds.
STAYING: Final = holds.STAYING | RAISING
