"""Answers of recipients: to notices, referrals and withdrawals.

The body of an HTTP request is the answer without the id of its subject. The clear part of the message extends that
class, so each field is declared once. Each answer is an act: it has its own id, and a number in its writer's track.

An origin may offer a transfer to hotlines that have its referral. If several of them claim it, exactly one is granted
the claim. That hotline submits a referral of its own, so no party receives a message that no rule has routed to it.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.core.contracts import items as item
from shared.core.contracts.base import Contract, Count, Day, EventDay, EventTime, PartyId, Uuid
from shared.core.contracts.fields import CaseReference
from shared.core.contracts.items import (
    ASSESSED_MAX,
    ITEMS_MAX,
    NUMBERED_ONCE,
    AssessedItem,
    ItemFinding,
    ItemNumber,
    over_all_revisions,
)
from shared.core.contracts.preservation_api import SAID_BESIDE_MAX, PreservationReply
from shared.core.contracts.referral import AboutReferral, Revision
from shared.core.vocabulary import answers as codes
from shared.core.vocabulary.judgement import RetentionClass
from shared.core.vocabulary.referral import TransferReason

#: The number of an act in its track.
TrackNumber = Annotated[int, Field(strict=True, ge=1, le=item.TRACK_NUMBER_MAX)]
#: Maximum answers about items of one notice, over all its revisions.
_ANSWERS_EVER_MAX = item.over_all_revisions(item.ITEM_ANSWERS_MAX * item.ROUNDS_MAX)


class Answer(Contract):
    """The fields of every answer.

    `act` is random; the same act never counts twice. `number` is dense in its track. `question` is the number of the
    question that this answer is about. `due` is the time at which an act that the answer promises falls due.
    """

    act: Uuid
    number: TrackNumber
    question: TrackNumber | None = None
    due: EventTime | None = None


class NoticeAnswer(Answer):
    """An answer to a notice. It names the notice by its id alone."""

    notice_id: Uuid


class ReferralAnswer(Answer):
    """An answer to a referral. It names the referral by its id, and the revision that it answers."""

    referral_id: Uuid
    revision: Revision


class ItemStatement(item.ItemOutcome):
    """A provider's statement about item `n`. Without `n`: about every item that it has not answered yet.

    `round` is the current round of the item and may be omitted.
    """

    n: item.ItemNumber | None = None
    round: item.Round | None = None


class DisowningStatement(item.OtherHost):
    """A provider's statement that it does not host item `n`. Without `n`: every item without an answer."""

    n: item.ItemNumber | None = None


_ItemAnswers = Annotated[tuple[item.ItemAnswer, ...], Field(min_length=1, max_length=item.ITEM_ANSWERS_MAX)]
_Disowned = Annotated[tuple[item.DisownedItem, ...], Field(min_length=1, max_length=item.ITEMS_MAX), item.NUMBERED_ONCE]


class NoticeAcknowledgedClear(NoticeAnswer):
    """The provider confirms that it has the notice. The organisation confirms this, not its server."""


class NoticeStatements(Contract):
    """Results for the items. An action appears once per item and round, and never with a rejection."""

    items: Annotated[tuple[ItemStatement, ...], Field(min_length=1, max_length=item.ITEM_ANSWERS_MAX)]
    #: Statements to agencies that requested preservation of these items. The notifier does not receive them.
    preservations: Annotated[tuple[PreservationReply, ...], Field(max_length=SAID_BESIDE_MAX)] = ()


class ItemAnswers(Contract):
    """A provider's answers to a notice, item by item."""

    items: _ItemAnswers


class NoticeAnsweredClear(ItemAnswers, NoticeAnswer):
    """The provider has acted on items of the notice or rejected them. Each item has its own answer."""


class NoticeDisowning(Contract):
    """The items that the provider does not host, each once."""

    disowned: Annotated[tuple[DisowningStatement, ...], Field(min_length=1, max_length=item.ITEMS_MAX)]


class DisownedItems(Contract):
    """The items that the provider does not host, one by one."""

    disowned: _Disowned


class NoticeNotOursClear(DisownedItems, NoticeAnswer):
    """The provider does not host these items. For each item it may name the party that does."""


class CaseAcceptedClear(ReferralAnswer):
    """The agency accepts the referral. Feedback is due now, then after 30 days, then at closing."""


class CaseRecord(Contract):
    """The sealed part of case messages: the agency's own reference, which only the origin can open."""

    case_reference: CaseReference


class CaseAcceptance(Contract):
    """The agency's own reference, if the origin may know it. It is sealed to the origin alone."""

    case_reference: CaseReference | None = None


class Declination(Contract):
    """The agency's reason for not accepting the referral."""

    reason: codes.CaseDeclineReason


class CaseDeclinedClear(Declination, ReferralAnswer):
    """The agency declines the referral and gives the reason."""


class OutcomeReport(Contract):
    """The result of the case. `close_reason` is required with `closed` and not allowed otherwise."""

    outcome: codes.CaseOutcome
    close_reason: codes.CloseReason | None = None
    child_identified: codes.YesNoUnknown
    child_safeguarded: codes.YesNoUnknown


class OutcomeReportedClear(OutcomeReport, ReferralAnswer):
    """The result of a case, in NCMEC's published vocabulary. The last two fields matter most."""

    @model_validator(mode="after")
    def _close_reason_goes_with_closed(self) -> Self:
        if (self.close_reason is not None) != (self.outcome is codes.CaseOutcome.CLOSED):
            raise ValueError("close_reason_needs_closed")
        return self


class RetentionStatement(Contract):
    """Retention grounds of a withdrawn record: retention class, legal basis and last day of retention."""

    retention: RetentionClass
    basis: codes.KeptBasis
    until: Day


class WithdrawalAnswer(Contract):
    """The outcome of a withdrawal for the recipient's record. Grounds are required with `kept` only."""

    fate: codes.WithdrawalFate
    kept: RetentionStatement | None = None

    @model_validator(mode="after")
    def _kept_says_why(self) -> Self:
        if (self.kept is not None) != (self.fate is codes.WithdrawalFate.KEPT):
            raise ValueError("kept_needs_reason")
        return self


class WithdrawalAcknowledgedClear(WithdrawalAnswer, ReferralAnswer):
    """A recipient stopped acting on a withdrawn referral, and erased its record or retains it."""


class NoticeWithdrawalAcknowledgedClear(WithdrawalAnswer, NoticeAnswer):
    """The provider stopped acting on a withdrawn notice, and erased its record or retains it."""


class WithdrawalCodes(Contract):
    """A recipient's answers to a withdrawal."""

    fate: codes.WithdrawalFate | None = None
    kept: RetentionStatement | None = None


class NoticeCodes(WithdrawalCodes):
    """All answers about a notice: the provider's, and the origin's on its items. Add a new field here."""

    items: Annotated[tuple[item.ItemAnswer, ...], Field(max_length=_ANSWERS_EVER_MAX)] | None = None
    disowned: Annotated[tuple[item.DisownedItem, ...], Field(max_length=item.ITEMS_EVER_MAX)] | None = None
    checked: (
        Annotated[tuple[item.ItemCheck, ...], Field(max_length=item.over_all_revisions(item.CHECKS_MAX))] | None
    ) = None
    reinstated: (
        Annotated[tuple[item.ReinstatedItem, ...], Field(max_length=item.ITEMS_EVER_MAX * item.ROUNDS_MAX)] | None
    ) = None


class CaseCodes(WithdrawalCodes):
    """All answers of an agency about a case so far, without its decline reason.

    Add a new field of an act here.
    """

    outcome: codes.CaseOutcome | None = None
    close_reason: codes.CloseReason | None = None
    child_identified: codes.YesNoUnknown | None = None
    child_safeguarded: codes.YesNoUnknown | None = None


class CheckStatement(Contract):
    """The result of a check of item `n`, by the referral's own item number.

    `at` defaults to the present time.
    """

    n: item.ItemNumber
    found: codes.ItemFound
    by: codes.CheckedBy = codes.CheckedBy.PERSON
    at: EventDay | None = None


class ItemChecks(Contract):
    """Results of checks of items that notices were issued about.

    A removed item that is available has reappeared.
    """

    checked: Annotated[tuple[CheckStatement, ...], Field(min_length=1, max_length=item.ITEMS_MAX), item.NUMBERED_ONCE]


class ItemsCheckedClear(Contract):
    """The notifier has checked the items of a notice again.

    The provider must answer for items that reappeared.
    """

    notice_id: Uuid
    act: Uuid
    checked: Annotated[tuple[item.ItemCheck, ...], Field(min_length=1, max_length=item.ITEMS_MAX), item.NUMBERED_ONCE]


class ReinstateStatement(Contract):
    """Item `n` is available again, for this reason. Without `n`: every item that was acted on."""

    n: item.ItemNumber | None = None
    reason: codes.ReinstateReason


class Reinstatement(Contract):
    """The items that are available again, each once."""

    reinstated: Annotated[tuple[ReinstateStatement, ...], Field(min_length=1, max_length=item.ITEMS_MAX)]


class ReinstatedItems(Contract):
    """The items that are available again, one by one."""

    reinstated: Annotated[
        tuple[item.ReinstatedItem, ...], Field(min_length=1, max_length=item.ITEMS_MAX), item.NUMBERED_ONCE
    ]


class NoticeReinstatedClear(ReinstatedItems, NoticeAnswer):
    """The provider has made items available again after acting on them, with the reason.

    Each starts a new round.
    """


class Erasure(Contract):
    """The record is erased: its key is deleted, so restoring a backup does not make it readable again."""

    fate: Literal[codes.WithdrawalFate.ERASED]


class RecordErasedClear(Erasure, ReferralAnswer):
    """The record of a withdrawn referral was retained. Its retention has ended and it is erased."""


class NoticeRecordErasedClear(Erasure, NoticeAnswer):
    """The record of a withdrawn notice was retained. Its retention has ended and it is erased."""


class TransferRequest(Contract):
    """A transfer: the hotline that may claim the referral, and the reason.

    Without `to`: any with an orphan mandate.
    """

    to: PartyId | None = None
    reason: TransferReason


class TransferAnswer(AboutReferral):
    """A message of an origin about a transfer, to one hotline."""


class TransferOfferedClear(TransferAnswer):
    """The origin cannot keep the referral, so the hotline may claim it. The first claim is granted."""

    act: Uuid
    reason: TransferReason


class OfferClaimedClear(ReferralAnswer):
    """The hotline claims the referral. The origin decides whether the claim is granted."""


class ItemProgress(Contract):
    """Work on item `n`: the number of notices issued, and of those whose provider reports it gone."""

    n: ItemNumber
    issued: Count
    actioned: Count


class ClaimGrantedClear(TransferAnswer):
    """The hotline's claim is granted: it submits the referral as its own.

    Notices that were issued stay in force.
    """

    claim: Uuid
    done: Annotated[tuple[ItemProgress, ...], Field(max_length=ITEMS_MAX), NUMBERED_ONCE] = ()


class ClaimGoneClear(TransferAnswer):
    """The claim is denied, because another hotline has claimed the referral."""


class TransferCodes(Contract):
    """All statements about a transfer so far: its reason, and the work done on the items."""

    transfer: TransferReason | None = None
    done: tuple[ItemProgress, ...] | None = None


class FindingStatement(ItemFinding):
    """A hotline's finding about item `n`. Without `n`: about every item."""

    n: ItemNumber | None = None


class OfferFindings(Contract):
    """A hotline's findings about items and its actions on them.

    `baseline` is final, and no action appears twice.
    """

    assessed: Annotated[tuple[FindingStatement, ...], Field(min_length=1, max_length=ASSESSED_MAX)]


class AssessedItems(Contract):
    """A hotline's findings about items, one by one."""

    assessed: Annotated[tuple[AssessedItem, ...], Field(min_length=1, max_length=ASSESSED_MAX)]


class OfferAcceptedClear(ReferralAnswer):
    """The hotline accepts the referral. From then on only this hotline acts on it."""


class OfferDeclinedClear(Declination, ReferralAnswer):
    """The hotline declines the referral and gives the reason."""


class OfferAssessedClear(AssessedItems, ReferralAnswer):
    """The hotline has assessed items of the referral or acted on them. Each item has its own finding."""


class OfferCodes(TransferCodes, WithdrawalCodes):
    """All answers about an offer: the hotline's, without its decline reason, and the origin's transfer.

    Add a new field here.
    """

    assessed: Annotated[tuple[AssessedItem, ...], Field(max_length=over_all_revisions(ASSESSED_MAX))] | None = None
