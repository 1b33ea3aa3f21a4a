"""Codes of the law in a policy: reviews, readings, and the parts of clocks.

Events, duties and consequences are those that the exchange can observe. Each clock combines them.
"""

from __future__ import annotations

from shared.core.vocabulary.code import Code

_E_EVIDENCE = "EU Regulation 2023/1543, Annex II"
_UK = "UK SI 2026/268"
_DSA = "EU Regulation 2022/2065 (DSA)"


class ArticleReading(Code):
    """How an article was read: its text, another source about it, or neither.

    Check all but `read` before reliance.
    """

    READ = "read"
    SECONDARY = "secondary"
    UNREAD = "unread"


class Confirmation(Code):
    """Whether a source confirms that an instrument is in force on its dates."""

    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"


class InstrumentState(Code):
    """The state of an instrument on a day, by its dates. Without a first day it is `pending`."""

    PENDING = "pending"
    IN_FORCE = "in_force"
    ENDED = "ended"


class ReviewerRole(Code):
    """The role of the last reviewer of an entry, never the person."""

    POLICY_LEAD = "policy_lead"
    LEGAL_COUNSEL = "legal_counsel"
    REGULATOR = "regulator"
    SAMPLE_AUTHOR = "sample_author"


class Promptness(Code):
    """Terms that the law states in words.

    The policy adds the hours or working days that the exchange counts.
    """

    IMMEDIATELY = "immediately", _UK
    AS_SOON_AS_REASONABLY_PRACTICABLE = "as_soon_as_reasonably_practicable", _UK
    WITHOUT_UNDUE_DELAY = "without_undue_delay", _DSA


class ClockEvent(Code):
    """An event that starts a clock. The exchange emits each of them."""

    REPORT_SENT = "report_sent"
    NOTICE_ISSUED = "notice_issued"
    NOTICE_RECEIVED = "notice_received"
    CASE_ACCEPTED = "case_accepted"
    REMOVAL_REPORTED = "removal_reported"
    P0_OFFERED = "p0_offered"
    INFORMATION_REQUESTED = "information_requested"
    DISPUTE_RAISED = "dispute_raised"
    PRESERVATION_SERVED = "preservation_served", _E_EVIDENCE
    PRESERVATION_EXTENDED = "preservation_extended", _E_EVIDENCE
    PRODUCTION_ORDERED = "production_ordered", _E_EVIDENCE


class StopCause(Code):
    """A cause that stops a clock, if the clock's instrument lists it."""

    NEEDS_INFO = "needs_info"
    DISPUTED = "disputed"
    HELD = "held"
    EXTENDED = "extended", _E_EVIDENCE
    PRODUCTION_CONFIRMED = "production_confirmed", _E_EVIDENCE


class ClockDue(Code):
    """The duty that falls due at the end of a clock."""

    ACKNOWLEDGEMENT = "acknowledgement"
    REMOVAL = "removal"
    RECHECK = "recheck"
    REPORT = "report"
    INFORMATION = "information"
    VERDICT = "verdict"
    FEEDBACK = "feedback"
    CLAIM = "claim"
    DATA = "data", _E_EVIDENCE
    END_OF_PRESERVATION = "end_of_preservation"


class ClockConsequence(Code):
    """The consequence if the duty is not done in time.

    For a preservation, it happens at the end of the term.
    """

    ALERT = "alert"
    REMIND = "remind"
    ESCALATE = "escalate"
    ERASE = "erase"
