"""The commands of a party, made from the rows of `verb_table`, and those that are written by hand.

`group(NAME)` is the program of one group of commands. `client.cli.verbs:NAME` names it too, for a program that loads
commands when they are called.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Awaitable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from types import GenericAlias
from typing import Annotated, Final, Literal, Protocol
from uuid import UUID

from cyclopts import App, Parameter
from cyclopts.types import NonNegativeInt, PositiveInt

from client.cli import output
from client.cli.settings import ClientOptions
from client.cli.verb_table import VerbRow, VerbWord, parameters, table, vocabulary

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
    """Return the program of a group, by its name. Raises `AttributeError` if there is none."""
    if name not in table()["groups"]:
        raise AttributeError(name)
    return group(name)


@cache
def group(name: str) -> App:
    """Return the program of one group of commands."""
    app = App(name=name, help=table()["groups"][name]["help"])
    for word, row in table()["groups"][name]["verbs"].items():
        verb: Verb = resolve_name(row) if isinstance(row, str) else made(row)
        app.command(verb, name=word) if word else app.default(verb)
    return app


def made(row: VerbRow) -> Verb:
    """Return a row as a function that the program can call."""

    async def verb(*words: object, **options: object) -> int:
        bound = signature.bind(*words, **options)
        bound.apply_defaults()
        return await _run(row, bound.arguments, bound.arguments["options"])

    signature = inspect.Signature([*_parameters(row)])
    verb.__doc__ = row["help"]
    verb.__annotations__ = {name: each.annotation for name, each in signature.parameters.items()}
    verb.__signature__ = signature  # type: ignore[attr-defined]
    return verb


def _parameters(row: VerbRow) -> list[inspect.Parameter]:
    words = row.get("words", {})
    found = [_parameter(name, word, is_word=name in words) for name, word in parameters(row).items()]
    if "limit" in row:
        found.append(_parameter("limit", row["limit"], is_word=False))
    return [
        *found,
        inspect.Parameter("options", inspect.Parameter.KEYWORD_ONLY, default=ClientOptions(), annotation=ClientOptions),
    ]


def _parameter(name: str, word: VerbWord, *, is_word: bool) -> inspect.Parameter:
    """Return a parameter of a command's function. A word is passed by position, an option by name."""
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


async def _run(row: VerbRow, arguments: Mapping[str, object], options: ClientOptions) -> int:
    async with output.service(options) as client:
        from client.cli.request import perform
        from client.cli.shown import show

        return show(row, await perform(client, row, arguments, is_json=options.json), arguments, options=options)
