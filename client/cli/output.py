"""The output of a command and its exit code: 0 done, 1 refused or failed, 2 a wrong call."""

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

from client.cli.settings import ClientOptions, access, write_private
from client.problem import ApiProblem, OptionsRefused
from shared.core import codes
from shared.core.clock import rfc3339
from shared.core.codes import RULES
from shared.core.errors import CausewayError, Refused

if TYPE_CHECKING:
    from cyclopts import CycloptsError
    from rich.panel import Panel

    from client.api import CausewayClient
    from client.views import PageView


DONE = 0
FAILED = 1
WRONG_CALL = 2
INTERRUPTED = 130
#: Maximum number of items of one page.
PAGE_MAX = 200
#: Spaces between two columns on a terminal.
_GAP = 2
#: A space at which a line is not broken.
_KEPT = "\xa0"

ItemT = TypeVar("ItemT")


class OutputOptions(Protocol):
    """The options of a command, a party's or the operator's."""

    @property
    def json(self) -> bool: ...


def document(value: object) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def write_file(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, in one step; then print its path."""
    line(str(write_private(path, content)))


def line(text: str) -> None:
    """Print one line on standard output."""
    print(text)


def at_a_terminal() -> bool:
    """Return whether the output goes to a person instead of a program."""
    return sys.stdout.isatty()


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: fitted to a terminal, otherwise tab-separated. Cells are text, never markup.

    On a terminal that is too narrow, each row becomes a paragraph under its first cell: no word is broken.
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
    """Return the lines of a row: its first cell, then each non-empty cell after the name of its column."""
    cells = [f"{column}:{_KEPT}{cell}" for column, cell in zip(columns[1:], row[1:], strict=True) if cell]
    lines = textwrap.wrap("  ".join(cells), width - 2, break_on_hyphens=False)
    return [row[0], *(f"  {each}".replace(_KEPT, " ") for each in lines)]


def _text(cell: object) -> str:
    if isinstance(cell, datetime):
        return rfc3339(cell)
    return "" if cell is None else str(cell)


async def first(pages: AsyncIterator[PageView[ItemT]], limit: int) -> list[ItemT]:
    """Return the first items of a paged list, at most `limit`."""
    found: list[ItemT] = []
    async for page in pages:
        found.extend(page.items[: limit - len(found)])
        if len(found) == limit:
            if page.next or found[-1] is not page.items[-1]:
                print_hint("there are more: give a higher --limit")
            break
    return found


@asynccontextmanager
async def service(options: ClientOptions) -> AsyncIterator[CausewayClient]:
    """Open a client for the service in the options or the environment.

    A failure ends the program with a coded line.
    """
    with exit_on_error(options):
        found = access(options)
        from client.api import CausewayClient

        async with CausewayClient(found.url, found.key, ca_file=found.ca_file) as client:
            yield client


@contextmanager
def exit_on_error(options: OutputOptions) -> Iterator[None]:
    """Turn a coded error inside it, or a file error, into a message and an exit code."""
    with exit_on_coded_error(options):
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Refused("file_unusable", error.strerror or "") from None


@contextmanager
def exit_on_coded_error(options: OutputOptions) -> Iterator[None]:
    """Turn a coded error inside it, or an invalid body of its options, into a message and an exit code."""
    try:
        yield
    except CausewayError as error:
        _end(error, options)
    except BrokenPipeError:
        exit_quietly()
    except ValueError as error:
        if (refused := options_refused(error)) is None:
            raise
        _end(refused, options)


def exit_quietly() -> NoReturn:
    """End the program quietly: the reader of its output has ended, so Python must not print an error either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(FAILED) from None


def _end(error: CausewayError, options: OutputOptions) -> NoReturn:
    try:
        print_error(error, as_json=options.json)
    except BrokenPipeError:
        exit_quietly()
    # 400 comes only from this program: a service's refusal is an ApiProblem with any status.
    wrong_call = isinstance(error, Refused) and error.status == 400
    raise SystemExit(WRONG_CALL if wrong_call else FAILED) from None


@contextmanager
def exit_on_interrupt(going_on: str) -> Iterator[None]:
    """End the program on Ctrl-C with a hint on how to continue, and exit code 130, like shells."""
    from asyncio import CancelledError

    try:
        yield
    except (KeyboardInterrupt, CancelledError):
        print(f"\ninterrupted{going_on and f': {going_on}'}", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def print_hint(text: str) -> None:
    """Print a hint in addition to an error."""
    print(text, file=sys.stderr)


def print_error(error: CausewayError, *, as_json: bool) -> None:
    """Print the reason: for programs on standard output, for people on standard error."""
    listed = _listed(error) if isinstance(error, ApiProblem | OptionsRefused) else []
    earlier = error.referral_id if isinstance(error, ApiProblem) else None
    if as_json:
        status = getattr(error, "status", None)
        problem = {"code": error.code, "status": status, "field": error.field, "errors": listed}
        document({"error": problem | ({} if earlier is None else {"referral_id": str(earlier)})})
        return
    print(f"error: {error}", file=sys.stderr)
    remedy = codes.find_remedy(error.code)
    if remedy is not None and remedy != error.detail and earlier is None:
        print(f"  {remedy}", file=sys.stderr)
    if earlier is not None:
        print(f"  this external_ref was submitted before: causeway referral show {earlier}", file=sys.stderr)
    for entry in listed:
        rule = entry.get("expected") or RULES.get(entry["rule"])
        print(f"  {entry['field'] or '/'}: {entry['rule']}" + (f" ({rule})" if rule else ""), file=sys.stderr)


def _listed(problem: ApiProblem | OptionsRefused) -> list[dict[str, str]]:
    """Return each broken rule with its place, and the expected value if it is known."""
    return [
        {"field": field, "rule": rule} | ({} if expected is None else {"expected": expected})
        for (field, rule), expected in zip(problem.errors, problem.expected, strict=True)
    ]


#: Words of a call that fill a member of another name; any other member is filled by the option of its name.
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
    """Return the refusal of an invalid body, by the options that fill it; None for an error of another kind."""
    from pydantic import ValidationError

    from shared.core.contracts.base import error_locations

    if not isinstance(error, ValidationError):
        return None
    listed = error_locations(error.errors(include_url=False, include_input=False))
    return OptionsRefused(
        tuple((_option(each["field"]), each["rule"]) for each in listed), tuple(each.get("expected") for each in listed)
    )


def _option(pointer: str) -> str:
    """Return the option, or the word by its position, for a pointer into a body; `/` for the whole body."""
    name, *inside = pointer.strip("/").split("/")
    if not name:
        return "/"
    number = f" {int(inside[0]) + 1}" if inside and inside[0].isdecimal() else ""
    return _WORDS.get(name, f"--{name.replace('_', '-')}") + number


def hide_values(error: CycloptsError) -> Panel:
    """Return the program's message for an unreadable call, with every value of the call left out."""
    from cyclopts import CycloptsPanel

    text = str(error)
    words = error.root_input_tokens or ()
    named = {word for word in (*words, str(getattr(error, "value", ""))) if word} - {*(error.command_chain or ())}
    for value in named:
        text = text.replace(f'"{value}"', f'"{_HIDDEN}"').replace(repr(value), repr(_HIDDEN))
    for word in words:
        option, assigned, value = word.partition("=")
        if assigned and option.startswith("-"):
            text = text.replace(word, f"{option}={_HIDDEN}").replace(f'"{value}"', f'"{_HIDDEN}"')
    return CycloptsPanel(text)
