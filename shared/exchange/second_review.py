"""A second person: who let a record over its budget go, as recipients are told and check it; and the fact for audit."""

from __future__ import annotations

import hmac
from typing import NamedTuple

from shared.contracts.referral import EdgeSealed
from shared.guard import BUDGET, CEILING, Limits
from shared.guard.edition import RELEASED
from shared.kernel.errors import Refused


class Released(NamedTuple):
    """Who filed a record and who released it: two, by their opaque ids (32 hexadecimal digits)."""

    filed_by: str
    by: str

    def as_told(self, recipient: str) -> list[str]:
        """Both under names that this recipient alone is told: no two recipients can tell that they are the same."""
        return [hmac.digest(bytes.fromhex(actor), recipient.encode(), "sha256")[:16].hex() for actor in self]


def limits_of(guard: str, carried: EdgeSealed | None) -> Limits:
    """What a record may cost by the guard that its message states (`ce_guard`): released by two, to the ceiling.

    Raises `Refused` unless it is stated in both places, and the two are not one.
    """
    released, by = guard.endswith(RELEASED), None if carried is None else carried.released_by
    if released != (by is not None) or (by is not None and by[0] == by[1]):
        raise Refused("guard_refused", "released_by_two", field="/sealed/released_by")
    return CEILING if released else BUDGET
