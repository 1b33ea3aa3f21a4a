"""Codes of work between agencies: why one passes a case on to another."""

from __future__ import annotations

from shared.vocabulary.code import Code

_CAUSEWAY = "Causeway"
_FEEDBACK = "OJJDP CY2023 CyberTipline transparency report, section E"


class CaseReferReason(Code):
    """Why a case is another agency's. A code only: nothing of the case."""

    NOT_OUR_JURISDICTION = "not_our_jurisdiction", _CAUSEWAY
    SUSPECT_ELSEWHERE = "suspect_elsewhere", _FEEDBACK
    VICTIM_ELSEWHERE = "victim_elsewhere", _FEEDBACK
    SPECIALISED_UNIT = "specialised_unit", _CAUSEWAY
    CASE_ALREADY_OPEN = "case_already_open", _FEEDBACK
