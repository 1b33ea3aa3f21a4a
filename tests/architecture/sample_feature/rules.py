"""The rules of calls: the states of a call, and the time that one may have. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.core.errors import Refused

#: The longest time from the proposal to the call.
AHEAD_MAX: Final = timedelta(days=30)


class CallState(StrEnum):
    """The states of a call, the same on both sides."""

    PROPOSED = "proposed"
    CONFIRMED = "confirmed"


def check_time(call_at: datetime, proposed_at: datetime) -> None:
    """Check that a call lies ahead, and at most 30 days. Raises `Refused("parameter_invalid")`."""
    if not timedelta(0) < call_at - proposed_at <= AHEAD_MAX:
        raise Refused("parameter_invalid", "a time within the next 30 days", field="/call_at")


def confirmed(state: CallState | None) -> CallState:
    """Return the state after the origin's confirmation. Raises `Refused("not_found")` if no call was proposed."""
    if state is None:
        raise Refused("not_found", "there is no such call", status=404)
    return CallState.CONFIRMED
