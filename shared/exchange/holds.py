"""When a notice of a windowed rule is issued, and what a hold may ask for. Pure.

A windowed edge is planned: it gets no letter until it was looked whether somebody holds it, in the transaction that
mints the notice. Each such notice leaves in a slot of ten minutes, held or not: its time says neither when its referral
was filed, nor that anything has waited.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from shared.exchange.act import WORKED_ON, Subject, any_of
from shared.kernel.clock import EPOCH
from shared.kernel.errors import Refused

#: How far from the act that asks for it a hold may end, where the policy does not say.
HOLD_MAX_H: Final = 336
#: By how much the clocks of an agency and an origin may differ.
TOLERANCE: Final = timedelta(minutes=5)
#: The agencies that may hold: those that have not said that the case is not theirs, or that it is over.
MAY_HOLD: Final = any_of(*WORKED_ON[Subject.CASE])
_SLOTS_AN_HOUR: Final = 6


@dataclass(frozen=True, slots=True)
class Hours:
    """How long an hour of a hold window lasts here: shorter in a development stack alone.

    `length` is that of an issue slot, where it is not a sixth of such an hour.
    """

    hour: timedelta = timedelta(hours=1)
    length: timedelta | None = None

    def ends(self, at: datetime, hours: int) -> datetime:
        """When a window of so many hours ends that begins at `at`."""
        return at + hours * self.hour

    def slot(self, at: datetime) -> datetime:
        """The first issue slot that is not before `at`, by the same grid for everybody."""
        return EPOCH + -(-(at - EPOCH) // self.slot_length) * self.slot_length

    @property
    def slot_length(self) -> timedelta:
        return self.length or self.hour / _SLOTS_AN_HOUR

    def begun(self, at: datetime) -> datetime:
        """The last issue slot that is not after `at`."""
        length = self.hour / _SLOTS_AN_HOUR
        return EPOCH + (at - EPOCH) // length * length

    def issue_at(
        self, window_ends: datetime, now: datetime, *, held_until: datetime | None = None, cleared: bool = False
    ) -> datetime:
        """In which slot a planned notice is issued.

        `held_until` is the end of the last hold that is in force; `cleared` tells whether nobody else is left who might
        still hold it: for whoever might, the window lasts as long as it would without a hold.
        """
        looked = now if cleared else max(window_ends, now)
        return self.slot(looked if held_until is None else max(held_until, looked))


def cleared(agencies: Mapping[str, str], no_objection: Iterable[str]) -> bool:
    """Whether every agency that may hold has said that it does not. `agencies`: what each has answered so far."""
    return {name for name, answer in agencies.items() if answer in MAY_HOLD} <= {*no_objection}


def hold_max(policy: Mapping[str, Any]) -> timedelta:
    """How far from the act that asks for it a hold may end, by this policy."""
    return timedelta(hours=policy.get("hold_max_h") or HOLD_MAX_H)


def check_bound(not_after: datetime, at: datetime, longest: timedelta) -> None:
    """Raises `Refused`: `hold_over` for an end that has passed, `hold_beyond_bound` for one that is too far away."""
    if not_after <= at:
        raise Refused("hold_over", "its end must be in the future", field="/not_after")
    if not_after > at + longest:
        hours = longest // timedelta(hours=1)
        raise Refused("hold_beyond_bound", f"at most {hours} hours from now; it can be extended", field="/not_after")
