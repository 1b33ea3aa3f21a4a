"""Inspection of a validated record in stages, the cheapest stage first."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from shared.core.guard.budget import ADDED, BUDGET, CEILING, Limits, RecordCost, charged, check_budget
from shared.core.guard.edition import GuardVersion, own
from shared.core.guard.leaves import leaves
from shared.core.guard.rules import check_rules
from shared.core.guard.url_redaction import check_kept


def inspect(
    record: BaseModel,
    *,
    now: datetime | None = None,
    limits: Limits = BUDGET,
    edition: GuardVersion | None = None,
) -> RecordCost:
    """Return the cost of `record`.

    Raise if a value breaks the rules of its kind, or the cost exceeds `limits`. `record` has passed its schema. `now`
    is given at intake: it limits instants, and reserves room for the additions of the origin's service. `edition` is
    that of the sender; the default is the current one.

    Raises `Refused` with code `guard_…` and the pointer of the field, never its value.
    """
    edition = edition or own()
    found, closed = leaves(record)
    check_rules(found, now, edition)
    check_kept(record, edition)
    spent = charged(found, closed, edition, ceiling=CEILING)
    check_budget(spent, limits=limits, added=0 if now is None else ADDED)
    return spent


def cost(record: BaseModel) -> RecordCost:
    """Return the cost of `record`, whose values have passed the rules."""
    return charged(*leaves(record), own())
