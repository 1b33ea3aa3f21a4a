"""What a record costs, and how much it may: the bound on what any record can carry.

The costs of all values, added up, are the length of a prefix code of the whole record (`charge`, `leaves`). Hence at
most 2^(8 B) records cost B bytes or less, and a record within its budget carries no more than that, whoever encodes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple, NoReturn

from shared.guard.charge import BIT, BYTE, Model, coded
from shared.guard.edition import Edition
from shared.guard.leaves import INSTANT, TEXT, Leaf, Path, pointer
from shared.kernel.errors import Refused

#: Hashes cost the bits that they have; which of them are there is charged by the walk.
HASH_COSTS: Final = {
    "md5": 128 * BIT,
    "sha1": 160 * BIT,
    "sha256": 256 * BIT,
    "tmk_pdqf": 256 * BIT,
    "pdq": 256 * BIT,
    "photodna": 1_152 * BIT,
}


class Limits(NamedTuple):
    """Bytes of one field, of a record without its hashes, and of all of it."""

    field: int
    record: int
    everything: int


#: What a record may cost; and what it can cost at most, if a second person releases it.
BUDGET: Final = Limits(320, 1_536, 4_096)
CEILING: Final = Limits(640, 2_560, 4_096)
#: What an origin's service adds to what is filed: the numbers of items, and a notice's language.
ADDED: Final = 16


class Charged(NamedTuple):
    """What a record costs, in sixteenths of a bit: without hashes, these, and its dearest field and where that is."""

    record: int
    hashes: int
    field: int
    path: Path

    def within(self, limits: Limits, *, added: int = 0) -> bool:
        """Whether it costs no more than that. `added` as in `check_budget`."""
        record = (limits.record - added) * BYTE
        everything = (limits.everything - added) * BYTE
        return self.field <= limits.field * BYTE and self.record <= record and self.record + self.hashes <= everything


def charged(found: list[Leaf], closed: int, edition: Edition, *, ceiling: Limits | None = None) -> Charged:
    """Charge the leaves of a record by an edition; the rest of it costs `closed`.

    With a `ceiling`, stop at the first value by which a field, or the record without its hashes, is over it.
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
    return Charged(record, hashes, dearest, where)


@lru_cache(4096)
def _label_cost(text: str, model: Model) -> int:
    """What a listed party, place or scheme costs: most texts are such labels, and there are few different ones."""
    return coded(text, TEXT, model).charge


def _ip_cost(text: str) -> int:
    return BIT + (128 * BIT if ":" in text else 32 * BIT)


def check_budget(spent: Charged, *, limits: Limits = BUDGET, added: int = 0) -> None:
    """Refuse what is over the ceiling, or over `limits`: the budget, or the ceiling where a second person decides.

    `added` bytes are kept for what will be added to the record. Raises `Refused`: `guard_over_ceiling` or
    `guard_over_budget`, with rule and figure, and the field if one is over.
    """
    everything = spent.record + spent.hashes
    for bounds, code in ((CEILING, "guard_over_ceiling"), (limits, "guard_over_budget")):
        if spent.field > bounds.field * BYTE:
            _refuse(code, "one field", spent.field, limit=bounds.field, path=spent.path)
        if spent.record > (bounds.record - added) * BYTE:
            _refuse(code, "a record without its hashes", spent.record, limit=bounds.record - added)
        if everything > (bounds.everything - added) * BYTE:
            _refuse(code, "a record", everything, limit=bounds.everything - added)


def _refuse(code: str, what: str, cost: int, *, limit: int, path: Path = None) -> NoReturn:
    where = pointer(path) if path is not None else None
    mend = "file the items in several referrals" if path is None else "leave out what is not needed to find it"
    more = " or more" if code == "guard_over_ceiling" else ""  # charging stops there
    raise Refused(code, f"{what} may cost {limit} bytes, this costs {-(-cost // BYTE)}{more}: {mend}", field=where)
