"""Codes with which recipients answer: outcomes, notices, cases."""

from __future__ import annotations

from shared.core.vocabulary.code import Code

_ICCAM = "INHOPE ICCAM API v3, action reasons"
_CLASSES = "INHOPE ICCAM API v3, classifications"
_ACTIONS = "INHOPE ICCAM API v3, action types"
_FEEDBACK = "OJJDP CY2023 CyberTipline transparency report, section E"


class ReceiptOutcome(Code):
    """The outcome of a message at its recipient, as parties see it. `parked` is a dead letter.

    Deferred, waiting and parked are not final.
    """

    APPLIED = "applied"
    REFUSED = "refused"
    DEFERRED = "deferred"
    WAITING = "waiting"
    PARKED = "parked"
    MOVED = "moved"


class YesNoUnknown(Code):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class AnswerState(Code):
    """The recipient's track: its answers so far.

    A test compares the visible states of the subjects with it.
    """

    NONE = "none"
    ACKNOWLEDGED = "acknowledged"
    IN_PART = "in_part"
    ACTIONED = "actioned"
    REJECTED = "rejected"
    NOT_OURS = "not_ours"
    REAPPEARED = "reappeared"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    ONGOING = "ongoing"
    CLOSED = "closed"
    REFERRED = "referred"
    CLAIMED = "claimed"
    WITHDRAWAL_ACKNOWLEDGED = "withdrawal_acknowledged"
    RECORD_ERASED = "record_erased"


class NoticeAction(Code):
    REMOVED = "removed", "EU DSA Transparency Database, DECISION_VISIBILITY"
    GEO_DISABLED = "geo_disabled", "EU DSA Transparency Database, DECISION_VISIBILITY"
    ACCOUNT_SUSPENDED = "account_suspended", "EU DSA Transparency Database, DECISION_ACCOUNT"
    PRESERVED = "preserved", "18 USC 2258A(h)"
    ALREADY_GONE = "already_gone", "IWF annual report 2022"


class NoticeRejection(Code):
    NOT_FOUND = "not_found", _ICCAM
    INSUFFICIENT_DETAIL = "insufficient_detail", "EU Regulation 2022/2065 (DSA), Article 16(2)"
    DISPUTED_LEGALITY = "disputed_legality"
    JURISDICTION = "jurisdiction"
    TECHNICAL = "technical", "EU Regulation 2021/784, Annex III"
    AUTHENTICATION_FAILED = "authentication_failed"


class ItemFound(Code):
    """The result of the notifier's check of an item.

    `reappeared`: it was removed or gone before and is available.
    """

    GONE = "gone"
    UP = "up"
    REAPPEARED = "reappeared"
    NEVER_THERE = "never_there"


class CheckedBy(Code):
    """The kind of checker."""

    PERSON = "person"
    TOOL = "tool"


class ReinstateReason(Code):
    """The reason why a provider made an item available again after acting on it."""

    COMPLAINT_UPHELD = "complaint_upheld", "EU Regulation 2022/2065 (DSA), Article 20"
    COURT_ORDER = "court_order", "EU Regulation 2022/2065 (DSA), Article 21"
    ACTED_IN_ERROR = "acted_in_error"
    RECOVERED_BY_ACCOUNT = "recovered_by_account"


class ItemsFold(Code):
    """The state of a notice that results from the answers to its items."""

    REAPPEARED = "reappeared"
    IN_PART = "in_part"
    ACTIONED = "actioned"
    REJECTED = "rejected"
    NOT_OURS = "not_ours"


class HotlineAssessment(Code):
    """A hotline's assessment of an item under its own law. `baseline` holds in every country."""

    BASELINE = "baseline", _CLASSES
    NATIONAL = "national", _CLASSES
    NOT_ILLEGAL = "not_illegal", _CLASSES


class HotlineAction(Code):
    """A hotline's action on an item, or its fate. After the last two no action is left."""

    REPORTED_TO_POLICE = "reported_to_police", _ACTIONS
    REPORTED_TO_PROVIDER = "reported_to_provider", _ACTIONS
    REMOVED = "removed", _ACTIONS
    UNAVAILABLE = "unavailable", _ACTIONS


class OfferFold(Code):
    """The state of an offer that results from the hotline's statements about its items."""

    IN_PART = "in_part"
    CLOSED = "closed"


class WithdrawalFate(Code):
    """The result of a withdrawal for the recipient's record: its key is deleted, or it is retained."""

    ERASED = "erased"
    KEPT = "kept"


class KeptBasis(Code):
    """Grounds on which a record is retained despite a withdrawal."""

    ACCEPTED_CASE = "accepted_case"
    PRESERVATION = "preservation", "18 USC 2258A(h)"
    LEGAL_HOLD = "legal_hold"
    OPEN_COMPLAINT = "open_complaint", "EU Regulation 2022/2065 (DSA), Article 20"


class CaseDeclineReason(Code):
    NOT_OUR_JURISDICTION = "not_our_jurisdiction"
    INSUFFICIENT_INFORMATION = "insufficient_information", _FEEDBACK
    STALE_INFORMATION = "stale_information", _FEEDBACK
    NO_CRIME = "no_crime", _FEEDBACK
    ALREADY_KNOWN = "already_known", "Europol IRMA, double notices"
    NO_CAPACITY = "no_capacity"


class CaseOutcome(Code):
    CONVICTION = "conviction", _FEEDBACK
    ARREST = "arrest", _FEEDBACK
    ONGOING_INVESTIGATION = "ongoing_investigation", _FEEDBACK
    REFERRED = "referred", _FEEDBACK
    CLOSED = "closed", _FEEDBACK


class CloseReason(Code):
    """The reason for closing a case; required with `closed`, otherwise rejected."""

    SUBJECT_NOT_LOCATED = "subject_not_located", _FEEDBACK
    ESP_RESPONSE_LACKS_INFORMATION = "esp_response_lacks_information", _FEEDBACK
    NO_CRIME = "no_crime", _FEEDBACK
    NO_PROSECUTORIAL_MERIT = "no_prosecutorial_merit", _FEEDBACK
    ALLEGED_CHILD_IS_ADULT = "alleged_child_is_adult", _FEEDBACK
    AGE_NOT_DETERMINED = "age_not_determined", _FEEDBACK
    FALSE_REPORT = "false_report", _FEEDBACK
    UNFOUNDED = "unfounded", _FEEDBACK
    REPORTED_PERSON_DECEASED = "reported_person_deceased", _FEEDBACK
    OTHER = "other", _FEEDBACK


class ActionReason(Code):
    """The 21 reasons that `unavailable` and `not_illegal` need."""

    OTHER = "other", _ICCAM
    CONTENT_NOT_FOUND = "content_not_found", _ICCAM
    REFERRER_NOT_KNOWN = "referrer_not_known_or_incorrect", _ICCAM
    UNABLE_TO_ACCESS = "unable_to_access", _ICCAM
    PASSWORD_PROTECTED = "password_protected", _ICCAM
    ACCOUNT_DISABLED = "account_disabled", _ICCAM
    LEGALLY_UNABLE_TO_ACCESS = "legally_unable_to_access", _ICCAM
    LINK_EXPIRED = "link_expired", _ICCAM
    ERROR_404 = "error_404", _ICCAM
    ERROR_503 = "error_503", _ICCAM
    PREMIUM_ACCOUNT_NECESSARY = "premium_account_necessary", _ICCAM
    MISSING_PARTS = "missing_parts_to_open_file", _ICCAM
    REMOVED_BEFORE_ASSESSMENT = "content_removed_before_assessment", _ICCAM
    ADULT_PORNOGRAPHY = "adult_pornography", _ICCAM
    NUDISM_OR_NOT_SEXUALIZED = "nudism_or_not_sexualized", _ICCAM
    BELOW_THRESHOLD = "does_not_meet_threshold_for_illegality", _ICCAM
    IMAGES_TOO_SMALL = "images_too_small", _ICCAM
    VIRTUAL_MATERIAL = "virtual_material", _ICCAM
    LINKING_NOT_ILLEGAL = "linking_or_linklists_not_illegal", _ICCAM
    AGE_UNCLEAR = "age_unclear_or_not_assessable", _ICCAM
    AGE_OVER_NATIONAL_THRESHOLD = "age_over_national_threshold", _ICCAM
