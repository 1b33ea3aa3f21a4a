"""The information cost of a record and its limits.

They bound the information that any record can carry. The sum of the costs of all values is the length of a prefix code
of the whole record (`charge`, `leaves`). So at most 2^(8 B) records cost B bytes or less. A record within its budget
carries no more than that, under any encoding.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final, NamedTuple, NoReturn

from shared.core.clock import seconds_to_midnight
from shared.core.errors import Refused, RetryLater
from shared.core.guard.charge import BIT, BYTE, Model, coded
from shared.core.guard.edition import GuardVersion
from shared.core.guard.leaves import INSTANT, TEXT, Leaf, Path, pointer

#: The cost of a hash is its size. The walk costs the presence of each hash.
HASH_COSTS: Final = {
    "md5": 128 * BIT,
    "sha1": 160 * BIT,
    "sha256": 256 * BIT,
    "tmk_pdqf": 256 * BIT,
    "pdq": 256 * BIT,
    "photodna": 1_152 * BIT,
}


class Limits(NamedTuple):
    """Bytes of one field, of a record without its hashes, and of the whole record."""

    field: int
    record: int
    everything: int


#: The limits of a record, and the higher limits after a second review.
BUDGET: Final = Limits(320, 1_536, 4_096)
CEILING: Final = Limits(640, 2_560, 4_096)
#: Bytes that an origin's service adds to a submission: the numbers of items, and a notice's language.
ADDED: Final = 16


class RecordCost(NamedTuple):
    """The cost of a record in sixteenths of a bit, and its most expensive field."""

    record: int
    hashes: int
    field: int
    path: Path

    @property
    def whole(self) -> int:
        """The cost of the whole record, hashes included."""
        return self.record + self.hashes

    def within(self, limits: Limits, *, added: int = 0) -> bool:
        """Return whether the cost is within the limits. `added` as in `check_budget`."""
        record = (limits.record - added) * BYTE
        everything = (limits.everything - added) * BYTE
        return self.field <= limits.field * BYTE and self.record <= record and self.whole <= everything


def charged(found: list[Leaf], closed: int, edition: GuardVersion, *, ceiling: Limits | None = None) -> RecordCost:
    """Return the cost of a record's leaves in an edition, plus `closed` for the rest of it.

    With a `ceiling`, stop at the first value by which a field, or the record without its hashes, exceeds it.
    """
    model = edition.shipped()
    record, hashes, dearest, where = closed, 0, 0, None
    for kind, value, path in found:
        if kind == INSTANT:
            continue
        if (cost := HASH_COSTS.get(kind)) is not None:
            hashes += cost
            continue
        if kind == TEXT:
            cost = _label_cost(value, model)
        else:
            cost = _ip_cost(value) if kind == "ip" else coded(value, kind, model).charge
        record += cost
        if cost > dearest:
            dearest, where = cost, path
        if ceiling is not None and (cost > ceiling.field * BYTE or record > ceiling.record * BYTE):
            break
    return RecordCost(record, hashes, dearest, where)


@lru_cache(4096)
def _label_cost(text: str, model: Model) -> int:
    """Return the cost of a listed party, place or scheme. Most texts are such labels, and few differ."""
    return coded(text, TEXT, model).charge


def _ip_cost(text: str) -> int:
    return BIT + (128 * BIT if ":" in text else 32 * BIT)


class QuotaExceeded(RetryLater):
    """The party's daily quota has no room for a record or message before the next day."""

    def __init__(self, at: datetime) -> None:
        headers = {"Retry-After": str(seconds_to_midnight(at))}
        super().__init__("day_spent", "send it after 00:00 UTC, when the next daily quota begins", headers=headers)


def day_of(at: datetime) -> date:
    """Return the day whose quota a time belongs to. Days begin at 00:00 UTC."""
    return at.astimezone(UTC).date()


def check_budget(spent: RecordCost, *, limits: Limits = BUDGET, added: int = 0) -> None:
    """Refuse a cost above the ceiling, or above `limits`: the budget, or the ceiling for a second review.

    `added` bytes are reserved for later additions to the record. Raises `Refused`: `guard_over_ceiling` or
    `guard_over_budget`, with the rule, the cost and, if one field is too expensive, the field.
    """
    for bounds, code in ((CEILING, "guard_over_ceiling"), (limits, "guard_over_budget")):
        if spent.field > bounds.field * BYTE:
            _refuse(code, "one field", spent.field, limit=bounds.field, path=spent.path)
        if spent.record > (bounds.record - added) * BYTE:
            _refuse(code, "a record without its hashes", spent.record, limit=bounds.record - added)
        if spent.whole > (bounds.everything - added) * BYTE:
            _refuse(code, "a record", spent.whole, limit=bounds.everything - added)


def _refuse(code: str, what: str, cost: int, *, limit: int, path: Path = None) -> NoReturn:
    where = pointer(path) if path is not None else None
    mend = "submit the items in several referrals" if path is None else "remove parts that are not needed to find it"
    more = " or more" if code == "guard_over_ceiling" else ""  # charging stops there
    raise Refused(code, f"{what} may cost {limit} bytes, this costs {-(-cost // BYTE)}{more}: {mend}", field=where)
