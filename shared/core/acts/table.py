"""The table of acts: one row for each act on a referral, offer, case, notice or preservation.

Data only. `shared.core.acts.act` explains the columns; `shared.core.acts.states` derives the states from all rows. Acts
on holds, contacts, questions and checks do not move the state of their subject. Both sides fold these acts separately.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from shared.core.acts.act import (
    ISSUED,
    OPEN,
    WORKED_ON,
    Act,
    AskState,
    Cause,
    Move,
    Offering,
    Subject,
    Track,
    any_of,
    stays,
)
from shared.core.contracts import answers, case_referral, holds, preservation_api, questions, registry
from shared.core.contracts.base import Contract
from shared.core.contracts.registry import MessageType
from shared.core.vocabulary.answers import AnswerState, CaseOutcome, ItemsFold, OfferFold
from shared.core.vocabulary.code import Code
from shared.core.vocabulary.preservation import PreservationAnswer
from shared.core.vocabulary.routing import Disposition

#: The names of three acts: an amendment of any subject, the erasure of a withdrawn record after its retention, and the
#: lapse of a question that was not answered.
AMEND, ERASE, LAPSE = "amend", "erase", "lapse"

_REFERRAL, _OFFER, _CASE, _NOTICE, _PRESERVATION = Subject
_NONE: Final = AnswerState.NONE

_BEGINS: Final = Move(frozenset(), Offering.OPEN.value)
#: Withdrawal of anything that was sent, in any later state.
_TAKEN_BACK: Final = Move(
    any_of(Offering.OPEN, Offering.CLAIMABLE, Offering.TRANSFERRED, Offering.GONE), Offering.WITHDRAWN.value
)
#: Also after an answer: the recipient may have to undo an action when the offer is withdrawn.
_NOTED: Final = Move(
    any_of(*AnswerState) - any_of(AnswerState.WITHDRAWAL_ACKNOWLEDGED, AnswerState.RECORD_ERASED),
    AnswerState.WITHDRAWAL_ACKNOWLEDGED.value,
)
_WITHDRAWN: Final = any_of(Offering.WITHDRAWN)
#: Messages about a case may cross its withdrawal or follow it.
_STANDS: Final = stays(Offering.OPEN, Offering.WITHDRAWN)
#: After a decline or a close there is no work left, and no reason for a hold.
_WORKS: Final = stays(*WORKED_ON[_CASE])
#: The dispositions from which a referral may be transferred.
_HELD: Final = (Disposition.ROUTED, Disposition.ORPHANED)
#: A hotline may claim after any of its answers to the offer.
_MAY_CLAIM: Final = (
    _NONE, AnswerState.ACCEPTED, AnswerState.IN_PART, AnswerState.DECLINED, AnswerState.CLOSED,
)  # fmt: skip
#: Answers after which the provider preserves the data, and possible first answers.
_KEPT: Final = (PreservationAnswer.PRESERVED, PreservationAnswer.EXTENDED, PreservationAnswer.EXTENSION_REFUSED)
_FIRST: Final = (
    PreservationAnswer.PRESERVED, PreservationAnswer.REFUSED, PreservationAnswer.NOT_POSSIBLE,
    PreservationAnswer.TOO_LATE
)  # fmt: skip


def _origin(
    subject: Subject,
    name: str,
    message: MessageType | None,
    *moves: Move,
    takes: type[Contract] | None = None,
    needs: frozenset[str] = frozenset(),
    cause: Cause | None = None,
) -> Act:
    """Build an act of the party that began the subject, for both sides."""
    own = Cause.PERSON if subject in (_REFERRAL, _PRESERVATION) else Cause.ACT
    return Act(name, subject, Track.OFFER, cause or own, moves, needs, message, takes)


def _recipient(
    subject: Subject,
    name: str,
    message: MessageType | None,
    *moves: Move,
    takes: type[Contract] | None = None,
    needs: frozenset[str] = OPEN,
    cause: Cause = Cause.PERSON,
) -> Act:
    """Build an act of the recipient of the subject."""
    return Act(name, subject, Track.ANSWER, cause, moves, needs, message, takes)


def _to(state: StrEnum, *before: StrEnum) -> Move:
    return Move(any_of(*before), state.value)


def _decided(*before: StrEnum) -> Iterator[Move]:
    """Return the moves to every disposition of a decision, for a first or a repeated decision."""
    return (_to(disposition, *before) for disposition in Disposition)


def _coded(
    before: tuple[StrEnum, ...], *codes: AnswerState | ItemsFold | OfferFold | PreservationAnswer
) -> Iterator[Move]:
    """Return the moves to the state that the act names, or that results from all answers about items."""
    return (Move(any_of(*before), code.value, frozenset[Code]({code})) for code in codes)


def _folded(*folds: ItemsFold) -> Iterator[Move]:
    for fold in folds:
        again = fold is ItemsFold.REAPPEARED
        yield from _coded((AnswerState.REAPPEARED,) if again else WORKED_ON[_NOTICE], fold)


def _withdrawal_noted(subject: Subject, message: MessageType) -> Act:
    """Build the act with which a recipient confirms a withdrawal. It states whether the record was erased."""
    takes = answers.WithdrawalAnswer
    return _recipient(subject, "acknowledge_withdrawal", message, _NOTED, takes=takes, needs=_WITHDRAWN)


def _amended(subject: Subject, message: MessageType) -> Act:
    """Build the act that sends an open subject again with a higher revision.

    A claimable offer stays claimable.
    """
    return _origin(subject, AMEND, message, *_standing(subject))


def _standing(subject: Subject) -> tuple[Move, ...]:
    return stays(*((Offering.OPEN, Offering.CLAIMABLE) if subject is _OFFER else (Offering.OPEN,)))


def _erased(subject: Subject, message: MessageType) -> Act:
    """Build the erasure after an acknowledged withdrawal.

    Timers check whether the record is still retained.
    """
    move = _to(AnswerState.RECORD_ERASED, AnswerState.WITHDRAWAL_ACKNOWLEDGED)
    return _recipient(subject, ERASE, message, move, needs=_WITHDRAWN, cause=Cause.TIMER)


def _asking(subject: Subject) -> Iterator[Act]:
    """Yield the acts of questions and disputes: the recipient's and the origin's answers."""
    of_notices = subject is _NOTICE
    asked = registry.NOTICE_QUESTION_ASKED if of_notices else registry.QUESTION_ASKED
    disputed = registry.NOTICE_DISPUTE_RAISED if of_notices else registry.DISPUTE_RAISED
    lapsed = registry.NOTICE_QUESTION_LAPSED if of_notices else registry.QUESTION_LAPSED
    replied = registry.NOTICE_QUESTION_REPLIED if of_notices else registry.QUESTION_REPLIED
    upheld = registry.NOTICE_DISPUTE_ANSWERED if of_notices else registry.DISPUTE_ANSWERED
    works = stays(*WORKED_ON[subject])
    yield _recipient(subject, "ask", asked, *works, takes=questions.Question)
    yield _recipient(subject, "dispute", disputed, *works, takes=questions.Dispute)
    yield _recipient(subject, LAPSE, lapsed, *works, cause=Cause.TIMER)
    yield _origin(subject, "reply", replied, *_standing(subject))
    yield _origin(subject, "uphold", upheld, *_standing(subject))


#: Begins a case at another agency as an offer does; the referring agency writes it. From then on the second agency's
#: answers go to the origin, and the first agency gives no further answers.
PASS_ON: Final = _origin(_CASE, "pass_on", registry.REFERRAL_PASSED_ON, _BEGINS)
#: The second agency's instance has rejected the case. The first agency has it again, in the state that it had before.
#: The first agency's instance does this in the transaction that processes the rejection.
COME_BACK: Final = _recipient(
    _CASE, "come_back", registry.CASE_CAME_BACK, *_coded((AnswerState.REFERRED,), *WORKED_ON[_CASE]), cause=Cause.ACT
)

_ON_REFERRALS: Final = (
    _origin(_REFERRAL, "submit", None, *_decided(), _to(Offering.UNRELEASED)),
    _origin(_REFERRAL, "release", None, *_decided(Offering.UNRELEASED), cause=Cause.SECOND_PERSON),
    _origin(_REFERRAL, "drop", None, _to(Offering.DROPPED, Offering.UNRELEASED), cause=Cause.SECOND_PERSON),
    _origin(_REFERRAL, "withdraw", None, _to(Offering.WITHDRAWN, *Disposition, Offering.TRANSFERRED)),
    _origin(_REFERRAL, "check", None, *stays(*ISSUED), takes=answers.ItemChecks),
)
_ON_OFFERS: Final = (
    _origin(_OFFER, "offer", registry.REFERRAL_OFFERED, _BEGINS),
    _origin(_OFFER, "withdraw", registry.REFERRAL_WITHDRAWN, _TAKEN_BACK),
    _recipient(_OFFER, "accept", registry.OFFER_ACCEPTED, _to(AnswerState.ACCEPTED, _NONE)),
    _recipient(_OFFER, "decline", registry.OFFER_DECLINED, _to(AnswerState.DECLINED, _NONE), takes=answers.Declination),
    # Only a hotline that has accepted the offer assesses it.
    _recipient(
        _OFFER,
        "assess",
        registry.OFFER_ASSESSED,
        *_coded((AnswerState.ACCEPTED, AnswerState.IN_PART), *OfferFold),
        takes=answers.OfferFindings,
    ),
    _withdrawal_noted(_OFFER, registry.WITHDRAWAL_ACKNOWLEDGED),
)
_UNDER_WAY: Final = any_of(AnswerState.ACCEPTED, AnswerState.ONGOING)
_ON_CASES: Final = (
    _origin(_CASE, "offer", registry.REFERRAL_OFFERED, _BEGINS),
    _origin(_CASE, "withdraw", registry.REFERRAL_WITHDRAWN, _TAKEN_BACK),
    _recipient(_CASE, "accept", registry.CASE_ACCEPTED, _to(AnswerState.ACCEPTED, _NONE), takes=answers.CaseAcceptance),
    _recipient(_CASE, "decline", registry.CASE_DECLINED, _to(AnswerState.DECLINED, _NONE), takes=answers.Declination),
    _recipient(
        _CASE,
        "outcome",
        registry.OUTCOME_REPORTED,
        Move(_UNDER_WAY, AnswerState.CLOSED.value, frozenset[Code]({CaseOutcome.CONVICTION, CaseOutcome.CLOSED})),
        Move(_UNDER_WAY, AnswerState.ONGOING.value),
        takes=answers.OutcomeReport,
    ),
    _withdrawal_noted(_CASE, registry.WITHDRAWAL_ACKNOWLEDGED),
)
_ACTED: Final = (AnswerState.IN_PART, AnswerState.ACTIONED, AnswerState.REAPPEARED)
_ON_NOTICES: Final = (
    _origin(_NOTICE, "issue", registry.NOTICE_ISSUED, _BEGINS),
    _origin(_NOTICE, "withdraw", registry.NOTICE_WITHDRAWN, _TAKEN_BACK),
    _recipient(_NOTICE, "acknowledge", registry.NOTICE_ACKNOWLEDGED, _to(AnswerState.ACKNOWLEDGED, _NONE)),
    _recipient(
        _NOTICE,
        "answer",
        registry.NOTICE_ANSWERED,
        *_folded(*(fold for fold in ItemsFold if fold is not ItemsFold.NOT_OURS)),
        takes=answers.NoticeStatements,
    ),
    _recipient(_NOTICE, "not_ours", registry.NOTICE_NOT_OURS, *_folded(*ItemsFold), takes=answers.NoticeDisowning),
    _origin(_NOTICE, "check", registry.ITEMS_CHECKED, *stays(Offering.OPEN)),
    _recipient(
        _NOTICE,
        "reinstate",
        registry.NOTICE_REINSTATED,
        *_coded(_ACTED, ItemsFold.REAPPEARED),
        takes=answers.Reinstatement,
    ),
    _withdrawal_noted(_NOTICE, registry.NOTICE_WITHDRAWAL_ACKNOWLEDGED),
)
# An amendment leaves its origin's track at open and never moves the recipient's track.
_CHANGES: Final = (
    _origin(_REFERRAL, AMEND, None, *_decided(*Disposition)),
    _origin(_REFERRAL, "reroute", None, *_decided(Disposition.ROUTED)),
    _amended(_OFFER, registry.REFERRAL_OFFERED),
    _amended(_CASE, registry.REFERRAL_OFFERED),
    _amended(_NOTICE, registry.NOTICE_ISSUED),
    _erased(_OFFER, registry.RECORD_ERASED),
    _erased(_CASE, registry.RECORD_ERASED),
    _erased(_NOTICE, registry.NOTICE_RECORD_ERASED),
)
# Both sides know a preservation by the same id. The agency writes the track of its request (`AskState`), the provider
# writes that of its answers (`PreservationAnswer`). `needs` is the other track, as the actor knows it.
_ON_PRESERVATIONS: Final = (
    _origin(
        _PRESERVATION,
        "submit",
        registry.PRESERVATION_REQUESTED,
        _to(AskState.OPEN),
        takes=preservation_api.PreservationTerms,
    ),
    _origin(
        _PRESERVATION,
        "extend",
        registry.PRESERVATION_EXTENSION_REQUESTED,
        _to(AskState.EXTENDED, AskState.OPEN),
        takes=preservation_api.ExtensionTerms,
        needs=any_of(PreservationAnswer.PRESERVED),
    ),
    _origin(
        _PRESERVATION,
        "withdraw",
        registry.PRESERVATION_WITHDRAWN,
        _to(AskState.WITHDRAWN, AskState.OPEN, AskState.EXTENDED),
        takes=preservation_api.PreservationWithdrawing,
        needs=any_of(PreservationAnswer.NONE, *_KEPT),
    ),
    _recipient(
        _PRESERVATION,
        "answer",
        registry.PRESERVATION_ANSWERED,
        *_coded((PreservationAnswer.NONE,), *_FIRST),
        takes=preservation_api.PreservationAnswering,
    ),
    # A request to extend or to end needs its own answer, not this one.
    _recipient(
        _PRESERVATION,
        "correct",
        registry.PRESERVATION_CORRECTED,
        *_coded(_FIRST, *_FIRST),
        takes=preservation_api.PreservationAnswering,
    ),
    _recipient(
        _PRESERVATION,
        "answer_extension",
        registry.PRESERVATION_EXTENSION_ANSWERED,
        *_coded((PreservationAnswer.PRESERVED,), PreservationAnswer.EXTENDED, PreservationAnswer.EXTENSION_REFUSED),
        takes=preservation_api.ExtensionAnswering,
        needs=any_of(AskState.EXTENDED),
    ),
    _recipient(
        _PRESERVATION,
        "end",
        registry.PRESERVATION_ENDED,
        _to(PreservationAnswer.ENDED, *_KEPT),
        takes=preservation_api.PreservationEnding,
        needs=any_of(AskState.OPEN, AskState.EXTENDED),
    ),
    _recipient(
        _PRESERVATION,
        "acknowledge_withdrawal",
        registry.PRESERVATION_WITHDRAWAL_ACKNOWLEDGED,
        _to(
            PreservationAnswer.WITHDRAWAL_ACKNOWLEDGED,
            *(each for each in PreservationAnswer if each is not PreservationAnswer.WITHDRAWAL_ACKNOWLEDGED),
        ),
        needs=any_of(AskState.WITHDRAWN),
    ),
)
# A lease assigns a case to one officer of an agency. No other party learns of it, and it excludes other officers only
# until its term ends.
_BESIDE_CASES: Final = (
    _recipient(_CASE, "place_hold", registry.HOLD_PLACED, *_WORKS, takes=holds.HoldRequest),
    _recipient(_CASE, "extend_hold", registry.HOLD_EXTENDED, *_WORKS, takes=holds.HoldExtension),
    _recipient(_CASE, "release_hold", registry.HOLD_RELEASED, *_WORKS),
    _recipient(_CASE, "no_objection", registry.NO_OBJECTION, *_WORKS),
    _origin(_CASE, "hold_activated", registry.HOLD_ACTIVATED, *_STANDS),
    _origin(_CASE, "hold_too_late", registry.HOLD_TOO_LATE, *_STANDS),
    _origin(_CASE, "hold_ended", registry.HOLD_ENDED, *_STANDS),
    *(
        _origin(_REFERRAL, name, None, *stays(*Disposition), takes=takes, cause=Cause.SECOND_PERSON)
        for name, takes in (("propose_override", holds.HoldOverride), ("confirm_override", holds.OverrideApproval))
    ),
    _recipient(_CASE, "claim", None, *_WORKS, takes=holds.CaseClaim),
    _recipient(_CASE, "hand_over", None, *_WORKS, takes=holds.Assignment),
    _recipient(
        _CASE,
        "refer",
        registry.CASE_REFERRED,
        _to(AnswerState.REFERRED, *WORKED_ON[_CASE]),
        takes=case_referral.CaseReferral,
    ),
    PASS_ON,
    COME_BACK,
)
# The hotline claims by its own act. The origin grants one claim and tells all other hotlines that the referral is gone.
# A claimable offer cannot be assessed.
_TRANSFERS: Final = (
    _origin(_REFERRAL, "transfer", None, *stays(*_HELD), takes=answers.TransferRequest),
    _origin(_REFERRAL, "hand_over", None, _to(Offering.TRANSFERRED, *_HELD), cause=Cause.ACT),
    _origin(_OFFER, "transfer", registry.TRANSFER_OFFERED, _to(Offering.CLAIMABLE, Offering.OPEN, Offering.CLAIMABLE)),
    _recipient(
        _OFFER, "claim", registry.OFFER_CLAIMED, _to(AnswerState.CLAIMED, *_MAY_CLAIM), needs=any_of(Offering.CLAIMABLE)
    ),
    _origin(
        _OFFER,
        "claim_granted",
        registry.CLAIM_GRANTED,
        _to(Offering.TRANSFERRED, Offering.CLAIMABLE),
        needs=any_of(AnswerState.CLAIMED),
    ),
    _origin(_OFFER, "claim_gone", registry.CLAIM_GONE, _to(Offering.GONE, Offering.CLAIMABLE)),
)

ACTS: Final[tuple[Act, ...]] = (
    *_ON_REFERRALS,
    *_ON_OFFERS,
    *_ON_CASES,
    *_ON_NOTICES,
    *_CHANGES,
    *_ON_PRESERVATIONS,
    *_BESIDE_CASES,
    *_TRANSFERS,
    _origin(_REFERRAL, "reply", None, *stays(*ISSUED), takes=questions.Reply),
    _origin(_REFERRAL, "uphold", None, *stays(*ISSUED), takes=questions.Ruling),
    *(act for subject in WORKED_ON for act in _asking(subject)),
)
