"""The guard's charge for a record besides its texts, model by model. Each edition's charges are stored."""

from __future__ import annotations

from inspect import isclass
from typing import Any, get_args

from shared.catalog import CATALOG
from shared.core.contracts.base import Contract
from shared.core.contracts.referral import EdgeSealed
from shared.core.contracts.registry import Family
from shared.core.guard.leaves import plan


def charges() -> dict[str, Any]:
    """Return the charge of each model and field besides its texts, in sixteenths of a bit.

    It follows from the models: the number of codes in a list, the maximum length of a list, and optional members.
    """
    sealed = [
        message.sealed
        for message in CATALOG.messages
        if message.sealed is not None and message.family is not Family.FACT
    ]
    found: dict[str, Any] = {}
    for each in sealed:
        _charge(each.model_fields["record"].annotation if issubclass(each, EdgeSealed) else each, found)
    return found


def _charge(annotation: Any, found: dict[str, Any]) -> None:
    if isclass(annotation) and issubclass(annotation, Contract) and annotation.__name__ not in found:
        steps, cost = plan(annotation)
        found[annotation.__name__] = {"cost": cost, "fields": [list(step) for step in steps]}
        for field in annotation.model_fields.values():
            _charge(field.annotation, found)
    for argument in get_args(annotation):
        _charge(argument, found)
