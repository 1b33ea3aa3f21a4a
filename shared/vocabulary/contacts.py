"""Codes of contact between agencies: what the cases of two of them have in common."""

from __future__ import annotations

from shared.vocabulary.code import Code


class ContactGround(Code):
    """Why two agencies may want to speak with each other: one referral, or one place that two referrals name."""

    SAME_REFERRAL = "same_referral"
    SAME_LOCATION = "same_location"
