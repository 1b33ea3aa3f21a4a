"""Codes of preservation requests, their answers, and holds."""

from __future__ import annotations

from shared.core.vocabulary.code import Code

_E_EVIDENCE = "EU Regulation 2023/1543"
_ANNEX_III = "EU Regulation 2023/1543, Annex III"


class PreservationKind(Code):
    """The kind of order. `produce` is only tracked: the order and its result stay on their own channel."""

    PRESERVE = "preserve", f"{_E_EVIDENCE}, Article 6"
    PRODUCE = "produce", f"{_E_EVIDENCE}, Article 5"


class PreservationTerm(Code):
    """The duration, if the law defines it by class. Without a class, the day is stated."""

    EU_60D = "eu_60d", f"{_E_EVIDENCE}, Article 11(1)"
    US_1Y = "us_1y", "REPORT Act, Pub. L. 118-59, 18 USC 2258A(h)"
    CA_21D = "ca_21d", "S.C. 2011 c. 4 (Canada), section 4"
    CA_1Y = "ca_1y", "Bill C-16 (Canada), Royal Assent 18 June 2026; its coming into force is not confirmed"


class PreservationAnswer(Code):
    """The provider's track: its answers so far.

    The first answer to a request is one of the first four codes.
    """

    PRESERVED = "preserved", "18 USC 2258A(h)"
    REFUSED = "refused", _ANNEX_III
    NOT_POSSIBLE = "not_possible", _ANNEX_III
    TOO_LATE = "too_late"
    EXTENDED = "extended", f"{_E_EVIDENCE}, Article 11(1)"
    EXTENSION_REFUSED = "extension_refused"
    ENDED = "ended"
    NONE = "none"
    WITHDRAWAL_ACKNOWLEDGED = "withdrawal_acknowledged"


class PreservationRefusal(Code):
    """The reason why a provider refuses a request."""

    INCOMPLETE = "incomplete", _ANNEX_III
    MANIFEST_ERROR = "manifest_error", _ANNEX_III
    INSUFFICIENT_INFORMATION = "insufficient_information", _ANNEX_III
    IMMUNITY_OR_PRIVILEGE = "immunity_or_privilege", _ANNEX_III
    MEDIA_FREEDOM = "media_freedom", _ANNEX_III
    CONFLICTING_LAW = "conflicting_law", f"{_E_EVIDENCE}, Article 17"
    NOT_OURS = "not_ours"


class Impossibility(Code):
    """The reason why a provider is unable to preserve the data."""

    FORCE_MAJEURE = "force_majeure", _ANNEX_III
    NEVER_STORED = "never_stored", _ANNEX_III
    ENCRYPTED_BY_USER = "encrypted_by_user"
    TECHNICAL = "technical"


class PreservationEnd(Code):
    """The reason why a provider no longer preserves the data."""

    TERM_OVER = "term_over", f"{_E_EVIDENCE}, Article 11(1)"
    PRODUCED = "produced", f"{_E_EVIDENCE}, Article 11(2)"
    ANSWERED_IN_ERROR = "answered_in_error"


class PreservationWithdrawal(Code):
    """The reason why an agency withdraws its request."""

    NO_LONGER_NECESSARY = "no_longer_necessary", f"{_E_EVIDENCE}, Article 11(4)"
    ASKED_IN_ERROR = "asked_in_error"
    WRONG_PROVIDER = "wrong_provider"
    REPLACED = "replaced"


_FIELD = "CPS and NPCC memorandum of understanding on section 46 SOA 2003"


class HoldScope(Code):
    """The act that must wait. In each case, the notice that would cause it is not issued during the hold."""

    REMOVAL = "removal", _FIELD
    USER_NOTICE = "user_notice", "18 USC 2705(b)"
    ACCOUNT_ACTION = "account_action"


class HoldBasis(Code):
    """The reason for a hold. It is only a code, without details of the case."""

    INVESTIGATION_OPEN = "investigation_open", _FIELD
    CHILD_TO_BE_IDENTIFIED = "child_to_be_identified"
    EVIDENCE_TO_BE_SECURED = "evidence_to_be_secured"
    COURT_ORDER = "court_order"


class HoldEnd(Code):
    """The reason for the end of a hold. `lapsed`: there is no notice to hold, because none will be sent."""

    RELEASED = "released"
    EXPIRED = "expired"
    OVERRIDDEN = "overridden"
    LAPSED = "lapsed"


class OverrideBasis(Code):
    """The reason that outweighs a hold."""

    CHILD_AT_RISK = "child_at_risk"
    COURT_ORDER = "court_order"
