"""Codes of transfers: why a referral is handed on."""

from __future__ import annotations

from shared.vocabulary.code import Code


class TransferReason(Code):
    """Why whoever filed a referral cannot keep it."""

    NOT_OUR_JURISDICTION = "not_our_jurisdiction"
    NO_MANDATE = "no_mandate", "INHOPE ICCAM API v3, orphaned content"
    NO_CAPACITY = "no_capacity"
