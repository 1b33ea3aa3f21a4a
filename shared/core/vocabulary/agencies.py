"""Codes and limits of agencies' work: case referrals, case leases and contact suggestions."""

from __future__ import annotations

from typing import Final

from shared.core.vocabulary.code import Code

_FEEDBACK = "OJJDP CY2023 CyberTipline transparency report, section E"
#: The maximum and the default duration of an officer's case lease, in hours.
LEASE_H_MAX: Final = 12
LEASE_H: Final = 8


class CaseReferReason(Code):
    """The reason for a case referral. It is only a code, without details of the case."""

    NOT_OUR_JURISDICTION = "not_our_jurisdiction"
    SUSPECT_ELSEWHERE = "suspect_elsewhere", _FEEDBACK
    VICTIM_ELSEWHERE = "victim_elsewhere", _FEEDBACK
    SPECIALISED_UNIT = "specialised_unit"
    CASE_ALREADY_OPEN = "case_already_open", _FEEDBACK


class ContactGround(Code):
    """The reason for a contact suggestion: one referral, or one location that two referrals name."""

    SAME_REFERRAL = "same_referral"
    SAME_LOCATION = "same_location"
