"""One act, one row: the table of all that moves a referral, offer, case, notice or preservation.

What a row says stands in `shared.exchange.act`, what follows from all of them in `shared.exchange.states`. The rows of
one kind of act lie together in `shared.exchange.rows`; here are those of a subject's beginning, answer and withdrawal.
"""

from __future__ import annotations

from typing import Final

from shared.contracts import answers, registry
from shared.contracts.base import Contract
from shared.contracts.registry import MessageType
from shared.exchange.act import (
    ACTORS,
    OPEN,
    PERSONS,
    SERVICE,
    WORKED_ON,
    Act,
    Cause,
    Move,
    Offered,
    Subject,
    Track,
    any_of,
)
from shared.exchange.rows import (
    changes,
    checks,
    contacts,
    erasures,
    holds,
    leases,
    offers,
    passing,
    preservations,
    questions,
    transfers,
)
from shared.vocabulary.answers import AnswerState, CaseOutcome, ItemsFold
from shared.vocabulary.code import Code
from shared.vocabulary.routing import Disposition

_NOTHING: Final = frozenset[str]()
_DECIDED: Final = tuple(disposition.value for disposition in Disposition)
_UNRELEASED: Final = any_of(Offered.UNRELEASED)
_WITHDRAWN: Final = any_of(Offered.WITHDRAWN)
_NONE: Final = any_of(AnswerState.NONE)
_UNFINISHED: Final = any_of(*WORKED_ON[Subject.NOTICE])
_REAPPEARED: Final = any_of(AnswerState.REAPPEARED)
_UNDER_WAY: Final = any_of(AnswerState.ACCEPTED, AnswerState.ONGOING)
#: Also after an answer: what was done may have to be undone when the offer is taken back.
_ANY_ANSWER: Final = any_of(*AnswerState) - any_of(AnswerState.WITHDRAWAL_ACKNOWLEDGED, AnswerState.RECORD_ERASED)

_BEGINS: Final = (Move(_NOTHING, Offered.OPEN.value),)
#: What was sent, whatever has become of it since.
_SENT: Final = any_of(Offered.OPEN, Offered.CLAIMABLE, Offered.TRANSFERRED, Offered.GONE)
_TAKEN_BACK: Final = (Move(_SENT, Offered.WITHDRAWN.value),)
_NOTED: Final = (Move(_ANY_ANSWER, AnswerState.WITHDRAWAL_ACKNOWLEDGED.value),)
_ENDING: Final = frozenset[Code]({CaseOutcome.CONVICTION, CaseOutcome.CLOSED})


def _from_origin(subject: Subject, name: str, moves: tuple[Move, ...], *, message: MessageType) -> Act:
    """The origin's act, as its recipient's instance applies it."""
    return Act(name, subject, Track.OFFER, Cause.ACT, SERVICE, moves, message=message)


def _answer(
    subject: Subject, name: str, moves: tuple[Move, ...], *, message: MessageType, takes: type[Contract] | None = None
) -> Act:
    """The recipient's own act on what stands open."""
    return Act(name, subject, Track.ANSWER, Cause.PERSON, ACTORS, moves, OPEN, message, takes)


def _withdrawal_noted(subject: Subject, message: MessageType) -> Act:
    """The recipient has stopped acting on what was taken back, and says whether it has erased it."""
    return Act(
        "acknowledge_withdrawal",
        subject,
        Track.ANSWER,
        Cause.PERSON,
        ACTORS,
        _NOTED,
        _WITHDRAWN,
        message,
        answers.WithdrawalAnswer,
    )


def _to(answer: AnswerState, before: frozenset[str]) -> tuple[Move, ...]:
    return (Move(before, answer.value),)


def _folded(*folds: ItemsFold) -> tuple[Move, ...]:
    """Of acts on items: to what all that was said of them makes of the notice."""
    before = {ItemsFold.REAPPEARED: _REAPPEARED}
    return tuple(Move(before.get(fold, _UNFINISHED), fold.value, frozenset[Code]({fold})) for fold in folds)


ACTS: Final[tuple[Act, ...]] = (
    Act(
        "submit",
        Subject.REFERRAL,
        Track.OFFER,
        Cause.PERSON,
        ACTORS,
        tuple(Move(_NOTHING, state) for state in (*_DECIDED, Offered.UNRELEASED.value)),
    ),
    Act(
        "release",
        Subject.REFERRAL,
        Track.OFFER,
        Cause.SECOND_PERSON,
        PERSONS,
        tuple(Move(_UNRELEASED, state) for state in _DECIDED),
    ),
    Act(
        "drop",
        Subject.REFERRAL,
        Track.OFFER,
        Cause.SECOND_PERSON,
        PERSONS,
        (Move(_UNRELEASED, Offered.DROPPED.value),),
    ),
    Act(
        "withdraw",
        Subject.REFERRAL,
        Track.OFFER,
        Cause.PERSON,
        ACTORS,
        (Move(frozenset({*_DECIDED, Offered.TRANSFERRED.value}), Offered.WITHDRAWN.value),),
    ),
    *checks.ORIGINS,
    _from_origin(Subject.OFFER, "offer", _BEGINS, message=registry.REFERRAL_OFFERED),
    _from_origin(Subject.OFFER, "withdraw", _TAKEN_BACK, message=registry.REFERRAL_WITHDRAWN),
    *offers.ROWS,
    _withdrawal_noted(Subject.OFFER, registry.WITHDRAWAL_ACKNOWLEDGED),
    _from_origin(Subject.CASE, "offer", _BEGINS, message=registry.REFERRAL_OFFERED),
    _from_origin(Subject.CASE, "withdraw", _TAKEN_BACK, message=registry.REFERRAL_WITHDRAWN),
    _answer(
        Subject.CASE,
        "accept",
        _to(AnswerState.ACCEPTED, _NONE),
        message=registry.CASE_ACCEPTED,
        takes=answers.Acceptance,
    ),
    _answer(
        Subject.CASE,
        "decline",
        _to(AnswerState.DECLINED, _NONE),
        message=registry.CASE_DECLINED,
        takes=answers.Declination,
    ),
    _answer(
        Subject.CASE,
        "outcome",
        (Move(_UNDER_WAY, AnswerState.CLOSED.value, _ENDING), Move(_UNDER_WAY, AnswerState.ONGOING.value)),
        message=registry.OUTCOME_REPORTED,
        takes=answers.OutcomeReport,
    ),
    _withdrawal_noted(Subject.CASE, registry.WITHDRAWAL_ACKNOWLEDGED),
    _from_origin(Subject.NOTICE, "issue", _BEGINS, message=registry.NOTICE_ISSUED),
    _from_origin(Subject.NOTICE, "withdraw", _TAKEN_BACK, message=registry.NOTICE_WITHDRAWN),
    _answer(Subject.NOTICE, "acknowledge", _to(AnswerState.ACKNOWLEDGED, _NONE), message=registry.NOTICE_ACKNOWLEDGED),
    _answer(
        Subject.NOTICE,
        "answer",
        _folded(*(fold for fold in ItemsFold if fold is not ItemsFold.NOT_OURS)),
        message=registry.NOTICE_ANSWERED,
        takes=answers.NoticeStatements,
    ),
    _answer(
        Subject.NOTICE,
        "not_ours",
        _folded(*ItemsFold),
        message=registry.NOTICE_NOT_OURS,
        takes=answers.NoticeDisowning,
    ),
    *checks.PROVIDERS,
    _withdrawal_noted(Subject.NOTICE, registry.NOTICE_WITHDRAWAL_ACKNOWLEDGED),
    *changes.ROWS,
    *erasures.ROWS,
    *preservations.ROWS,
    *holds.ROWS,
    *leases.ROWS,
    *passing.ROWS,
    *contacts.ROWS,
    *transfers.ROWS,
    *questions.ROWS,
)
