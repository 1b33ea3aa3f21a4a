"""The message types of the core. A new message is one class in its family's file and one line here.

A feature outside the core has its messages in its own `contract.py` (`shared.core.acts.catalog`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.core.contracts import (
    answers,
    case_referral,
    directory,
    facts,
    holds,
    preservation,
    preservation_api,
    questions,
    referral,
)
from shared.core.contracts.base import Contract

#: The base URI of schemas, absolute as CloudEvents requires. It is a reserved name; the schemas are never fetched.
SCHEMAS = "https://schemas.causeway.example"


class Family(StrEnum):
    """The families of messages. The family decides the key, the parties and the accounting."""

    REFERRAL = "referral"  # between two parties, keyed by referral id
    NOTICE = "notice"  # between two parties, keyed by notice id: industry never sees a referral id
    PRESERVATION = "preservation"  # between an agency and a provider, keyed by preservation id
    FACT = "fact"  # by an instance itself, to audit; read capabilities also go to each peer


class Meter(StrEnum):
    """How a message counts against the day of its sender. No message type is without one."""

    RECORD = "record"  # its record is debited when it is filed, amended or released
    OWN = "own"  # the party sends it of its own accord: debited by the transaction that sends it
    COVERED = "covered"  # an answer in codes: the question that it answers has been debited
    FREE = "free"  # withdrawals, releases, confirmations and states that are sent again: they never wait


#: Between two parties.
BETWEEN_PARTIES: Final = frozenset({Family.REFERRAL, Family.NOTICE, Family.PRESERVATION})
#: The families that an instance states for itself.
STATED_BY_INSTANCES: Final = frozenset({Family.FACT})


@dataclass(frozen=True, slots=True, eq=False)
class MessageType:
    """One message type and version, one object each: `type` is the CloudEvents type, `schema` the data schema's URI.

    A message with an edge, or a fact with a sealed part, always has the sealed part. An answer may omit it.
    `earlier` is the version before this one.
    """

    name: str
    version: int
    family: Family
    meter: Meter
    clear: type[Contract]
    sealed: type[Contract] | None = None
    edge: bool = False
    earlier: MessageType | None = None

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

    @property
    def is_answer(self) -> bool:
        """Whether the recipient of a subject sends it, to the owner of the subject."""
        return issubclass(self.clear, answers.Answer) and not issubclass(self.clear, preservation.AgencyAct)

    @property
    def is_told_to_origin(self) -> bool:
        """Whether a recipient answers an origin with it."""
        return self.is_answer and self.family is not Family.PRESERVATION


def message_type(
    family: Family, meter: Meter, clear: type[Contract], *, sealed: type[Contract] | None = None, edge: bool = False
) -> MessageType:
    """Return the first version of a message. Its name is that of its clear part: `hold_placed` of `HoldPlacedClear`."""
    name = re.sub("(?<!^)(?=[A-Z])", "_", clear.__name__.removesuffix("Clear")).lower()
    return MessageType(name, 1, family, meter, clear, sealed, edge)


_ALL: list[MessageType] = []


def _message(
    family: Family, meter: Meter, clear: type[Contract], *, sealed: type[Contract] | None = None, edge: bool = False
) -> MessageType:
    _ALL.append(message_type(family, meter, clear, sealed=sealed, edge=edge))
    return _ALL[-1]


REFERRAL_OFFERED = _message(
    Family.REFERRAL, Meter.RECORD, referral.ReferralOfferedClear, sealed=referral.ReferralOfferedSealed, edge=True
)
REFERRAL_WITHDRAWN = _message(Family.REFERRAL, Meter.FREE, referral.ReferralWithdrawnClear)
WITHDRAWAL_ACKNOWLEDGED = _message(Family.REFERRAL, Meter.FREE, answers.WithdrawalAcknowledgedClear)
NOTICE_ISSUED = _message(
    Family.NOTICE, Meter.RECORD, referral.NoticeIssuedClear, sealed=referral.NoticeIssuedSealed, edge=True
)
ITEMS_CHECKED = _message(Family.NOTICE, Meter.OWN, answers.ItemsCheckedClear)
NOTICE_WITHDRAWN = _message(Family.NOTICE, Meter.FREE, referral.NoticeWithdrawnClear)
NOTICE_WITHDRAWAL_ACKNOWLEDGED = _message(Family.NOTICE, Meter.FREE, answers.NoticeWithdrawalAcknowledgedClear)
NOTICE_ACKNOWLEDGED = _message(Family.NOTICE, Meter.COVERED, answers.NoticeAcknowledgedClear)
NOTICE_ANSWERED = _message(Family.NOTICE, Meter.COVERED, answers.NoticeAnsweredClear)
NOTICE_NOT_OURS = _message(Family.NOTICE, Meter.COVERED, answers.NoticeNotOursClear)
NOTICE_REINSTATED = _message(Family.NOTICE, Meter.COVERED, answers.NoticeReinstatedClear)
CASE_ACCEPTED = _message(Family.REFERRAL, Meter.COVERED, answers.CaseAcceptedClear, sealed=answers.CaseRecord)
CASE_DECLINED = _message(Family.REFERRAL, Meter.COVERED, answers.CaseDeclinedClear)
OUTCOME_REPORTED = _message(Family.REFERRAL, Meter.COVERED, answers.OutcomeReportedClear)
CASE_REFERRED = _message(Family.REFERRAL, Meter.OWN, case_referral.CaseReferredClear)
CASE_CAME_BACK = _message(Family.REFERRAL, Meter.FREE, case_referral.CaseCameBackClear)
REFERRAL_PASSED_ON = _message(
    Family.REFERRAL, Meter.FREE, case_referral.ReferralPassedOnClear, sealed=case_referral.ReferralPassedOnSealed
)
OFFER_ACCEPTED = _message(Family.REFERRAL, Meter.COVERED, answers.OfferAcceptedClear)
OFFER_DECLINED = _message(Family.REFERRAL, Meter.COVERED, answers.OfferDeclinedClear)
OFFER_ASSESSED = _message(Family.REFERRAL, Meter.COVERED, answers.OfferAssessedClear)
RECORD_ERASED = _message(Family.REFERRAL, Meter.FREE, answers.RecordErasedClear)
NOTICE_RECORD_ERASED = _message(Family.NOTICE, Meter.FREE, answers.NoticeRecordErasedClear)
PRESERVATION_REQUESTED = _message(
    Family.PRESERVATION, Meter.OWN, preservation.PreservationRequestedClear, sealed=preservation_api.PreservationRecord
)
PRESERVATION_EXTENSION_REQUESTED = _message(
    Family.PRESERVATION, Meter.OWN, preservation.PreservationExtensionRequestedClear
)
PRESERVATION_WITHDRAWN = _message(Family.PRESERVATION, Meter.FREE, preservation.PreservationWithdrawnClear)
PRESERVATION_ANSWERED = _message(Family.PRESERVATION, Meter.COVERED, preservation.PreservationAnsweredClear)
PRESERVATION_CORRECTED = _message(Family.PRESERVATION, Meter.OWN, preservation.PreservationCorrectedClear)
PRESERVATION_EXTENSION_ANSWERED = _message(
    Family.PRESERVATION, Meter.COVERED, preservation.PreservationExtensionAnsweredClear
)
PRESERVATION_ENDED = _message(Family.PRESERVATION, Meter.FREE, preservation.PreservationEndedClear)
PRESERVATION_WITHDRAWAL_ACKNOWLEDGED = _message(
    Family.PRESERVATION, Meter.FREE, preservation.PreservationWithdrawalAcknowledgedClear
)
HOLD_PLACED = _message(Family.REFERRAL, Meter.OWN, holds.HoldPlacedClear)
HOLD_EXTENDED = _message(Family.REFERRAL, Meter.OWN, holds.HoldExtendedClear)
HOLD_RELEASED = _message(Family.REFERRAL, Meter.FREE, holds.HoldReleasedClear)
NO_OBJECTION = _message(Family.REFERRAL, Meter.FREE, holds.NoObjectionClear)
HOLD_ACTIVATED = _message(Family.REFERRAL, Meter.FREE, holds.HoldActivatedClear)
HOLD_TOO_LATE = _message(Family.REFERRAL, Meter.FREE, holds.HoldTooLateClear)
HOLD_ENDED = _message(Family.REFERRAL, Meter.FREE, holds.HoldEndedClear)
# Free, because a restored recipient gets it again: the request to transfer is debited.
TRANSFER_OFFERED = _message(Family.REFERRAL, Meter.FREE, answers.TransferOfferedClear)
OFFER_CLAIMED = _message(Family.REFERRAL, Meter.COVERED, answers.OfferClaimedClear)
CLAIM_GRANTED = _message(Family.REFERRAL, Meter.FREE, answers.ClaimGrantedClear)
CLAIM_GONE = _message(Family.REFERRAL, Meter.FREE, answers.ClaimGoneClear)
QUESTION_ASKED = _message(Family.REFERRAL, Meter.OWN, questions.QuestionAskedClear)
QUESTION_LAPSED = _message(Family.REFERRAL, Meter.FREE, questions.QuestionLapsedClear)
QUESTION_REPLIED = _message(Family.REFERRAL, Meter.COVERED, questions.QuestionRepliedClear)
DISPUTE_RAISED = _message(Family.REFERRAL, Meter.OWN, questions.DisputeRaisedClear)
DISPUTE_ANSWERED = _message(Family.REFERRAL, Meter.COVERED, questions.DisputeAnsweredClear)
NOTICE_QUESTION_ASKED = _message(Family.NOTICE, Meter.OWN, questions.NoticeQuestionAskedClear)
NOTICE_QUESTION_LAPSED = _message(Family.NOTICE, Meter.FREE, questions.NoticeQuestionLapsedClear)
NOTICE_QUESTION_REPLIED = _message(Family.NOTICE, Meter.COVERED, questions.NoticeQuestionRepliedClear)
NOTICE_DISPUTE_RAISED = _message(Family.NOTICE, Meter.OWN, questions.NoticeDisputeRaisedClear)
NOTICE_DISPUTE_ANSWERED = _message(Family.NOTICE, Meter.COVERED, questions.NoticeDisputeAnsweredClear)
READS_ANNOUNCED = _message(Family.FACT, Meter.FREE, directory.ReadsAnnouncedClear)
REFERRAL_DECIDED = _message(Family.FACT, Meter.FREE, facts.ReferralDecidedClear, sealed=facts.ReferralDecidedSealed)
REFERRAL_REFUSED = _message(Family.FACT, Meter.FREE, facts.ReferralRefusedClear)
REFERRAL_REVIEWED = _message(Family.FACT, Meter.FREE, facts.ReferralReviewedClear)
RECORD_REVEALED = _message(Family.FACT, Meter.FREE, facts.RecordRevealedClear)

ALL: Final = tuple(_ALL)
#: Withdrawals. Their format and codes never change, so they are never deferred and never wait.
WITHDRAWALS: Final = frozenset({REFERRAL_WITHDRAWN, NOTICE_WITHDRAWN})


def name_of(type_text: str) -> str:
    """Return the message's name in a CloudEvents type of any version."""
    return type_text.removeprefix("causeway.").rpartition(".v")[0]


def schema_uri(name: str) -> str:
    """Return the absolute URI of the schema `name`."""
    return f"{SCHEMAS}/{name}.json"
