"""Reading a table of referrals that somebody pastes, and what became of each of its lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import BaseModel, JsonValue

from shared.formats.referral_table import Table, column_at, submission
from shared.kernel.codes import find_remedy
from shared.kernel.errors import Refused
from shared.party.origin.console.filing import Looked, ToldProblem
from shared.runtime.console.forms import said_of

#: So many lines are looked at or filed by one press of a button; the next goes on from there.
LINES_MAX: Final = 100
#: So many a table has. Each part that is done reads all of it again.
TABLE_LINES_MAX: Final = 5_000
_EXISTS: Final = "external_ref_exists"


class Line(NamedTuple):
    """One line of the table, by its number from 1: what it stands for, or why it stands for nothing."""

    number: int
    body: Mapping[str, JsonValue] = {}
    refused: Refused | None = None


class FiledLine(BaseModel):
    """What the intake says of one of a list."""

    status: int
    referral_id: UUID | None = None
    state: str | None = None
    problem: ToldProblem | None = None


class FiledLines(BaseModel):
    """The answer to a list."""

    results: tuple[FiledLine, ...]


class Result(NamedTuple):
    """What became of a line, or would: `said` is its state, or what is wrong with it as a whole.

    `wrong` are the columns that are wrong, each with its rule and remedy.
    """

    line: int
    ok: bool
    said: str = ""
    wrong: Sequence[tuple[str, str]] = ()
    code: str = ""
    referral_id: UUID | None = None
    recipients: Sequence[str] = ()
    existing: bool = False


def lines_of(text: str, party: str, *, exercise: bool) -> list[Line]:
    """The lines that are this party's; the first names the columns. Raises `Refused` where it does not."""
    lines = text.lstrip("\ufeff").splitlines()
    if not any(each.strip() for each in lines):
        raise Refused("file_empty", "a table with a referral in it", field="/table")
    if len(lines) > TABLE_LINES_MAX + 1:
        raise Refused("table_too_long", f"at most {TABLE_LINES_MAX} lines below the first", field="/table", status=413)
    table = Table.from_first_line(lines[0])
    seen: set[JsonValue] = set()
    return [
        line
        for number, each in enumerate(lines[1:], 2)
        if each.strip() and (line := _line(number, each, table, party=party, exercise=exercise, seen=seen)) is not None
    ]


def _line(number: int, text: str, table: Table, *, party: str, exercise: bool, seen: set[JsonValue]) -> Line | None:
    try:
        cells = table.cells(text)
        if cells.get("origin", party) != party:
            return None
        body = {"exercise": exercise} | submission(cells)
    except Refused as error:
        return Line(number, refused=error)
    reference = body.get("external_ref")
    if reference in seen:
        return Line(number, refused=Refused("external_ref_repeated", "an earlier line has the same reference"))
    seen |= {reference} - {None}
    return Line(number, body)


def looked(lines: Sequence[Line], results: Sequence[Looked]) -> list[Result]:
    """What would become of each, by what a check says of those that can be read."""
    told = iter(results)
    return [_unread(each) if each.refused is not None else _looked(each, next(told)) for each in lines]


def filed(lines: Sequence[Line], results: Sequence[FiledLine]) -> list[Result]:
    """What became of each, by what the intake says of those that can be read."""
    told = iter(results)
    return [_unread(each) if each.refused is not None else _filed(each, next(told)) for each in lines]


def _looked(line: Line, told: Looked) -> Result:
    if told.problem is not None:
        return _refused(line.number, told.problem)
    recipients = [each.recipient for each in told.recipients]
    return Result(line.number, True, told.state or "", recipients=recipients)


def _filed(line: Line, told: FiledLine) -> Result:
    if told.problem is not None and told.problem.code == _EXISTS:
        return Result(line.number, True, "filed before", existing=True)
    if told.problem is not None:
        return _refused(line.number, told.problem)
    return Result(line.number, True, told.state or "", referral_id=told.referral_id)


def _refused(number: int, problem: ToldProblem) -> Result:
    """By every broken rule: never by the value."""
    wrong = [(column_at(each.field) or "", said_of(each.rule, each.expected)) for each in problem.errors]
    return _wrong(
        number, problem.code, wrong or [(column_at(problem.field) or "", _helped(problem.code, problem.title))]
    )


def _wrong(number: int, code: str, wrong: Sequence[tuple[str, str]]) -> Result:
    return Result(number, False, wrong=tuple(dict.fromkeys(wrong)), code=code)


def _helped(code: str, detail: str) -> str:
    remedy = find_remedy(code)
    return f"{detail}: {remedy}" if remedy else detail


def _unread(line: Line) -> Result:
    assert line.refused is not None
    said = _helped(line.refused.code, line.refused.detail)
    return _wrong(line.number, line.refused.code, [(column_at(line.refused.field) or "", said)])


def as_rows(results: Sequence[Result]) -> Iterator[str]:
    """Those that are refused, as the lines of a table of their own, one for each column: line, code, column."""
    yield from (f"{each.line},{each.code},{at}" for each in results if not each.ok for at, _ in each.wrong)
