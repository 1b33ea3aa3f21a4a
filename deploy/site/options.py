"""An operator's command: its options, output and exit code (0 good, 1 a fault, 2 a wrong call)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from cyclopts import App, Parameter

from client.cli import output


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class PlainOptions:
    """Options of every command."""

    json: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Print one JSON document instead of text."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Options(PlainOptions):
    """Options of every command that acts on a site."""

    site: Path | None = None
    """Site file of the installation. Without it, CAUSEWAY_SITE."""
    state: Path | None = None
    """State directory of a development stack, instead of a site file. Without either, CAUSEWAY_DEV_STATE_DIR."""


OPTIONS: Final = Options()
PLAIN: Final = PlainOptions()
#: Turns a coded error into a message and an exit code.
exit_on_coded_error = output.exit_on_coded_error


class Listing(NamedTuple):
    """Rows for a person, with the names of their columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]

    @classmethod
    def of(cls, columns: Sequence[str], found: Sequence[Mapping[str, object]]) -> Listing:
        """Return these members of documents as rows."""
        return cls(columns, [[each[column] for column in columns] for each in found])


class Output(NamedTuple):
    """A command's output: a document for programs, lines and tables for people, and whether all is good."""

    document: object
    text: Sequence[str | Listing] = ()
    well: bool = True


Verb = Callable[..., Output | Coroutine[object, object, Output]]


def framed(act: Verb) -> Callable[..., int]:
    """Make a command print its result, in the form of its `options`, and end with an exit code."""

    @wraps(act)
    def ended(*words: object, options: PlainOptions = OPTIONS, **named: object) -> int:
        with exit_on_coded_error(options):
            made = act(*words, options=options, **named)
            printed = made if isinstance(made, Output) else asyncio.run(made)
            if options.json and printed.document is not None:
                output.document(printed.document)
            for each in () if options.json else printed.text:
                output.line(each) if isinstance(each, str) else output.table(*each)
            return output.DONE if printed.well else output.FAILED

    return ended


def verb(app: App, name: str | None = None) -> Callable[[Verb], Verb]:
    """Make a function a command of this program, under its own name or another."""

    def registered(act: Verb) -> Verb:
        app.command(framed(act), name=name)
        return act

    return registered
