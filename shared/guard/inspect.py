"""Runs the stages over a validated record. The order is the price: what is cheap refuses first."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from shared.guard.capacity import Capacity, check_capacity, measure_capacity
from shared.guard.leaves import leaves
from shared.guard.parts import split
from shared.guard.recognise import check_content
from shared.guard.rules import check_rules

Stage = Literal["rules", "capacity", "recognise"]
ALL_STAGES: frozenset[Stage] = frozenset({"rules", "capacity", "recognise"})


def inspect(record: BaseModel, *, now: datetime | None = None, stages: frozenset[Stage] = ALL_STAGES) -> None:
    """Refuse `record` if a value breaks the rules of its kind, has room for a file, or decodes to one.

    `record` has passed its schema. Success does not mean that nothing is hidden: encrypted bytes fit in what
    the budgets leave, at most `RECORD_BYTES_MAX`. `now` is given where instants are to be bounded (at ingress).
    `stages` is narrowed only by tests that show what each stage is for.

    Raises `Refused` with code `guard_<stage>_<rule>` and the pointer of the field, never its value.
    """
    texts = split(*leaves(record))
    if "rules" in stages:
        check_rules(texts, now)
    if "capacity" in stages:
        check_capacity(texts)
    if "recognise" in stages:
        check_content(texts)


def capacity(record: BaseModel) -> Capacity:
    """How many bytes `record` could carry at most, and how much of its text is opaque."""
    return measure_capacity(split(*leaves(record)))
