"""Codes of transfers: why a referral is handed on."""

from __future__ import annotations

from shared.vocabulary.code import Code

_CAUSEWAY = "Causeway"


class TransferReason(Code):
    """Why whoever filed a referral cannot keep it."""

    NOT_OUR_JURISDICTION = "not_our_jurisdiction", _CAUSEWAY
    NO_MANDATE = "no_mandate", "INHOPE ICCAM API v3, orphaned content"
    NO_CAPACITY = "no_capacity", _CAUSEWAY
