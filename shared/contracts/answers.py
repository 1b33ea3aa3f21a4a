"""Answers: what providers do with notices, what agencies do with referrals, what becomes of what was taken back.

What a party says over HTTP is the answer without the id of its subject: the clear part extends it, so each word is
stated once. Each answer is an act: it has an id of its own, and a number in the track of the party that writes it.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.contracts.base import Contract, Day, EventTime, Uuid
from shared.contracts.fields import CaseReference
from shared.contracts.items import (
    CHECKS_MAX,
    ITEM_ANSWERS_MAX,
    ITEMS_EVER_MAX,
    ITEMS_MAX,
    NUMBERED_ONCE,
    ROUNDS_MAX,
    TRACK_NUMBER_MAX,
    Disowned,
    ItemAnswer,
    ItemCheck,
    ItemNumber,
    ItemOutcome,
    OtherHost,
    Reinstated,
    Round,
    over_all_revisions,
)
from shared.contracts.preserving import SAID_BESIDE_MAX, PreservationBeside
from shared.contracts.referral import Revision
from shared.vocabulary.answers import (
    CaseDeclineReason,
    CaseOutcome,
    CloseReason,
    KeptBasis,
    WithdrawalFate,
    YesNoUnknown,
)
from shared.vocabulary.judgement import RetentionClass

#: Of an act in its track.
TrackNumber = Annotated[int, Field(strict=True, ge=1, le=TRACK_NUMBER_MAX)]
#: What a provider may come to have said of items of a notice, over all its revisions.
_ANSWERS_EVER_MAX = over_all_revisions(ITEM_ANSWERS_MAX * ROUNDS_MAX)


class Answer(Contract):
    """What every answer says of itself.

    `act` is random; the same act never counts twice. `number` is dense in its track. `question` is the number of the
    question that this answers, `due` when something that the answer promises falls due.
    """

    act: Uuid
    number: TrackNumber
    question: TrackNumber | None = None
    due: EventTime | None = None


class OnNotice(Answer):
    """An answer to a notice names it by its id alone."""

    notice_id: Uuid


class OnReferral(Answer):
    """An answer to a referral names it by its id, and the revision that it answers."""

    referral_id: Uuid
    revision: Revision


class ItemStatement(ItemOutcome):
    """What a provider says of item `n`; without `n`, of every item that it has said nothing about, here or before.

    `round` is the one that the item is in; it may be left out.
    """

    n: ItemNumber | None = None
    round: Round | None = None


class DisowningStatement(OtherHost):
    """What a provider says of item `n`; without `n`, of every item that it has said nothing about, here or before."""

    n: ItemNumber | None = None


_ItemAnswers = Annotated[tuple[ItemAnswer, ...], Field(min_length=1, max_length=ITEM_ANSWERS_MAX)]
_Disowned = Annotated[tuple[Disowned, ...], Field(min_length=1, max_length=ITEMS_MAX), NUMBERED_ONCE]


class NoticeAcknowledgedClear(OnNotice):
    """The provider has the notice in hand: an act of the organisation, not of its server."""


class NoticeStatements(Contract):
    """What became of the items. Each action once per item and round; none that was also rejected."""

    items: Annotated[tuple[ItemStatement, ...], Field(min_length=1, max_length=ITEM_ANSWERS_MAX)]
    #: Said beside it to agencies that have asked to keep these items; the notifier is told nothing of it.
    preservations: Annotated[tuple[PreservationBeside, ...], Field(max_length=SAID_BESIDE_MAX)] = ()


class ItemAnswers(Contract):
    """What a provider says of a notice, item by item."""

    items: _ItemAnswers


class NoticeAnsweredClear(ItemAnswers, OnNotice):
    """The provider has acted on items of the notice or rejected them, each in its own words."""


class NoticeDisowning(Contract):
    """The items that the provider does not host, each once."""

    disowned: Annotated[tuple[DisowningStatement, ...], Field(min_length=1, max_length=ITEMS_MAX)]


class DisownedItems(Contract):
    """The items that the provider does not host, one by one."""

    disowned: _Disowned


class NoticeNotOursClear(DisownedItems, OnNotice):
    """The provider does not host these items; of each it may name the party that does."""


class CaseAcceptedClear(OnReferral):
    """The agency takes the referral up. First feedback falls due now, then after 30 days, then at closing."""


class CaseRecord(Contract):
    """The sealed part of case messages: the agency's own reference, for the origin alone."""

    case_reference: CaseReference


class Acceptance(Contract):
    """The agency's own reference, if the origin may know it: it is sealed to the origin alone."""

    case_reference: CaseReference | None = None


class Declination(Contract):
    """Why the agency does not take the referral up."""

    reason: CaseDeclineReason


class CaseDeclinedClear(Declination, OnReferral):
    """The agency will not take the referral up, and says why."""


class OutcomeReport(Contract):
    """What has come of the case. `close_reason` goes with `closed`, and with nothing else."""

    outcome: CaseOutcome
    close_reason: CloseReason | None = None
    child_identified: YesNoUnknown
    child_safeguarded: YesNoUnknown


class OutcomeReportedClear(OutcomeReport, OnReferral):
    """What came of a case, in NCMEC's published vocabulary; the two answers this exists for come last."""

    @model_validator(mode="after")
    def _close_reason_goes_with_closed(self) -> Self:
        if (self.close_reason is not None) != (self.outcome is CaseOutcome.CLOSED):
            raise ValueError("close_reason_needs_closed")
        return self


class Keeping(Contract):
    """Why a record is kept although it was taken back: its retention class, what entitles to it, until which day."""

    retention: RetentionClass
    basis: KeptBasis
    until: Day


class WithdrawalAnswer(Contract):
    """What became of the record of what was taken back. `kept` goes with `kept`, and with nothing else."""

    fate: WithdrawalFate
    kept: Keeping | None = None

    @model_validator(mode="after")
    def _kept_says_why(self) -> Self:
        if (self.kept is not None) != (self.fate is WithdrawalFate.KEPT):
            raise ValueError("kept_needs_reason")
        return self


class WithdrawalAcknowledgedClear(WithdrawalAnswer, OnReferral):
    """A recipient has stopped acting on a withdrawn referral, and has erased its record or says why it is kept."""


class NoticeWithdrawalAcknowledgedClear(WithdrawalAnswer, OnNotice):
    """The provider has stopped acting on a withdrawn notice, and has erased its record or says why it is kept."""


class WithdrawalWords(Contract):
    """What a recipient has said of a withdrawal."""

    fate: WithdrawalFate | None = None
    kept: Keeping | None = None


class NoticeWords(WithdrawalWords):
    """What was said of a notice so far: by its provider, and of its items by their origin. A new word is added here."""

    items: Annotated[tuple[ItemAnswer, ...], Field(max_length=_ANSWERS_EVER_MAX)] | None = None
    disowned: Annotated[tuple[Disowned, ...], Field(max_length=ITEMS_EVER_MAX)] | None = None
    checked: Annotated[tuple[ItemCheck, ...], Field(max_length=over_all_revisions(CHECKS_MAX))] | None = None
    reinstated: Annotated[tuple[Reinstated, ...], Field(max_length=ITEMS_EVER_MAX * ROUNDS_MAX)] | None = None


class CaseWords(WithdrawalWords):
    """What an agency has said of a case so far, its reason apart. A new word of an act is added here."""

    outcome: CaseOutcome | None = None
    close_reason: CloseReason | None = None
    child_identified: YesNoUnknown | None = None
    child_safeguarded: YesNoUnknown | None = None
