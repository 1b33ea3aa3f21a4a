"""Codes of work inside and between agencies: cases passed on, how long an officer has one, and what two cases share."""

from __future__ import annotations

from typing import Final

from shared.vocabulary.code import Code

_FEEDBACK = "OJJDP CY2023 CyberTipline transparency report, section E"
#: The longest that one act keeps a case for one officer, in hours; and how long it is if nobody says.
LEASE_H_MAX: Final = 12
LEASE_H: Final = 8


class CaseReferReason(Code):
    """Why a case is another agency's. A code only: nothing of the case."""

    NOT_OUR_JURISDICTION = "not_our_jurisdiction"
    SUSPECT_ELSEWHERE = "suspect_elsewhere", _FEEDBACK
    VICTIM_ELSEWHERE = "victim_elsewhere", _FEEDBACK
    SPECIALISED_UNIT = "specialised_unit"
    CASE_ALREADY_OPEN = "case_already_open", _FEEDBACK


class ContactGround(Code):
    """Why two agencies may want to speak with each other: one referral, or one place that two referrals name."""

    SAME_REFERRAL = "same_referral"
    SAME_LOCATION = "same_location"
