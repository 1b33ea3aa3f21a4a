"""Walk of a validated model instance.

It yields texts and instants, and adds up the cost of all other values. A plan is compiled once per model class. It
costs choices, numbers, times and lengths; `charge` costs texts.

The costs are those of a prefix code of the record, in the order of the model's fields. It has one bit for the presence
of each optional member, the length of each list, and each value at the size of its type.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Iterator
from datetime import date, datetime
from enum import Enum
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from shared.core.contracts.fields import ValueKind
from shared.core.guard.charge import BIT, choices

#: A path is a linked list, so that the JSON pointer is built only for an error.
Path = tuple["Path", str | int] | None

#: The kind of a leaf: a `KindName`, or one of these for values without a `ValueKind`. `CLOSED` values are never leaves.
TEXT, INSTANT, CLOSED = "text", "instant", "closed"

#: The cost of a value of a type: milliseconds over 69 years, a day of any year, all bits of a UUID.
_INSTANT_COST: Final = 41 * BIT
_DAY_COST: Final = choices(date.max.toordinal())
_UUID_COST: Final = 128 * BIT


#: One text or instant: its kind, its value and its path.
Leaf = tuple[str, Any, Path]


class WalkStep(NamedTuple):
    """One field of a model to visit: its name, its kind of value, and the cost of each without its text."""

    name: str
    kind: str  # "" for values that are models themselves
    cost: int


class WalkPlan(NamedTuple):
    """The plan for walking a model: the fields to visit, and the fixed cost of an instance.

    The fixed cost is for single choices, the presence of members and the lengths of lists.
    """

    steps: tuple[WalkStep, ...]
    cost: int


def leaves(record: BaseModel) -> tuple[list[Leaf], int]:
    """Return all present texts and instants of `record`, in the model's order, and the cost of the rest.

    The cost is in sixteenths of a bit.
    """
    found: list[Leaf] = []
    return found, _walk(record, None, found)


def pointer(path: Path) -> str:
    """Return the JSON pointer of `path` (RFC 6901).

    It contains declared names and indices only, never input.
    """
    parts: list[str] = []
    while path is not None:
        path, part = path
        parts.append(str(part))
    return "".join(f"/{part}" for part in reversed(parts))


def _walk(record: Any, path: Path, found: list[Leaf]) -> int:
    values = record._asdict() if issubclass(record.__class__, tuple) else record.__dict__
    steps, spent = plan(record.__class__)
    for name, kind, cost in steps:
        value = values[name]
        if value is None:
            continue
        here = (path, name)
        if type(value) is tuple or type(value) is list:
            spent += cost * len(value)
            if not kind:
                for index, member in enumerate(value):
                    spent += _walk(member, (here, index), found)
            elif kind != CLOSED:
                found.extend([(kind, member, (here, index)) for index, member in enumerate(value)])
        else:
            spent += cost
            if not kind:
                spent += _walk(value, here, found)
            elif kind != CLOSED:
                found.append((kind, value, here))
    return spent


@functools.cache
def plan(model: type) -> WalkPlan:
    """Return the plan for walking instances of `model`, a Pydantic model or a named tuple.

    Raises `TypeError` for a field without a defined cost.
    """
    steps: list[WalkStep] = []
    spent = 0
    for name, annotation, metadata in _members(model):
        roles = sorted(set(_roles(annotation, metadata)))
        if not roles:
            continue
        kind, cost = roles[0]
        if any(other != kind for other, _ in roles):
            raise TypeError(f"{model.__name__}.{name} mixes kinds of values: the guard needs one")
        spent += BIT * (type(None) in typing.get_args(annotation))
        if kind == "":  # the choice of the model
            cost = choices(len(roles))
        if (longest := _longest(annotation, metadata)) is not None:
            spent += choices(longest + 1)
        elif kind == CLOSED and type(None) not in typing.get_args(annotation):
            spent += cost
            continue
        steps.append(WalkStep(name, kind, cost))
    return WalkPlan(tuple(steps), spent)


def _members(model: type) -> Iterator[tuple[str, object, tuple[object, ...]]]:
    if issubclass(model, BaseModel):
        for name, field in model.model_fields.items():
            yield name, field.annotation, tuple(field.metadata)
    else:
        for name, annotation in typing.get_type_hints(model, include_extras=True).items():
            yield name, annotation, ()


def _bound(metadata: tuple[object, ...], name: str) -> int | None:
    """Return a bound among the marks of a type. Pydantic's `Field` collects several marks."""
    marks = [each for mark in metadata for each in (mark.metadata if isinstance(mark, FieldInfo) else (mark,))]
    return next((getattr(mark, name) for mark in marks if getattr(mark, name, None) is not None), None)


def _longest(annotation: object, metadata: tuple[object, ...]) -> int | None:
    """Return the maximum length of a list; None for other types."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _longest(arguments[0], arguments[1:])
    if origin in (tuple, list):
        if (longest := _bound(metadata, "max_length")) is None:
            raise TypeError("the guard needs a bound for each list")
        return longest
    return next((found for each in arguments if (found := _longest(each, ())) is not None), None)


def _roles(annotation: object, metadata: tuple[object, ...]) -> Iterator[tuple[str, int]]:
    """Yield the kinds of value that an annotation allows, as (kind, cost).

    Literals with one value have no cost. A union of models yields one entry for each model, distinguished by position.
    """
    marks = [mark for mark in metadata if isinstance(mark, ValueKind)]
    if marks:
        yield marks[0].name, 0
        return
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        yield from _roles(arguments[0], (*arguments[1:],))
    elif origin in (typing.Union, types.UnionType, tuple, list):
        for place, argument in enumerate(arguments):
            if argument not in (type(None), Ellipsis):
                yield from (
                    (kind, cost or place) if kind == "" else (kind, cost) for kind, cost in _roles(argument, ())
                )
    elif origin is Literal:
        if len(arguments) > 1:
            yield CLOSED, choices(len(arguments))
    else:
        yield from _scalar_role(annotation, metadata)


def _scalar_role(annotation: object, metadata: tuple[object, ...]) -> Iterator[tuple[str, int]]:
    if not isinstance(annotation, type):
        raise TypeError("the guard cannot look into this annotation")
    if issubclass(annotation, BaseModel) or (issubclass(annotation, tuple) and hasattr(annotation, "_fields")):
        yield "", 0
    elif issubclass(annotation, Enum):
        yield CLOSED, choices(len(annotation))
    elif issubclass(annotation, bool):
        yield CLOSED, BIT
    elif issubclass(annotation, str):
        yield TEXT, 0
    elif issubclass(annotation, int):
        least, most = _bound(metadata, "ge"), _bound(metadata, "le")
        if least is None or most is None:
            raise TypeError("the guard needs both bounds of a number")
        yield CLOSED, choices(most - least + 1)
    elif annotation is AwareDatetime or issubclass(annotation, datetime):
        yield INSTANT, _INSTANT_COST
    elif issubclass(annotation, date):
        yield CLOSED, _DAY_COST
    elif issubclass(annotation, UUID):
        yield CLOSED, _UUID_COST
    else:
        raise TypeError(f"the guard cannot look into {annotation.__name__}")
