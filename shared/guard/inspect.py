"""Runs the stages over a validated record. The order is the price: what is cheap refuses first."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from shared.guard.budget import ADDED, BUDGET, CEILING, Charged, Limits, charged, check_budget
from shared.guard.edition import Edition, own
from shared.guard.leaves import leaves
from shared.guard.rules import check_rules
from shared.guard.url_redaction import check_kept

Stage = Literal["rules", "budget"]
ALL_STAGES: frozenset[Stage] = frozenset({"rules", "budget"})


def inspect(
    record: BaseModel,
    *,
    now: datetime | None = None,
    limits: Limits = BUDGET,
    edition: Edition | None = None,
    stages: frozenset[Stage] = ALL_STAGES,
) -> Charged:
    """What `record` costs. Refuse it if a value breaks the rules of its kind, or if it could say more than `limits`.

    `record` has passed its schema. `now` is given at ingress: it bounds instants, and keeps room for what the origin's
    service adds. `edition` is the one that it was sent under; without it, today's. `stages` is narrowed only by tests
    that show what each stage is for.

    Raises `Refused` with code `guard_…` and the pointer of the field, never its value.
    """
    edition = edition or own()
    found, closed = leaves(record)
    if "rules" in stages:
        check_rules(found, now, edition)
        check_kept(record, edition)
    spent = charged(found, closed, edition, ceiling=CEILING if "budget" in stages else None)
    if "budget" in stages:
        check_budget(spent, limits=limits, added=0 if now is None else ADDED)
    return spent


def cost(record: BaseModel) -> Charged:
    """What `record` costs. Its values have passed the rules."""
    return charged(*leaves(record), own())
