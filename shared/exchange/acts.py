"""One act, one row: the table of all that moves a referral, offer, case, notice or preservation.

What a row says stands in `shared.exchange.act`, what follows from all of them in `shared.exchange.states`. Data only.
What is told or said of holds, contacts, questions and checks moves nothing of its subject: what becomes of them stands
beside it, at both sides, and is one fold of these acts.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from shared.contracts import answers, case_referral, holds, preservation_api, questions, registry
from shared.contracts.base import Contract
from shared.contracts.registry import MessageType
from shared.exchange.act import ISSUED, OPEN, WORKED_ON, Act, Asked, Cause, Move, Offered, Subject, Track, any_of, stays
from shared.vocabulary.answers import AnswerState, CaseOutcome, ItemsFold, OfferFold
from shared.vocabulary.code import Code
from shared.vocabulary.preservation import PreservationAnswer
from shared.vocabulary.routing import Disposition

#: What an amendment is called, of whatever subject; the erasure of what was taken back, once its term is over; and the
#: end of a question that nobody has answered.
AMEND, ERASE, LAPSE = "amend", "erase", "lapse"

_REFERRAL, _OFFER, _CASE, _NOTICE, _PRESERVATION = Subject
_NONE: Final = AnswerState.NONE

_BEGINS: Final = Move(frozenset(), Offered.OPEN.value)
#: What was sent, whatever has become of it since.
_TAKEN_BACK: Final = Move(
    any_of(Offered.OPEN, Offered.CLAIMABLE, Offered.TRANSFERRED, Offered.GONE), Offered.WITHDRAWN.value
)
#: Also after an answer: what was done may have to be undone when the offer is taken back.
_NOTED: Final = Move(
    any_of(*AnswerState) - any_of(AnswerState.WITHDRAWAL_ACKNOWLEDGED, AnswerState.RECORD_ERASED),
    AnswerState.WITHDRAWAL_ACKNOWLEDGED.value,
)
_WITHDRAWN: Final = any_of(Offered.WITHDRAWN)
#: What is told of a case may cross its withdrawal, or follow one.
_STANDS: Final = stays(Offered.OPEN, Offered.WITHDRAWN)
#: Whoever has declined a case or closed it has nothing to hold for, and nothing is left to work on.
_WORKS: Final = stays(*WORKED_ON[_CASE])
#: Where a referral may be transferred from.
_HELD: Final = (Disposition.ROUTED, Disposition.ORPHANED)
#: Whatever a hotline has said of what it was offered before.
_MAY_CLAIM: Final = (
    _NONE, AnswerState.ACCEPTED, AnswerState.IN_PART, AnswerState.DECLINED, AnswerState.CLOSED,
)  # fmt: skip
#: What is kept, as the provider has said; and what it may say first.
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
    """An act of whoever began the subject: a person's on its own side, and as its recipient's instance applies it."""
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
    """An act of whoever was sent the subject."""
    return Act(name, subject, Track.ANSWER, cause, moves, needs, message, takes)


def _to(state: StrEnum, *before: StrEnum) -> Move:
    return Move(any_of(*before), state.value)


def _decided(*before: StrEnum) -> Iterator[Move]:
    """To what the referral is decided, or decided afresh."""
    return (_to(disposition, *before) for disposition in Disposition)


def _coded(
    before: tuple[StrEnum, ...], *codes: AnswerState | ItemsFold | OfferFold | PreservationAnswer
) -> Iterator[Move]:
    """To the state that the act says, or that all that was said of items makes."""
    return (Move(any_of(*before), code.value, frozenset[Code]({code})) for code in codes)


def _folded(*folds: ItemsFold) -> Iterator[Move]:
    for fold in folds:
        again = fold is ItemsFold.REAPPEARED
        yield from _coded((AnswerState.REAPPEARED,) if again else WORKED_ON[_NOTICE], fold)


def _withdrawal_noted(subject: Subject, message: MessageType) -> Act:
    """The recipient has stopped acting on what was taken back, and says whether it has erased it."""
    takes = answers.WithdrawalAnswer
    return _recipient(subject, "acknowledge_withdrawal", message, _NOTED, takes=takes, needs=_WITHDRAWN)


def _amended(subject: Subject, message: MessageType) -> Act:
    """What stands open is sent once more, under a higher revision; what may be claimed may be claimed still."""
    return _origin(subject, AMEND, message, *_standing(subject))


def _standing(subject: Subject) -> tuple[Move, ...]:
    return stays(*((Offered.OPEN, Offered.CLAIMABLE) if subject is _OFFER else (Offered.OPEN,)))


def _erased(subject: Subject, message: MessageType) -> Act:
    """Only what its recipient has answered for; that it was kept, and until when, is for the clock to know."""
    move = _to(AnswerState.RECORD_ERASED, AnswerState.WITHDRAWAL_ACKNOWLEDGED)
    return _recipient(subject, ERASE, message, move, needs=_WITHDRAWN, cause=Cause.TIMER)


def _asking(subject: Subject) -> Iterator[Act]:
    """What a recipient asks or contests, and what its origin answers."""
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


#: Begins a case at another agency as an offer does; its writer is the agency that had it. From then on the other's
#: answers go to the origin, and the first has answered for good.
PASS_ON: Final = _origin(_CASE, "pass_on", registry.REFERRAL_PASSED_ON, _BEGINS)
#: The other's instance has refused it: the case is the first agency's again, as it stood. By that one's instance, in
#: the transaction that brings the refusal.
COME_BACK: Final = _recipient(
    _CASE, "come_back", registry.CASE_CAME_BACK, *_coded((AnswerState.REFERRED,), *WORKED_ON[_CASE]), cause=Cause.ACT
)

_ON_REFERRALS: Final = (
    _origin(_REFERRAL, "submit", None, *_decided(), _to(Offered.UNRELEASED)),
    _origin(_REFERRAL, "release", None, *_decided(Offered.UNRELEASED), cause=Cause.SECOND_PERSON),
    _origin(_REFERRAL, "drop", None, _to(Offered.DROPPED, Offered.UNRELEASED), cause=Cause.SECOND_PERSON),
    _origin(_REFERRAL, "withdraw", None, _to(Offered.WITHDRAWN, *Disposition, Offered.TRANSFERRED)),
    _origin(_REFERRAL, "check", None, *stays(*ISSUED), takes=answers.ItemChecks),
)
_ON_OFFERS: Final = (
    _origin(_OFFER, "offer", registry.REFERRAL_OFFERED, _BEGINS),
    _origin(_OFFER, "withdraw", registry.REFERRAL_WITHDRAWN, _TAKEN_BACK),
    _recipient(_OFFER, "accept", registry.OFFER_ACCEPTED, _to(AnswerState.ACCEPTED, _NONE)),
    _recipient(_OFFER, "decline", registry.OFFER_DECLINED, _to(AnswerState.DECLINED, _NONE), takes=answers.Declination),
    # Only who has taken it up acts on it.
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
    _recipient(_CASE, "accept", registry.CASE_ACCEPTED, _to(AnswerState.ACCEPTED, _NONE), takes=answers.Acceptance),
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
    _origin(_NOTICE, "check", registry.ITEMS_CHECKED, *stays(Offered.OPEN)),
    _recipient(
        _NOTICE,
        "reinstate",
        registry.NOTICE_REINSTATED,
        *_coded(_ACTED, ItemsFold.REAPPEARED),
        takes=answers.Reinstatement,
    ),
    _withdrawal_noted(_NOTICE, registry.NOTICE_WITHDRAWAL_ACKNOWLEDGED),
)
# An amendment moves its origin's track from open to open: it never moves its recipient's.
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
# Both sides know a preservation by the same id. The agency writes the track of what is asked (`Asked`), the provider
# that of its answers (`PreservationAnswer`); `needs` is the other track, as the actor knows it.
_ON_PRESERVATIONS: Final = (
    _origin(
        _PRESERVATION,
        "submit",
        registry.PRESERVATION_REQUESTED,
        _to(Asked.OPEN),
        takes=preservation_api.PreservationTerms,
    ),
    _origin(
        _PRESERVATION,
        "extend",
        registry.PRESERVATION_EXTENSION_REQUESTED,
        _to(Asked.EXTENDED, Asked.OPEN),
        takes=preservation_api.ExtensionTerms,
        needs=any_of(PreservationAnswer.PRESERVED),
    ),
    _origin(
        _PRESERVATION,
        "withdraw",
        registry.PRESERVATION_WITHDRAWN,
        _to(Asked.WITHDRAWN, Asked.OPEN, Asked.EXTENDED),
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
    # Of what is asked longer, or no more, another answer is due: not this one.
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
        needs=any_of(Asked.EXTENDED),
    ),
    _recipient(
        _PRESERVATION,
        "end",
        registry.PRESERVATION_ENDED,
        _to(PreservationAnswer.ENDED, *_KEPT),
        takes=preservation_api.PreservationEnding,
        needs=any_of(Asked.OPEN, Asked.EXTENDED),
    ),
    _recipient(
        _PRESERVATION,
        "acknowledge_withdrawal",
        registry.PRESERVATION_WITHDRAWAL_ACKNOWLEDGED,
        _to(
            PreservationAnswer.WITHDRAWAL_ACKNOWLEDGED,
            *(each for each in PreservationAnswer if each is not PreservationAnswer.WITHDRAWAL_ACKNOWLEDGED),
        ),
        needs=any_of(Asked.WITHDRAWN),
    ),
)
# A lease says which officer of an agency has a case: nobody else is told, and it keeps others only until its term ends.
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
        for name, takes in (("propose_override", holds.Overriding), ("confirm_override", holds.Confirming))
    ),
    _recipient(_CASE, "claim", None, *_WORKS, takes=holds.Claim),
    _recipient(_CASE, "hand_over", None, *_WORKS, takes=holds.HandOver),
    _recipient(
        _CASE,
        "refer",
        registry.CASE_REFERRED,
        _to(AnswerState.REFERRED, *WORKED_ON[_CASE]),
        takes=case_referral.Referring,
    ),
    PASS_ON,
    COME_BACK,
    _origin(_CASE, "contact_suggested", registry.CONTACT_SUGGESTED, *_STANDS),
)
# A claim is the hotline's own act; that it has the referral is the origin's, which grants one claim and tells all
# others that it is gone. What may be claimed is not assessed meanwhile.
_TRANSFERS: Final = (
    _origin(_REFERRAL, "transfer", None, *stays(*_HELD), takes=answers.Transferring),
    _origin(_REFERRAL, "hand_over", None, _to(Offered.TRANSFERRED, *_HELD), cause=Cause.ACT),
    _origin(_OFFER, "transfer", registry.TRANSFER_OFFERED, _to(Offered.CLAIMABLE, Offered.OPEN, Offered.CLAIMABLE)),
    _recipient(
        _OFFER, "claim", registry.OFFER_CLAIMED, _to(AnswerState.CLAIMED, *_MAY_CLAIM), needs=any_of(Offered.CLAIMABLE)
    ),
    _origin(
        _OFFER,
        "claim_granted",
        registry.CLAIM_GRANTED,
        _to(Offered.TRANSFERRED, Offered.CLAIMABLE),
        needs=any_of(AnswerState.CLAIMED),
    ),
    _origin(_OFFER, "claim_gone", registry.CLAIM_GONE, _to(Offered.GONE, Offered.CLAIMABLE)),
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
    _origin(_REFERRAL, "uphold", None, *stays(*ISSUED), takes=questions.Verdict),
    *(act for subject in WORKED_ON for act in _asking(subject)),
)


def _said_by(names: frozenset[str]) -> frozenset[MessageType]:
    said = (each.message for each in ACTS if each.track is Track.ANSWER and each.name in names)
    return frozenset(message for message in said if message is not None)


#: What is said of questions and disputes, by recipients.
RAISING: Final = _said_by(frozenset({"ask", "dispute", LAPSE}))
#: What a recipient says without moving its subject: of these, or of holds.
STAYING: Final = RAISING | _said_by(frozenset({"place_hold", "extend_hold", "release_hold", "no_objection"}))
