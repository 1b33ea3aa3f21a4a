"""Second review of records above their budget: the ids of both persons, and the resulting limits."""

from __future__ import annotations

import hmac
from typing import NamedTuple

from shared.core.contracts.referral import EdgeSealed
from shared.core.errors import Refused
from shared.core.guard import BUDGET, CEILING, Limits
from shared.core.guard.edition import RELEASED


class SecondReview(NamedTuple):
    """The submitter and the approver of a record, as opaque ids (32 hexadecimal digits)."""

    filed_by: str
    by: str

    def as_told(self, recipient: str) -> list[str]:
        """Return both ids in a form for this recipient only. Two recipients cannot see that they are the same."""
        return [hmac.digest(bytes.fromhex(actor), recipient.encode(), "sha256")[:16].hex() for actor in self]


def limits_of(guard: str, carried: EdgeSealed | None) -> Limits:
    """Return the limits of a record by the guard statement of its message (`ce_guard`).

    `released`: up to the ceiling. Raises `Refused` unless both parts of the message state the release, by two different
    persons.
    """
    released, by = guard.endswith(RELEASED), None if carried is None else carried.released_by
    if released != (by is not None) or (by is not None and by[0] == by[1]):
        raise Refused("guard_refused", "released_by_two", field="/sealed/released_by")
    return CEILING if released else BUDGET
