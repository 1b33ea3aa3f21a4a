"""Pages on which a table of referrals is looked at and filed, a hundred lines at a time: nothing of it is kept here.

How far it is stands in the form that goes on. A line that was filed before is told by its reference: whoever begins
again, in whatever way an import was cut short, files nothing twice.
"""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import BaseModel, JsonValue
from pydantic_core import to_json
from starlette.responses import Response

from shared.formats.referral_table import Table, column_at, submission
from shared.kernel.codes import find_remedy
from shared.kernel.errors import Refused
from shared.party.origin.api.act_handlers import OriginApi
from shared.party.origin.api.bodies import CheckAnswer, CheckPassed, ReferenceTaken
from shared.party.origin.console.filing import Looked, read_problem
from shared.runtime.console.forms import ONCE, Asked, problems_of, said_of
from shared.runtime.console.frame import ROOT, Frame
from shared.runtime.http.edge import read_key
from shared.runtime.http.problems import Problem

#: A body that ends so may weigh as much as a list of referrals.
PLACE: Final = "import:batch"
_COUNTS: Final = ("filed", "existing", "refused")
_LOOK: Final = "look"


class Progress(NamedTuple):
    """How far it is: the last line that is done, of how many lines, and what came of all so far."""

    done: int
    of: int
    upto: int
    filed: int
    existing: int
    refused: int
    report: str


class ImportPages:
    """What the pages do."""

    def __init__(self, frame: Frame, use: OriginApi) -> None:
        self._frame = frame
        self._use = use
        frame.get("/import", self._begin)
        frame.post(f"/{PLACE}", self._go_on)

    async def _begin(self, asked: Asked) -> Response:
        self._use.require_filing(asked.identity)
        return self._page(asked)

    async def _go_on(self, asked: Asked) -> Response:
        """The next lines: looked at, or filed."""
        self._use.require_filing(asked.identity)
        look = asked.said("act") == _LOOK
        try:
            identity = asked.identity
            # Beside the loop: of a long table that takes a while.
            lines = await to_thread(lines_of, _table(asked), identity.party, exercise=identity.exercise)
            left = [each for each in lines if each.number > _number(asked, "upto")]
            results = await self._results(asked, left[:LINES_MAX], look=look) if left else []
        except Refused as error:
            if error.code == "forbidden":
                raise
            problems = [("table", said) for _, said in problems_of(error)]
            return await to_thread(self._page, asked, status=error.status, problems=problems)
        progress = _progress(asked, results, left, of=len(lines))
        # The page has the whole table again: filling it takes too long for the event loop.
        return await to_thread(self._page, asked, results=results, progress=progress, look=look)

    async def _results(self, asked: Asked, lines: Sequence[Line], *, look: bool) -> list[Result]:
        body = to_json({"referrals": [dict(each.body) for each in lines if each.refused is None]})
        if all(each.refused is not None for each in lines):
            return come_to(lines, ())
        if look:
            answer = await self._use.checked(asked.identity, body, "application/json")
            return come_to(lines, CheckAnswer.model_validate_json(answer).results)
        # A part of the file is one act: sending its form twice files it once.
        key = read_key(f"{asked.said(ONCE)}.{lines[0].number}")
        reply = await self._use.file_spelt(asked.identity, body, key=key, route=asked.path)
        if reply.status >= 400:
            problem = read_problem(reply.body)
            raise Refused(problem.code, problem.title, status=reply.status)
        return come_to(lines, FiledLines.model_validate_json(reply.body).results)

    def _page(
        self,
        asked: Asked,
        *,
        status: int = 200,
        results: Sequence[Result] = (),
        progress: Progress | None = None,
        look: bool = False,
        problems: Sequence[tuple[str, str]] = (),
    ) -> Response:
        views = {
            "action": f"{ROOT}/{PLACE}",
            "table": _table(asked),
            "results": results,
            "progress": progress,
            "look": look,
            "problems": problems,
        }
        return self._frame.page(asked, "import.html", views, status=status)


def _progress(asked: Asked, results: Sequence[Result], left: Sequence[Line], *, of: int) -> Progress:
    counted = {
        "filed": sum(each.ok and not each.existing for each in results),
        "existing": sum(each.existing for each in results),
        "refused": sum(not each.ok for each in results),
    }
    filed, existing, refused = (counted[name] + _number(asked, name) for name in _COUNTS)
    upto = results[-1].line if results else _number(asked, "upto")
    report = [each for each in asked.said("report").splitlines() if each] + list(as_rows(results))
    return Progress(of - len(left) + len(results), of, upto, filed, existing, refused, "\n".join(report))


def _table(asked: Asked) -> str:
    return next(iter(asked.form.get("table", ())), "")


def _number(asked: Asked, name: str) -> int:
    """A number that our own form carries on; 0 where there is none."""
    said = asked.said(name)
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 8 else 0


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

    referral_id: UUID | None = None
    state: str = ""
    problem: ReferenceTaken | Problem | None = None


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


def come_to(lines: Sequence[Line], results: Sequence[Looked] | Sequence[FiledLine]) -> list[Result]:
    """What became of each line, or would, by what is said of those that can be read."""
    told = iter(results)
    return [_unread(each) if each.refused is not None else _come_to(each, next(told)) for each in lines]


def _come_to(line: Line, told: Looked | FiledLine) -> Result:
    if isinstance(told, CheckPassed):
        return Result(line.number, True, told.state, recipients=[each.recipient for each in told.recipients])
    if told.problem is None:
        return Result(line.number, True, told.state, referral_id=told.referral_id)
    if told.problem.code == _EXISTS and isinstance(told, FiledLine):
        return Result(line.number, True, "filed before", existing=True)
    return _refused(line.number, told.problem)


def _refused(number: int, problem: Problem) -> Result:
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
