"""Answers: what providers do with notices, what agencies do with referrals, what becomes of what was taken back.

What a party says over HTTP is the answer without the id of its subject: the clear part extends it, so each word is
stated once. Each answer is an act: it has an id of its own, and a number in the track of the party that writes it.

An origin may offer a transfer to hotlines that have its referral; exactly one of those that claim it has it. Whoever
has claimed it files a referral of its own: a hotline is sent nothing that no rule has sent it before.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.contracts import items as item
from shared.contracts.base import Contract, Count, Day, EventTime, PartyId, Uuid
from shared.contracts.fields import CaseReference
from shared.contracts.items import (
    ASSESSED_MAX,
    ITEMS_MAX,
    NUMBERED_ONCE,
    AssessedItem,
    ItemFinding,
    ItemNumber,
    over_all_revisions,
)
from shared.contracts.preservation_api import SAID_BESIDE_MAX, PreservationBeside
from shared.contracts.referral import AboutReferral, Revision
from shared.vocabulary import answers as codes
from shared.vocabulary.judgement import RetentionClass
from shared.vocabulary.referral import TransferReason

#: Of an act in its track.
TrackNumber = Annotated[int, Field(strict=True, ge=1, le=item.TRACK_NUMBER_MAX)]
#: What a provider may come to have said of items of a notice, over all its revisions.
_ANSWERS_EVER_MAX = item.over_all_revisions(item.ITEM_ANSWERS_MAX * item.ROUNDS_MAX)


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


class ItemStatement(item.ItemOutcome):
    """What a provider says of item `n`; without `n`, of every item that it has said nothing about, here or before.

    `round` is the one that the item is in; it may be left out.
    """

    n: item.ItemNumber | None = None
    round: item.Round | None = None


class DisowningStatement(item.OtherHost):
    """What a provider says of item `n`; without `n`, of every item that it has said nothing about, here or before."""

    n: item.ItemNumber | None = None


_ItemAnswers = Annotated[tuple[item.ItemAnswer, ...], Field(min_length=1, max_length=item.ITEM_ANSWERS_MAX)]
_Disowned = Annotated[tuple[item.Disowned, ...], Field(min_length=1, max_length=item.ITEMS_MAX), item.NUMBERED_ONCE]


class NoticeAcknowledgedClear(OnNotice):
    """The provider has the notice in hand: an act of the organisation, not of its server."""


class NoticeStatements(Contract):
    """What became of the items. Each action once per item and round; none that was also rejected."""

    items: Annotated[tuple[ItemStatement, ...], Field(min_length=1, max_length=item.ITEM_ANSWERS_MAX)]
    #: Said beside it to agencies that have asked to keep these items; the notifier is told nothing of it.
    preservations: Annotated[tuple[PreservationBeside, ...], Field(max_length=SAID_BESIDE_MAX)] = ()


class ItemAnswers(Contract):
    """What a provider says of a notice, item by item."""

    items: _ItemAnswers


class NoticeAnsweredClear(ItemAnswers, OnNotice):
    """The provider has acted on items of the notice or rejected them, each in its own words."""


class NoticeDisowning(Contract):
    """The items that the provider does not host, each once."""

    disowned: Annotated[tuple[DisowningStatement, ...], Field(min_length=1, max_length=item.ITEMS_MAX)]


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

    reason: codes.CaseDeclineReason


class CaseDeclinedClear(Declination, OnReferral):
    """The agency will not take the referral up, and says why."""


class OutcomeReport(Contract):
    """What has come of the case. `close_reason` goes with `closed`, and with nothing else."""

    outcome: codes.CaseOutcome
    close_reason: codes.CloseReason | None = None
    child_identified: codes.YesNoUnknown
    child_safeguarded: codes.YesNoUnknown


class OutcomeReportedClear(OutcomeReport, OnReferral):
    """What came of a case, in NCMEC's published vocabulary; the two answers this exists for come last."""

    @model_validator(mode="after")
    def _close_reason_goes_with_closed(self) -> Self:
        if (self.close_reason is not None) != (self.outcome is codes.CaseOutcome.CLOSED):
            raise ValueError("close_reason_needs_closed")
        return self


class Keeping(Contract):
    """Why a record is kept although it was taken back: its retention class, what entitles to it, until which day."""

    retention: RetentionClass
    basis: codes.KeptBasis
    until: Day


class WithdrawalAnswer(Contract):
    """What became of the record of what was taken back. `kept` goes with `kept`, and with nothing else."""

    fate: codes.WithdrawalFate
    kept: Keeping | None = None

    @model_validator(mode="after")
    def _kept_says_why(self) -> Self:
        if (self.kept is not None) != (self.fate is codes.WithdrawalFate.KEPT):
            raise ValueError("kept_needs_reason")
        return self


class WithdrawalAcknowledgedClear(WithdrawalAnswer, OnReferral):
    """A recipient has stopped acting on a withdrawn referral, and has erased its record or says why it is kept."""


class NoticeWithdrawalAcknowledgedClear(WithdrawalAnswer, OnNotice):
    """The provider has stopped acting on a withdrawn notice, and has erased its record or says why it is kept."""


class WithdrawalWords(Contract):
    """What a recipient has said of a withdrawal."""

    fate: codes.WithdrawalFate | None = None
    kept: Keeping | None = None


class NoticeWords(WithdrawalWords):
    """What was said of a notice so far: by its provider, and of its items by their origin. A new word is added here."""

    items: Annotated[tuple[item.ItemAnswer, ...], Field(max_length=_ANSWERS_EVER_MAX)] | None = None
    disowned: Annotated[tuple[item.Disowned, ...], Field(max_length=item.ITEMS_EVER_MAX)] | None = None
    checked: (
        Annotated[tuple[item.ItemCheck, ...], Field(max_length=item.over_all_revisions(item.CHECKS_MAX))] | None
    ) = None
    reinstated: (
        Annotated[tuple[item.Reinstated, ...], Field(max_length=item.ITEMS_EVER_MAX * item.ROUNDS_MAX)] | None
    ) = None


class CaseWords(WithdrawalWords):
    """What an agency has said of a case so far, its reason apart. A new word of an act is added here."""

    outcome: codes.CaseOutcome | None = None
    close_reason: codes.CloseReason | None = None
    child_identified: codes.YesNoUnknown | None = None
    child_safeguarded: codes.YesNoUnknown | None = None


class CheckStatement(Contract):
    """What was found of item `n` of a referral, by its own number. `at`: now, if no time is given."""

    n: item.ItemNumber
    found: codes.ItemFound
    by: codes.CheckedBy = codes.CheckedBy.PERSON
    at: EventTime | None = None


class ItemChecks(Contract):
    """What was found of items that notices were issued about. What was said removed and is up has reappeared."""

    checked: Annotated[tuple[CheckStatement, ...], Field(min_length=1, max_length=item.ITEMS_MAX), item.NUMBERED_ONCE]


class ItemsCheckedClear(Contract):
    """Whoever issued the notice has looked at its items again. What reappeared is to be answered once more."""

    notice_id: Uuid
    act: Uuid
    checked: Annotated[tuple[item.ItemCheck, ...], Field(min_length=1, max_length=item.ITEMS_MAX), item.NUMBERED_ONCE]


class ReinstateStatement(Contract):
    """Item `n` is available again, for this reason; without `n`, every item that was acted on."""

    n: item.ItemNumber | None = None
    reason: codes.ReinstateReason


class Reinstatement(Contract):
    """The items that are available again, each once."""

    reinstated: Annotated[tuple[ReinstateStatement, ...], Field(min_length=1, max_length=item.ITEMS_MAX)]


class ReinstatedItems(Contract):
    """The items that are available again, one by one."""

    reinstated: Annotated[
        tuple[item.Reinstated, ...], Field(min_length=1, max_length=item.ITEMS_MAX), item.NUMBERED_ONCE
    ]


class NoticeReinstatedClear(ReinstatedItems, OnNotice):
    """The provider has made items available again that it had acted on, and says why: each has a new round."""


class Erasure(Contract):
    """The record is erased: its key is deleted, and no backup brings it back into service."""

    fate: Literal[codes.WithdrawalFate.ERASED]


class RecordErasedClear(Erasure, OnReferral):
    """The record of a withdrawn referral was kept, and its end has come: it is erased."""


class NoticeRecordErasedClear(Erasure, OnNotice):
    """The record of a withdrawn notice was kept, and its end has come: it is erased."""


class Transferring(Contract):
    """Who may claim the referral, and why it is not kept. Without `to`: whoever it is an orphan's mandate of."""

    to: PartyId | None = None
    reason: TransferReason


class OnTransfer(AboutReferral):
    """What an origin says of a transfer, to one hotline."""


class TransferOfferedClear(OnTransfer):
    """The origin cannot keep the referral: the hotline may claim it. The first that does has it."""

    act: Uuid
    reason: TransferReason


class OfferClaimedClear(OnReferral):
    """The hotline claims the referral. Whether it has it, the origin says."""


class DoneSoFar(Contract):
    """What was done about item `n`: how many notices were issued, and how many of their providers say it is gone."""

    n: ItemNumber
    issued: Count
    actioned: Count


class ClaimGrantedClear(OnTransfer):
    """The referral is the hotline's, to file as its own. Nobody else has claimed it, and what was issued runs on."""

    claim: Uuid
    done: Annotated[tuple[DoneSoFar, ...], Field(max_length=ITEMS_MAX), NUMBERED_ONCE] = ()


class ClaimGoneClear(OnTransfer):
    """Another hotline has claimed the referral."""


class TransferWords(Contract):
    """What was said of a transfer so far: why it is not kept, and what was done about it."""

    transfer: TransferReason | None = None
    done: tuple[DoneSoFar, ...] | None = None


class FindingStatement(ItemFinding):
    """What a hotline says of item `n`; without `n`, of every item."""

    n: ItemNumber | None = None


class OfferFindings(Contract):
    """What a hotline finds of items, and what was done about them. `baseline` is final, no action comes twice."""

    assessed: Annotated[tuple[FindingStatement, ...], Field(min_length=1, max_length=ASSESSED_MAX)]


class AssessedItems(Contract):
    """What a hotline finds of items, one by one."""

    assessed: Annotated[tuple[AssessedItem, ...], Field(min_length=1, max_length=ASSESSED_MAX)]


class OfferAcceptedClear(OnReferral):
    """The hotline takes the referral up: it alone acts on what was offered to it."""


class OfferDeclinedClear(Declination, OnReferral):
    """The hotline will not take the referral up, and says why."""


class OfferAssessedClear(AssessedItems, OnReferral):
    """The hotline has assessed items of the referral, or acted on them, each in its own words."""


class OfferWords(TransferWords, WithdrawalWords):
    """What was said of an offer so far, by its hotline, its reason apart, and, of a transfer, by its origin.

    A new word is added here.
    """

    assessed: Annotated[tuple[AssessedItem, ...], Field(max_length=over_all_revisions(ASSESSED_MAX))] | None = None
