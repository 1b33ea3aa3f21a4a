"""What a verb prints and how it ends: 0 done, 1 refused or failed, 2 the call itself is wrong."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, TypeVar

from client.cli.settings import Options, access, write_private
from client.problem import ApiProblem, OptionsRefused
from shared.kernel import codes
from shared.kernel.clock import rfc3339
from shared.kernel.codes import RULES
from shared.kernel.errors import CausewayError, Refused

if TYPE_CHECKING:
    from cyclopts import CycloptsError
    from rich.panel import Panel

    from client.api import CausewayClient
    from client.views import Page


DONE = 0
FAILED = 1
WRONG_CALL = 2
INTERRUPTED = 130
#: The most items of one page.
PAGE_MAX = 200
#: Between two columns at a terminal.
_GAP = 2
#: A space at which no line ends.
_KEPT = "\xa0"

ItemT = TypeVar("ItemT")


class Asked(Protocol):
    """The options of a verb, a party's or the operator's."""

    @property
    def json(self) -> bool: ...


def document(value: object) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def kept(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, in one step; then say where it is."""
    line(str(write_private(path, content)))


def line(text: str) -> None:
    """Print one line on standard output."""
    print(text)


def at_a_terminal() -> bool:
    """Whether a person reads, and no program."""
    return sys.stdout.isatty()


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: fitted to a terminal, tab-separated for anything else. Cells are text, never markup.

    Where a terminal is too narrow for it, each row is a paragraph, under its first cell: no word is broken.
    """
    texts = [[_text(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [list(columns), *texts]:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    widths = [max(map(len, cells)) for cells in zip(columns, *texts, strict=True)]
    if sum(widths) + _GAP * len(widths) > console.width:
        for row in texts:
            print("\n".join(_paragraph(columns, row, width=console.width)))
        return
    drawn = Table(box=None, pad_edge=False)
    for column in columns:
        drawn.add_column(column, no_wrap=True)
    for row in texts:
        drawn.add_row(*map(Text, row))
    console.print(drawn)


def _paragraph(columns: Sequence[str], row: Sequence[str], *, width: int) -> list[str]:
    """A row in lines: its first cell, then each other that says something, after the name of its column."""
    told = [f"{column}:{_KEPT}{cell}" for column, cell in zip(columns[1:], row[1:], strict=True) if cell]
    lines = textwrap.wrap("  ".join(told), width - 2, break_on_hyphens=False)
    return [row[0], *(f"  {each}".replace(_KEPT, " ") for each in lines)]


def _text(cell: object) -> str:
    if isinstance(cell, datetime):
        return rfc3339(cell)
    return "" if cell is None else str(cell)


async def first(pages: AsyncIterator[Page[ItemT]], limit: int) -> list[ItemT]:
    """The first items of a paged list, at most `limit`."""
    found: list[ItemT] = []
    async for page in pages:
        found.extend(page.items[: limit - len(found)])
        if len(found) == limit:
            break
    return found


@asynccontextmanager
async def service(options: Options) -> AsyncIterator[CausewayClient]:
    """A client for what the options and the environment name. Ends the program with a coded line on any failure."""
    with ending(options):
        found = access(options)
        from client.api import CausewayClient

        async with CausewayClient(found.url, found.key, ca_file=found.ca_file) as client:
            yield client


@contextmanager
def ending(options: Asked) -> Iterator[None]:
    """Turns a coded failure inside it, or of a file, into a message and an exit code."""
    with coded(options):
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Refused("file_unusable", error.strerror or "") from None


@contextmanager
def coded(options: Asked) -> Iterator[None]:
    """Turns a coded failure inside it into a message and an exit code; so, too, a body that its options do not make."""
    try:
        yield
    except CausewayError as error:
        _end(error, options)
    except BrokenPipeError:
        unread()
    except ValueError as error:
        if (refused := options_refused(error)) is None:
            raise
        _end(refused, options)


def unread() -> NoReturn:
    """Ends the program quietly: whoever read its output has gone, so nothing can be said, also not as Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(FAILED) from None


def _end(error: CausewayError, options: Asked) -> NoReturn:
    try:
        failure(error, as_json=options.json)
    except BrokenPipeError:
        unread()
    # 400 is ours alone here: a service's refusal is an ApiProblem, whatever its status.
    wrong_call = isinstance(error, Refused) and error.status == 400
    raise SystemExit(WRONG_CALL if wrong_call else FAILED) from None


@contextmanager
def interrupted(going_on: str) -> Iterator[None]:
    """Ctrl-C inside it ends the program with how to go on, and 130, as shells have it."""
    from asyncio import CancelledError

    try:
        yield
    except (KeyboardInterrupt, CancelledError):
        print(f"\ninterrupted{going_on and f': {going_on}'}", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def aside(text: str) -> None:
    """Print what a person should know beside an error."""
    print(text, file=sys.stderr)


def failure(error: CausewayError, *, as_json: bool) -> None:
    """Print why: for programs on standard output, for people on standard error."""
    problem = error if isinstance(error, ApiProblem) else None
    listed = _listed(error) if isinstance(error, ApiProblem | OptionsRefused) else []
    earlier = problem.referral_id if problem else None
    if as_json:
        status = getattr(error, "status", None)
        told = {"code": error.code, "status": status, "field": error.field, "errors": listed}
        document({"error": told | ({} if earlier is None else {"referral_id": str(earlier)})})
        return
    print(f"error: {error}", file=sys.stderr)
    remedy = codes.find_remedy(error.code)
    if remedy is not None and remedy != error.detail and earlier is None:
        print(f"  {remedy}", file=sys.stderr)
    if earlier is not None:
        print(f"  this external_ref was filed before: causeway referral show {earlier}", file=sys.stderr)
    for entry in listed:
        rule = entry.get("expected") or RULES.get(entry["rule"])
        print(f"  {entry['field'] or '/'}: {entry['rule']}" + (f" ({rule})" if rule else ""), file=sys.stderr)


def _listed(problem: ApiProblem | OptionsRefused) -> list[dict[str, str]]:
    """Each broken rule with its place, and what would be right where that is said."""
    return [
        {"field": field, "rule": rule} | ({} if expected is None else {"expected": expected})
        for (field, rule), expected in zip(problem.errors, problem.expected, strict=True)
    ]


#: The words of a call that make a member of a body under another name; any other is made by the option of its name.
_WORDS: Final = {
    "agency": "--to",
    "answer": "SAID",
    "basis": "--basis",
    "locations": "LOCATIONS",
    "not_after": "--until",
    "retention": "--kept-class",
}
_HIDDEN: Final = "…"


def options_refused(error: ValueError) -> OptionsRefused | None:
    """The refusal of a body that is none, by the options that make it; None for an error that is of no body."""
    from pydantic import ValidationError

    from shared.contracts.base import error_locations

    if not isinstance(error, ValidationError):
        return None
    found = error.errors(include_url=False, include_input=False)
    # A rule about several members is named by what the contract raises.
    named = [one | {"type": str(one["ctx"]["error"])} if one["type"] == "value_error" else one for one in found]
    listed = error_locations(named)
    return OptionsRefused(
        tuple((_option(each["field"]), each["rule"]) for each in listed),
        tuple(each.get("expected") for each in listed),
    )


def _option(pointer: str) -> str:
    """The option, or the word by its place, that makes what a pointer into a body leads to; `/` for the whole body."""
    name, *inside = pointer.strip("/").split("/")
    if not name:
        return "/"
    number = f" {int(inside[0]) + 1}" if inside and inside[0].isdecimal() else ""
    return _WORDS.get(name, f"--{name.replace('_', '-')}") + number


def hidden(error: CycloptsError) -> Panel:
    """A call that cannot be read, as the program says it, with every value of the call left out."""
    from cyclopts import CycloptsPanel

    told = str(error)
    words = error.root_input_tokens or ()
    named = {word for word in (*words, str(getattr(error, "value", ""))) if word} - {*(error.command_chain or ())}
    for value in named:
        told = told.replace(f'"{value}"', f'"{_HIDDEN}"').replace(repr(value), repr(_HIDDEN))
    for word in words:
        option, assigned, value = word.partition("=")
        if assigned and option.startswith("-"):
            told = told.replace(word, f"{option}={_HIDDEN}").replace(f'"{value}"', f'"{_HIDDEN}"')
    return CycloptsPanel(told)
