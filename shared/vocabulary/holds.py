"""Codes of holds: what is stopped, on which basis, and how it ended."""

from __future__ import annotations

from shared.vocabulary.code import Code

_FIELD = "CPS and NPCC memorandum of understanding on section 46 SOA 2003"


class HoldScope(Code):
    """What is not to happen yet. Whichever it is, the notice that would cause it is not issued meanwhile."""

    REMOVAL = "removal", _FIELD
    USER_NOTICE = "user_notice", "18 USC 2705(b)"
    ACCOUNT_ACTION = "account_action"


class HoldBasis(Code):
    """Why an agency asks for it. A code only: nothing of the case."""

    INVESTIGATION_OPEN = "investigation_open", _FIELD
    CHILD_TO_BE_IDENTIFIED = "child_to_be_identified"
    EVIDENCE_TO_BE_SECURED = "evidence_to_be_secured"
    COURT_ORDER = "court_order"


class HoldEnd(Code):
    """How a hold ended. `lapsed`: there is nothing left to hold, since nothing is sent any more."""

    RELEASED = "released"
    EXPIRED = "expired"
    OVERRIDDEN = "overridden"
    LAPSED = "lapsed"


class OverrideBasis(Code):
    """What wins over a hold."""

    CHILD_AT_RISK = "child_at_risk"
    COURT_ORDER = "court_order"
