"""A form for what an act takes: from the fields of its model, so that a new act needs no template of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Final, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, JsonValue

from shared.kernel.codes import ERRORS, find_remedy
from shared.kernel.errors import Refused
from shared.runtime.console.asked import Form
from shared.runtime.console.drawing import written_code
from shared.runtime.http.problems import InvalidFields

#: A list that nobody counts beforehand shows so many empty rows.
ROWS: Final = 3
_TICK: Final = "this"
#: Rules that are said in other words than their name's and their pattern's.
_SAID: Final = {"missing": "Fill this in", "string_pattern_mismatch": "Not of the form that is asked for here"}
#: Fields that are called in other words than their names.
_LABELS: Final = {"n": "Item number"}
#: The number of no item: what is said under it is said of each.
ALIKE: Final = 0


class Choice(NamedTuple):
    """One value of a list, and how it is shown."""

    value: str
    shown: str


class Input(NamedTuple):
    """One thing to fill in. `kind` is select, checks, text, lines, number, date, time or flag; `name` is its path.

    `path` as in `items.0.outcome`: the JSON pointer of an error, with dots.
    """

    path: str
    label: str
    kind: str
    required: bool
    choices: tuple[Choice, ...] = ()
    value: str = ""
    hint: str = ""


class Group(NamedTuple):
    """Inputs that belong together: a model in a model, or one row of a list. `fixed` is what is not asked again."""

    path: str
    label: str
    inputs: tuple[Input | Group, ...]
    fixed: tuple[Input, ...] = ()
    #: The name of the tick by which a row counts although nothing is filled in; empty where there is none.
    tick: str = ""


def inputs_of(model: type[BaseModel] | None, *, rows: Sequence[int] = ()) -> tuple[Input | Group, ...]:
    """What a form for `model` asks. `rows` are the numbers of the items that its lists have a row for, each.

    `ALIKE` alone is a row for all that nothing was said of.
    """
    return () if model is None else tuple(_inputs(model, "", rows))


def read_inputs(model: type[BaseModel], form: Form) -> dict[str, JsonValue]:
    """What was filled in, as the JSON that `model` is read from. What was left empty is left out."""
    return _read(model, "", form) or {}


def labels_of(inputs: Iterable[Input | Group]) -> dict[str, str]:
    """What each input and group is called on its page, by its path; one of a group after the group."""
    found: dict[str, str] = {}
    for each in inputs:
        found[each.path] = each.label
        if isinstance(each, Group):
            found |= {path: f"{each.label}, {label}" for path, label in labels_of(each.inputs).items()}
    return found


def problems_of(error: Refused, inputs: Sequence[Input | Group] = ()) -> list[tuple[str, str]]:
    """Where something is wrong, as the path of one of the `inputs`, and what: the rule and its remedy, never the value.

    The path is empty where none of them is meant.
    """
    if isinstance(error, InvalidFields):
        told = [(_path(each.field), said_of(each.rule, each.expected)) for each in error.errors]
    else:
        told = [(_path(error.field or ""), refused_as(error.code, error.detail))]
    known = labels_of(inputs)
    return [(_nearest(path, known) if known else path, said) for path, said in told]


def refused_as(code: str, detail: str) -> str:
    """A refusal in words: what is wrong, its code, and what helps."""
    remedy = find_remedy(code)
    helps = f" {remedy}" if remedy else ""
    return f"{detail or written_code(code)} ({code}).{helps}"


def _nearest(path: str, known: Mapping[str, str]) -> str:
    """The input that a path leads to: itself, the one that it lies in, or the first that lies in it."""
    above = [each for each in known if f"{path}.".startswith(f"{each}.")]
    below = [each for each in known if path and each.startswith(f"{path}.")]
    return max(above, key=len, default=next(iter(below), ""))


def _path(pointer: str) -> str:
    return pointer.strip("/").replace("/", ".")


def said_of(rule: str, expected: str | None) -> str:
    """A broken rule in words: never the value."""
    if rule in _SAID:
        return _SAID[rule]
    if (entry := ERRORS.get(rule)) is not None:
        return f"{entry.cause} {entry.remedy}"
    return f"{written_code(rule).capitalize()}: expected {expected}" if expected else written_code(rule).capitalize()


def _inputs(model: type[BaseModel], under: str, rows: Sequence[int]) -> Iterator[Input | Group]:
    for name, field in model.model_fields.items():
        path, label = f"{under}{name}", field.title or _LABELS.get(name) or written_code(name).capitalize()
        kind, entry = _kind(field.annotation)
        required = field.is_required()
        if isinstance(entry, type) and issubclass(entry, BaseModel) and kind == "list":
            yield from _rows(entry, path, label, rows=rows)
        elif isinstance(entry, type) and issubclass(entry, BaseModel):
            yield Group(path, label, tuple(_inputs(entry, f"{path}.", rows)))
        elif kind == "list":
            choices = _choices(entry)
            yield Input(path, label, "checks" if choices else "lines", required, choices, hint=field.description or "")
        else:
            default = field.default if isinstance(field.default, Enum | int) and not required else ""
            value = str(default.value if isinstance(default, Enum) else default)
            # What has a value already is not optional to look at.
            needed = required or bool(value)
            yield Input(path, label, _widget(entry), needed, _choices(entry), value, field.description or "")


def _rows(entry: type[BaseModel], path: str, label: str, *, rows: Sequence[int]) -> Iterator[Group]:
    """A row for each item where the list is one about items, else a few empty ones.

    Of several subjects alike nothing is asked that names something of one.
    """
    numbered = "n" in entry.model_fields and bool(rows)
    if not numbered and ALIKE in rows:
        return
    for place, number in enumerate(rows if numbered else range(1, ROWS + 1)):
        inputs = tuple(_inputs(entry, f"{path}.{place}.", ()))
        shown = "Every item" if number == ALIKE else f"Item {number}" if numbered else f"{label} {number}"
        asked = tuple(each for each in inputs if not (numbered and each.path.endswith(".n")))
        # Nothing is chosen for a row beforehand: one that is left empty says nothing of its item.
        blank = tuple(
            each._replace(required=False, value="" if each.kind == "select" else each.value)
            if isinstance(each, Input)
            else each
            for each in asked
        )
        fixed = (
            (Input(f"{path}.{place}.n", "", "number", True, value=str(number)),) if numbered and number != ALIKE else ()
        )
        tick = f"{path}.{place}.{_TICK}" if fixed and len(blank) == 1 else ""
        yield Group(f"{path}.{place}", shown, blank, fixed, tick)


def _kind(annotation: object) -> tuple[str, object]:
    """`list` or `one`, and of what."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin in (Union, UnionType):
        return _kind(next(each for each in arguments if each is not NoneType))
    if origin is tuple:
        return "list", _kind(arguments[0])[1]
    return "one", annotation


def _widget(entry: object) -> str:
    if _choices(entry):
        return "select"
    kinds: Mapping[object, str] = {bool: "flag", int: "number", date: "date", datetime: "time", AwareDatetime: "time"}
    return kinds.get(entry, "text")


def _choices(entry: object) -> tuple[Choice, ...]:
    if get_origin(entry) is Literal:
        return tuple(Choice(str(each), written_code(each)) for each in get_args(entry))
    if isinstance(entry, type) and issubclass(entry, Enum):
        return tuple(Choice(str(each.value), written_code(each.value)) for each in entry)
    return ()


def _read(model: type[BaseModel], under: str, form: Form) -> dict[str, JsonValue] | None:
    """None where nothing was filled in."""
    found: dict[str, JsonValue] = {}
    for name, field in model.model_fields.items():
        kind, entry = _kind(field.annotation)
        value = _value(kind, entry, f"{under}{name}", form=form)
        if value is not None:
            found[name] = value
    return found or None


def _value(kind: str, entry: object, path: str, *, form: Form) -> JsonValue:
    if isinstance(entry, type) and issubclass(entry, BaseModel):
        return _read_rows(entry, path, form) if kind == "list" else _read(entry, f"{path}.", form)
    said = [each.strip() for each in form.get(path, ()) if each.strip()]
    if kind == "list":
        lines = [line.strip() for each in said for line in each.splitlines() if line.strip()]
        return [_scalar(_widget(entry), line) for line in lines] or None
    return _scalar(_widget(entry), said[0]) if said else None


def _read_rows(entry: type[BaseModel], path: str, form: Form) -> list[JsonValue] | None:
    pattern = re.compile(rf"{re.escape(path)}\.([0-9]{{1,3}})\.")
    places = sorted({int(match[1]) for each in form if (match := pattern.match(each))})
    found = [(_read(entry, f"{path}.{place}.", form), f"{path}.{place}.{_TICK}" in form) for place in places]
    # The number alone says nothing: that row was left empty, unless it was ticked.
    return [each for each, ticked in found if each and (ticked or set(each) - {"n", "round"})] or None


def _scalar(widget: str, said: str) -> JsonValue:
    """As JSON has it. What is no number stays text: the model says what is wrong with it."""
    if widget == "number" and re.fullmatch(r"-?[0-9]{1,18}", said):
        return int(said)
    if widget == "flag":
        return said == "on"
    if widget == "time" and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?", said):
        return f"{said}:00Z" if len(said) == len("0000-00-00T00:00") else f"{said}Z"
    return said
