"""The verbs of a party: made from the rows of `verbs.json`, or written by hand.

`group(NAME)` is the program of one group of verbs. `client.cli.verbs:NAME` names it too, for a program that loads verbs
when they are called. The `call` of a row is an act (`case.accept`) or a method and a path. Its `words` and `options`
become fields of the body, or of the query.
"""

from __future__ import annotations

import inspect
import json
import operator
from collections.abc import Awaitable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Final, Literal, NotRequired, Protocol, TypedDict
from uuid import UUID

from cyclopts import App, Parameter
from cyclopts.types import NonNegativeInt, PositiveInt

from client.cli import output
from client.cli.settings import Options

if TYPE_CHECKING:
    from enum import StrEnum


_TABLE: Final = Path(__file__).with_name("verbs.json")
#: Options that are no fields: the service does not see them.
OWN: Final = frozenset({"options", "limit", "out"})


class Word(TypedDict):
    """A word or an option: its type, `*` behind it if it may be repeated, and the `field` that it becomes."""

    type: str
    help: NotRequired[str]
    required: NotRequired[bool]
    default: NotRequired[str | int]
    field: NotRequired[str]
    name: NotRequired[str]


class Statements(TypedDict):
    """How words become a list: the fields by their vocabularies, and the options that belong to some of them."""

    list: str
    fields: NotRequired[Mapping[str, str]]
    beside: NotRequired[Mapping[str, Sequence[str]]]
    form: NotRequired[str]
    usual: NotRequired[str]
    now: NotRequired[str]


class Row(TypedDict):
    """One verb."""

    help: str
    call: str
    words: NotRequired[Mapping[str, Word]]
    options: NotRequired[Mapping[str, Word]]
    common: NotRequired[Sequence[str]]
    limit: NotRequired[Word]
    always: NotRequired[Mapping[str, str]]
    instead: NotRequired[Mapping[str, str]]
    statements: NotRequired[Statements]
    wanted: NotRequired[str]
    vocabularies: NotRequired[Sequence[str]]
    accept: NotRequired[str]
    shows: NotRequired[str]
    lines: NotRequired[Sequence[str]]
    rows: NotRequired[str]
    columns: NotRequired[Mapping[str, str]]
    bare: NotRequired[bool]


class Group(TypedDict):
    """Verbs under one word; the verb without a name is the word itself. A text names a verb that is written by hand."""

    help: str
    verbs: Mapping[str, Row | str]


class Table(TypedDict):
    """The whole file; `common` has options that several verbs take."""

    common: Mapping[str, Mapping[str, Word]]
    groups: Mapping[str, Group]


@cache
def table() -> Table:
    """All verbs."""
    read: Table = json.loads(_TABLE.read_text(encoding="utf-8"))
    return read


def parameters(row: Row) -> Mapping[str, Word]:
    """The words and options of a verb, by their names."""
    common = [table()["common"][each] for each in row.get("common", ())]
    return {
        name: each for some in (row.get("words", {}), row.get("options", {}), *common) for name, each in some.items()
    }


def vocabulary(name: str) -> type[StrEnum]:
    """The codes of `answers.CaseOutcome`: a class of `shared.vocabulary`."""
    found: type[StrEnum] = resolve_name(f"shared.vocabulary.{name}")
    return found


_TYPES: Final[Mapping[str, object]] = {
    "text": str,
    "id": UUID,
    "integer": int,
    "count": PositiveInt,
    "number": NonNegativeInt,
    "date": date,
    "time": datetime,
    "flag": Annotated[bool, Parameter(negative="")],
    "path": Path,
    "p0": Literal["p0"],
}


class Verb(Protocol):
    """A function that the program can call. Its signature has the words and options."""

    def __call__(self, *words: object, **options: object) -> Awaitable[int]: ...


def __getattr__(name: str) -> App:
    """The program of a group, by its name. Raises `AttributeError` where there is none."""
    if name not in table()["groups"]:
        raise AttributeError(name)
    return group(name)


@cache
def group(name: str) -> App:
    """The program of one group of verbs."""
    app = App(name=name, help=table()["groups"][name]["help"])
    for word, row in table()["groups"][name]["verbs"].items():
        verb: Verb = resolve_name(row) if isinstance(row, str) else made(row)
        app.command(verb, name=word) if word else app.default(verb)
    return app


def made(row: Row) -> Verb:
    """A row as a function that the program can call."""

    async def verb(*words: object, **options: object) -> int:
        said = signature.bind(*words, **options)
        said.apply_defaults()
        return await _run(row, said.arguments, said.arguments["options"])

    signature = inspect.Signature([*_parameters(row)])
    verb.__doc__ = row["help"]
    verb.__annotations__ = {name: each.annotation for name, each in signature.parameters.items()}
    verb.__signature__ = signature  # type: ignore[attr-defined]
    return verb


def _parameters(row: Row) -> list[inspect.Parameter]:
    words = row.get("words", {})
    found = [_parameter(name, word, is_word=name in words) for name, word in parameters(row).items()]
    if "limit" in row:
        found.append(_parameter("limit", row["limit"], is_word=False))
    return [*found, inspect.Parameter("options", inspect.Parameter.KEYWORD_ONLY, default=Options(), annotation=Options)]


def _parameter(name: str, word: Word, *, is_word: bool) -> inspect.Parameter:
    """A parameter of a verb's function. A word is known by its place, an option by its name."""
    repeated, named = word["type"].endswith("*"), word["type"].removesuffix("*")
    found = vocabulary(named) if "." in named else _TYPES[named]
    default: object = word.get("default")
    if "." in named and default is not None:
        default = vocabulary(named)(str(default))
    shown = Parameter(name=word.get("name"), help=word.get("help"))
    if is_word:
        place = inspect.Parameter.VAR_POSITIONAL if repeated else inspect.Parameter.POSITIONAL_ONLY
        return inspect.Parameter(name, place, annotation=Annotated[found, shown])
    kind = inspect.Parameter.KEYWORD_ONLY
    if repeated:
        return inspect.Parameter(name, kind, default=(), annotation=Annotated[GenericAlias(Sequence, (found,)), shown])
    if word.get("required"):
        return inspect.Parameter(name, kind, annotation=Annotated[found, shown])
    optional = found if default is not None else operator.or_(found, None)
    return inspect.Parameter(name, kind, default=default, annotation=Annotated[optional, shown])


async def _run(row: Row, said: Mapping[str, object], options: Options) -> int:
    async with output.service(options) as client:
        from client.cli.request import perform
        from client.cli.shown import show

        return show(row, await perform(client, row, said, is_json=options.json), said, options=options)
