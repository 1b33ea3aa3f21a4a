"""The messages of a call about a case: an agency proposes a time, and the origin of the referral confirms it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.core.canonical import JsonView
from shared.core.contracts.answers import ReferralAnswer
from shared.core.contracts.base import Contract, EventTime, Uuid
from shared.core.contracts.referral import AboutReferral
from shared.core.contracts.registry import Family, Meter, message_type


class CallTerms(Contract):
    """The time at which the agency would call."""

    call_at: EventTime


class CallRef(Contract):
    """A proposed call. Its id is that of the act that proposed it."""

    call: Uuid


class CallProposedClear(CallTerms, ReferralAnswer):
    """The agency proposes a call about its case. `act` is the id of the call."""


class CallConfirmedClear(CallRef, AboutReferral):
    """The origin confirms the proposed call."""

    act: Uuid


CALL_PROPOSED: Final = message_type(Family.REFERRAL, Meter.FREE, CallProposedClear)
CALL_CONFIRMED: Final = message_type(Family.REFERRAL, Meter.FREE, CallConfirmedClear)
_REFERRAL: Final = {"referral_id": "019b2d3c-4400-7000-8000-000000000001", "revision": 1}
_CALL, _ACT = "7f1c2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f", "2c3d4e5f-6071-4b8c-9d0e-1f2a3b4c5d6e"
_PROPOSED: Final = _REFERRAL | {"act": _CALL, "number": 1, "call_at": "2026-05-11T12:00:00.000Z"}
EXAMPLES: Final[Mapping[str, JsonView]] = {
    "call_proposed.v1": {"accepted": {"in-a-week": _PROPOSED}, "refused": {"without-time": {"pointer": "/call_at"}}},
    "call_confirmed.v1": {"accepted": {"as-proposed": _REFERRAL | {"act": _ACT, "call": _CALL}}},
}
