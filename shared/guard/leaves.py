"""Walks a validated model instance down to its scalar values, by a plan compiled once per model class."""

from __future__ import annotations

import functools
import math
import types
import typing
from collections.abc import Iterator
from datetime import date, datetime
from enum import Enum
from typing import Any, Literal, NamedTuple
from uuid import UUID

from pydantic import AwareDatetime, BaseModel

from shared.contracts.fields import Kind

#: A path is a linked list, so that the JSON pointer is only written when a refusal needs it.
Path = tuple[Any, str | int] | None

#: What a leaf is: a `KindName`, or one of these for values that no `Kind` marks.
TEXT, INTEGER, INSTANT, DAY, IDENTIFIER, CHOICE = "text", "integer", "instant", "day", "identifier", "choice"

#: The most bits that a value of a closed type can carry (an instant: milliseconds over 40 years).
CLOSED_BITS = {INSTANT: 41.0, DAY: 14.0, IDENTIFIER: 122.0}


#: One scalar value that is not a choice: its kind, the value, and where it is.
Leaf = tuple[str, Any, Path]


class Step(NamedTuple):
    """One field of a model to look into: its name, and the kind of its values. `bits` are those of one choice."""

    name: str
    kind: str  # "" for values that are models themselves
    bits: float


class Plan(NamedTuple):
    """How to walk a model: the fields to look into, and the bits of its single choices, present or not."""

    steps: tuple[Step, ...]
    choice_bits: float


def leaves(record: BaseModel) -> tuple[list[Leaf], float]:
    """All scalar values of `record` that are present, in the order in which the model declares them.

    Choices hold nothing to look at: of them there is only the sum of the bits that choosing can carry.
    """
    found: list[Leaf] = []
    return found, _walk(record, None, found)


def pointer(path: Path) -> str:
    """The JSON pointer of `path` (RFC 6901). Made of declared names and indices only, never of input."""
    parts: list[str] = []
    while path is not None:
        path, part = path
        parts.append(str(part))
    return "".join(f"/{part}" for part in reversed(parts))


def _walk(record: Any, path: Path, found: list[Leaf]) -> float:
    values = record.__dict__ if isinstance(record, BaseModel) else record._asdict()
    steps, choice_bits = plan(record.__class__)
    for name, kind, bits in steps:
        value = values[name]
        if value is None:
            continue
        here = (path, name)
        if type(value) is tuple or type(value) is list:
            if kind == CHOICE:
                choice_bits += bits * len(value)
            elif kind:
                found.extend([(kind, member, (here, index)) for index, member in enumerate(value)])
            else:
                for index, member in enumerate(value):
                    choice_bits += _walk(member, (here, index), found)
        elif kind:
            found.append((kind, value, here))
        else:
            choice_bits += _walk(value, here, found)
    return choice_bits


@functools.cache
def plan(model: type) -> Plan:
    """How to walk instances of `model`, a Pydantic model or a named tuple.

    Raises `TypeError` for a field that nobody could inspect.
    """
    steps: list[Step] = []
    choice_bits = 0.0
    for name, annotation, metadata in _members(model):
        roles = set(_roles(annotation, metadata))
        if not roles:
            continue
        if len(roles) != 1:
            raise TypeError(f"{model.__name__}.{name} mixes kinds of values: the guard needs one")
        ((kind, bits),) = roles
        if kind == CHOICE and not _is_list(annotation):
            choice_bits += bits
        else:
            steps.append(Step(name, kind, bits))
    return Plan(tuple(steps), choice_bits)


def _members(model: type) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    if issubclass(model, BaseModel):
        for name, field in model.model_fields.items():
            yield name, field.annotation, tuple(field.metadata)
    else:
        for name, annotation in typing.get_type_hints(model, include_extras=True).items():
            yield name, annotation, ()


def _is_list(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (tuple, list) or any(map(_is_list, typing.get_args(annotation)))


def _roles(annotation: Any, metadata: tuple[Any, ...]) -> Iterator[tuple[str, float]]:
    """The kinds of value an annotation allows, as (kind, bits). Single-valued literals carry nothing: left out."""
    marks = [mark for mark in metadata if isinstance(mark, Kind)]
    if marks:
        yield marks[0].name, 0.0
        return
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        yield from _roles(arguments[0], (*arguments[1:],))
    elif origin in (typing.Union, types.UnionType, tuple, list):
        for argument in arguments:
            if argument not in (type(None), Ellipsis):
                yield from _roles(argument, ())
    elif origin is Literal:
        if len(arguments) > 1:
            yield CHOICE, math.log2(len(arguments))
    else:
        yield from _scalar_role(annotation)


def _scalar_role(annotation: Any) -> Iterator[tuple[str, float]]:
    if not isinstance(annotation, type):
        raise TypeError("the guard cannot look into this annotation")
    if issubclass(annotation, BaseModel) or (issubclass(annotation, tuple) and hasattr(annotation, "_fields")):
        yield "", 0.0
    elif issubclass(annotation, Enum):
        yield CHOICE, math.log2(max(len(annotation), 2))
    elif issubclass(annotation, bool):
        yield CHOICE, 1.0
    elif issubclass(annotation, str):
        yield TEXT, 0.0
    elif issubclass(annotation, int):
        yield INTEGER, 0.0
    elif annotation is AwareDatetime or issubclass(annotation, datetime):
        yield INSTANT, 0.0
    elif issubclass(annotation, date):
        yield DAY, 0.0
    elif issubclass(annotation, UUID):
        yield IDENTIFIER, 0.0
    else:
        raise TypeError(f"the guard cannot look into {annotation.__name__}")
