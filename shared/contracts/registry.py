"""Every message type. A new message is one class in its family's file and one line here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from shared.contracts import (
    answers,
    checks,
    contacts,
    delivery,
    erasures,
    facts,
    holds,
    offers,
    passing,
    preservation,
    preserving,
    questions,
    referral,
    transfers,
)
from shared.contracts.base import Contract

#: Where schemas are named, absolutely, as CloudEvents wants it; nobody fetches them. A reserved name.
SCHEMAS = "https://schemas.causeway.example"


class Family(StrEnum):
    """How a message is delivered and accounted."""

    REFERRAL = "referral"  # between two parties, keyed by referral id
    NOTICE = "notice"  # between two parties, keyed by notice id: industry never sees a referral id
    PRESERVATION = "preservation"  # between an agency and a provider, keyed by preservation id
    FACT = "fact"  # of an instance itself, to audit; what it reads also to each peer


#: Between two parties.
BETWEEN_PARTIES: Final = frozenset({Family.REFERRAL, Family.NOTICE, Family.PRESERVATION})
#: The families that an instance states for itself.
STATED_BY_INSTANCES: Final = frozenset({Family.FACT})


@dataclass(frozen=True, slots=True)
class MessageType:
    """One message type and version: `type` is the CloudEvents type, `schema` the data schema's URI.

    A message that carries an edge, and a fact that has a sealed part, have it always; an answer may leave it out.
    """

    name: str
    version: int
    family: Family
    clear: type[Contract]
    sealed: type[Contract] | None = None
    edge: bool = False

    @property
    def type(self) -> str:
        return f"causeway.{self.name}.v{self.version}"

    @property
    def schema(self) -> str:
        return schema_uri(f"{self.name}.v{self.version}")

    @property
    def needs_sealed(self) -> bool:
        """Whether each message of this type has a sealed part."""
        is_edge = self.sealed is not None and issubclass(self.sealed, referral.EdgeSealed)
        return is_edge or (self.sealed is not None and self.family is Family.FACT)


REFERRAL_OFFERED = MessageType(
    "referral_offered", 1, Family.REFERRAL, referral.ReferralOfferedClear, referral.ReferralOfferedSealed, edge=True
)
REFERRAL_WITHDRAWN = MessageType("referral_withdrawn", 1, Family.REFERRAL, referral.ReferralWithdrawnClear)
WITHDRAWAL_ACKNOWLEDGED = MessageType(
    "withdrawal_acknowledged", 1, Family.REFERRAL, answers.WithdrawalAcknowledgedClear
)
RECORD_ERASED = MessageType("record_erased", 1, Family.REFERRAL, erasures.RecordErasedClear)
NOTICE_ISSUED = MessageType(
    "notice_issued", 1, Family.NOTICE, referral.NoticeIssuedClear, referral.NoticeIssuedSealed, edge=True
)
ITEMS_CHECKED = MessageType("items_checked", 1, Family.NOTICE, checks.ItemsCheckedClear)
NOTICE_WITHDRAWN = MessageType("notice_withdrawn", 1, Family.NOTICE, referral.NoticeWithdrawnClear)
NOTICE_WITHDRAWAL_ACKNOWLEDGED = MessageType(
    "notice_withdrawal_acknowledged", 1, Family.NOTICE, answers.NoticeWithdrawalAcknowledgedClear
)
NOTICE_RECORD_ERASED = MessageType("notice_record_erased", 1, Family.NOTICE, erasures.NoticeRecordErasedClear)
NOTICE_ACKNOWLEDGED = MessageType("notice_acknowledged", 1, Family.NOTICE, answers.NoticeAcknowledgedClear)
NOTICE_ANSWERED = MessageType("notice_answered", 1, Family.NOTICE, answers.NoticeAnsweredClear)
NOTICE_NOT_OURS = MessageType("notice_not_ours", 1, Family.NOTICE, answers.NoticeNotOursClear)
NOTICE_REINSTATED = MessageType("notice_reinstated", 1, Family.NOTICE, checks.NoticeReinstatedClear)
CASE_ACCEPTED = MessageType("case_accepted", 1, Family.REFERRAL, answers.CaseAcceptedClear, answers.CaseRecord)
CASE_DECLINED = MessageType("case_declined", 1, Family.REFERRAL, answers.CaseDeclinedClear)
OUTCOME_REPORTED = MessageType("outcome_reported", 1, Family.REFERRAL, answers.OutcomeReportedClear)
CASE_REFERRED = MessageType("case_referred", 1, Family.REFERRAL, passing.CaseReferredClear)
CASE_CAME_BACK = MessageType("case_came_back", 1, Family.REFERRAL, passing.CaseCameBackClear)
REFERRAL_PASSED_ON = MessageType(
    "referral_passed_on", 1, Family.REFERRAL, passing.ReferralPassedOnClear, passing.ReferralPassedOnSealed
)
PRESERVATION_REQUESTED = MessageType(
    "preservation_requested",
    1,
    Family.PRESERVATION,
    preservation.PreservationRequestedClear,
    preserving.PreservationRecord,
)
PRESERVATION_EXTENSION_REQUESTED = MessageType(
    "preservation_extension_requested", 1, Family.PRESERVATION, preservation.PreservationExtensionRequestedClear
)
PRESERVATION_WITHDRAWN = MessageType(
    "preservation_withdrawn", 1, Family.PRESERVATION, preservation.PreservationWithdrawnClear
)
PRESERVATION_ANSWERED = MessageType(
    "preservation_answered", 1, Family.PRESERVATION, preservation.PreservationAnsweredClear
)
PRESERVATION_CORRECTED = MessageType(
    "preservation_corrected", 1, Family.PRESERVATION, preservation.PreservationCorrectedClear
)
PRESERVATION_EXTENSION_ANSWERED = MessageType(
    "preservation_extension_answered", 1, Family.PRESERVATION, preservation.PreservationExtensionAnsweredClear
)
PRESERVATION_ENDED = MessageType("preservation_ended", 1, Family.PRESERVATION, preservation.PreservationEndedClear)
PRESERVATION_WITHDRAWAL_ACKNOWLEDGED = MessageType(
    "preservation_withdrawal_acknowledged", 1, Family.PRESERVATION, preservation.PreservationWithdrawalAcknowledgedClear
)
CONTACT_SUGGESTED = MessageType(
    "contact_suggested", 1, Family.REFERRAL, contacts.ContactSuggestedClear, contacts.Contact
)
HOLD_PLACED = MessageType("hold_placed", 1, Family.REFERRAL, holds.HoldPlacedClear)
HOLD_EXTENDED = MessageType("hold_extended", 1, Family.REFERRAL, holds.HoldExtendedClear)
HOLD_RELEASED = MessageType("hold_released", 1, Family.REFERRAL, holds.HoldReleasedClear)
NO_OBJECTION = MessageType("no_objection", 1, Family.REFERRAL, holds.NoObjectionClear)
HOLD_ACTIVATED = MessageType("hold_activated", 1, Family.REFERRAL, holds.HoldActivatedClear)
HOLD_TOO_LATE = MessageType("hold_too_late", 1, Family.REFERRAL, holds.HoldTooLateClear)
HOLD_ENDED = MessageType("hold_ended", 1, Family.REFERRAL, holds.HoldEndedClear)
OFFER_ACCEPTED = MessageType("offer_accepted", 1, Family.REFERRAL, offers.OfferAcceptedClear)
OFFER_DECLINED = MessageType("offer_declined", 1, Family.REFERRAL, offers.OfferDeclinedClear)
OFFER_ASSESSED = MessageType("offer_assessed", 1, Family.REFERRAL, offers.OfferAssessedClear)
TRANSFER_OFFERED = MessageType("transfer_offered", 1, Family.REFERRAL, transfers.TransferOfferedClear)
OFFER_CLAIMED = MessageType("offer_claimed", 1, Family.REFERRAL, transfers.OfferClaimedClear)
CLAIM_GRANTED = MessageType("claim_granted", 1, Family.REFERRAL, transfers.ClaimGrantedClear)
CLAIM_GONE = MessageType("claim_gone", 1, Family.REFERRAL, transfers.ClaimGoneClear)
QUESTION_ASKED = MessageType("question_asked", 1, Family.REFERRAL, questions.QuestionAskedClear)
QUESTION_LAPSED = MessageType("question_lapsed", 1, Family.REFERRAL, questions.QuestionLapsedClear)
QUESTION_REPLIED = MessageType("question_replied", 1, Family.REFERRAL, questions.QuestionRepliedClear)
DISPUTE_RAISED = MessageType("dispute_raised", 1, Family.REFERRAL, questions.DisputeRaisedClear)
DISPUTE_ANSWERED = MessageType("dispute_answered", 1, Family.REFERRAL, questions.DisputeAnsweredClear)
NOTICE_QUESTION_ASKED = MessageType("notice_question_asked", 1, Family.NOTICE, questions.NoticeQuestionAskedClear)
NOTICE_QUESTION_LAPSED = MessageType("notice_question_lapsed", 1, Family.NOTICE, questions.NoticeQuestionLapsedClear)
NOTICE_QUESTION_REPLIED = MessageType("notice_question_replied", 1, Family.NOTICE, questions.NoticeQuestionRepliedClear)
NOTICE_DISPUTE_RAISED = MessageType("notice_dispute_raised", 1, Family.NOTICE, questions.NoticeDisputeRaisedClear)
NOTICE_DISPUTE_ANSWERED = MessageType("notice_dispute_answered", 1, Family.NOTICE, questions.NoticeDisputeAnsweredClear)
READS_ANNOUNCED = MessageType("reads_announced", 1, Family.FACT, delivery.ReadsAnnouncedClear)
REFERRAL_DECIDED = MessageType(
    "referral_decided", 1, Family.FACT, facts.ReferralDecidedClear, facts.ReferralDecidedSealed
)
REFERRAL_REFUSED = MessageType("referral_refused", 1, Family.FACT, facts.ReferralRefusedClear)
REFERRAL_REVIEWED = MessageType("referral_reviewed", 1, Family.FACT, facts.ReferralReviewedClear)
RECORD_REVEALED = MessageType("record_revealed", 1, Family.FACT, facts.RecordRevealedClear)

ALL: tuple[MessageType, ...] = (
    REFERRAL_OFFERED,
    REFERRAL_WITHDRAWN,
    WITHDRAWAL_ACKNOWLEDGED,
    NOTICE_ISSUED,
    ITEMS_CHECKED,
    NOTICE_WITHDRAWN,
    NOTICE_WITHDRAWAL_ACKNOWLEDGED,
    NOTICE_ACKNOWLEDGED,
    NOTICE_ANSWERED,
    NOTICE_NOT_OURS,
    NOTICE_REINSTATED,
    CASE_ACCEPTED,
    CASE_DECLINED,
    OUTCOME_REPORTED,
    CASE_REFERRED,
    CASE_CAME_BACK,
    REFERRAL_PASSED_ON,
    CONTACT_SUGGESTED,
    OFFER_ACCEPTED,
    OFFER_DECLINED,
    OFFER_ASSESSED,
    RECORD_ERASED,
    NOTICE_RECORD_ERASED,
    PRESERVATION_REQUESTED,
    PRESERVATION_EXTENSION_REQUESTED,
    PRESERVATION_WITHDRAWN,
    PRESERVATION_ANSWERED,
    PRESERVATION_CORRECTED,
    PRESERVATION_EXTENSION_ANSWERED,
    PRESERVATION_ENDED,
    PRESERVATION_WITHDRAWAL_ACKNOWLEDGED,
    HOLD_PLACED,
    HOLD_EXTENDED,
    HOLD_RELEASED,
    NO_OBJECTION,
    HOLD_ACTIVATED,
    HOLD_TOO_LATE,
    HOLD_ENDED,
    TRANSFER_OFFERED,
    OFFER_CLAIMED,
    CLAIM_GRANTED,
    CLAIM_GONE,
    QUESTION_ASKED,
    QUESTION_LAPSED,
    QUESTION_REPLIED,
    DISPUTE_RAISED,
    DISPUTE_ANSWERED,
    NOTICE_QUESTION_ASKED,
    NOTICE_QUESTION_LAPSED,
    NOTICE_QUESTION_REPLIED,
    NOTICE_DISPUTE_RAISED,
    NOTICE_DISPUTE_ANSWERED,
    READS_ANNOUNCED,
    REFERRAL_DECIDED,
    REFERRAL_REFUSED,
    REFERRAL_REVIEWED,
    RECORD_REVEALED,
)
BY_TYPE: dict[str, MessageType] = {message.type: message for message in ALL}
#: What takes back what was sent. Neither format nor codes of it grow: they are never deferred and wait for nothing.
WITHDRAWALS: Final = frozenset({REFERRAL_WITHDRAWN, NOTICE_WITHDRAWN})
#: Names without version, to tell an unknown version of a known message from an unknown message.
NAMES: frozenset[str] = frozenset(message.name for message in ALL)


@lru_cache(256)
def newest(name: str) -> MessageType:
    """The highest version of a message that is read here. Raises `KeyError` where there is none of that name."""
    versions = [message for message in ALL if message.name == name]
    if not versions:
        raise KeyError(name)
    return max(versions, key=lambda message: message.version)


def name_of(type_text: str) -> str:
    """The message's name in a CloudEvents type, of whatever version."""
    return type_text.removeprefix("causeway.").rpartition(".v")[0]


def schema_uri(name: str) -> str:
    """The absolute URI of the schema that is called `name`."""
    return f"{SCHEMAS}/{name}.json"
