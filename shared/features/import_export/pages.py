"""Pages that check and file a table of referrals, a hundred lines at a time. The service does not store the table.

The form of the next step carries the progress. Lines that were filed before are recognised by their reference, so that
an import can begin again after any interruption and files nothing twice.
"""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import BaseModel, JsonValue
from pydantic_core import to_json
from starlette.responses import Response

from shared.core.codes import find_remedy
from shared.core.errors import Refused
from shared.features.filing.api.act_handlers import OriginApi
from shared.features.filing.api.bodies import CheckAnswer, CheckPassed, ReferenceTaken
from shared.features.filing.pages import Looked, read_problem
from shared.formats.referral_table import ReferralTable, column_at, submission
from shared.platform.console.forms import ONCE, PageInput, problems_of, said_of
from shared.platform.console.frame import ROOT, Frame
from shared.platform.http.edge import read_key
from shared.platform.http.problems import Problem

#: The end of the path: such a body may be as large as a list of referrals.
PLACE: Final = "import:batch"
_COUNTS: Final = ("filed", "existing", "refused")
_LOOK: Final = "look"


class Progress(NamedTuple):
    """The progress: the last line that is done, the number of lines, and the counts so far."""

    done: int
    of: int
    upto: int
    filed: int
    existing: int
    refused: int
    report: str


class ImportPages:
    """The handlers of the import pages."""

    def __init__(self, frame: Frame, use: OriginApi) -> None:
        self._frame = frame
        self._use = use
        frame.get("/import", self._begin)
        frame.post(f"/{PLACE}", self._go_on)

    async def _begin(self, request: PageInput) -> Response:
        self._use.require_filing(request.identity)
        return self._page(request)

    async def _go_on(self, request: PageInput) -> Response:
        """Check or file the next lines."""
        self._use.require_filing(request.identity)
        look = request.said("act") == _LOOK
        try:
            identity = request.identity
            # In a worker thread, because a long table takes a while.
            lines = await to_thread(lines_of, _table(request), identity.party, exercise=identity.exercise)
            left = [each for each in lines if each.number > _number(request, "upto")]
            results = await self._results(request, left[:LINES_MAX], look=look) if left else []
        except Refused as error:
            if error.code == "forbidden":
                raise
            problems = [("table", said) for _, said in problems_of(error)]
            return await to_thread(self._page, request, status=error.status, problems=problems)
        progress = _progress(request, results, left, of=len(lines))
        # The page contains the whole table, so rendering it takes too long for the event loop.
        return await to_thread(self._page, request, results=results, progress=progress, look=look)

    async def _results(self, request: PageInput, lines: Sequence[ImportLine], *, look: bool) -> list[LineResult]:
        body = to_json({"referrals": [dict(each.body) for each in lines if each.refused is None]})
        if all(each.refused is not None for each in lines):
            return list_results(lines, ())
        if look:
            answer = await self._use.checked(request.identity, body, "application/json")
            return list_results(lines, CheckAnswer.model_validate_json(answer).results)
        # Each part of the file is one act, so that a form that is sent twice is filed once.
        key = read_key(f"{request.said(ONCE)}.{lines[0].number}")
        reply = await self._use.file_spelt(request.identity, body, key=key, route=request.path)
        if reply.status >= 400:
            problem = read_problem(reply.body)
            raise Refused(problem.code, problem.title, status=reply.status)
        return list_results(lines, FiledLines.model_validate_json(reply.body).results)

    def _page(
        self,
        request: PageInput,
        *,
        status: int = 200,
        results: Sequence[LineResult] = (),
        progress: Progress | None = None,
        look: bool = False,
        problems: Sequence[tuple[str, str]] = (),
    ) -> Response:
        views = {
            "action": f"{ROOT}/{PLACE}",
            "table": _table(request),
            "results": results,
            "progress": progress,
            "look": look,
            "problems": problems,
        }
        return self._frame.page(request, "import.html", views, status=status)


def _progress(request: PageInput, results: Sequence[LineResult], left: Sequence[ImportLine], *, of: int) -> Progress:
    counted = {
        "filed": sum(each.ok and not each.existing for each in results),
        "existing": sum(each.existing for each in results),
        "refused": sum(not each.ok for each in results),
    }
    filed, existing, refused = (counted[name] + _number(request, name) for name in _COUNTS)
    upto = results[-1].line if results else _number(request, "upto")
    report = [each for each in request.said("report").splitlines() if each] + list(as_rows(results))
    return Progress(of - len(left) + len(results), of, upto, filed, existing, refused, "\n".join(report))


def _table(request: PageInput) -> str:
    return next(iter(request.form.get("table", ())), "")


def _number(request: PageInput, name: str) -> int:
    """Return a number that the service's own form carries; 0 if there is none."""
    text = request.said(name)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0


#: Lines that one press of a button checks or files.
LINES_MAX: Final = 100
#: Maximum of lines in a table. Each step reads the whole table again.
TABLE_LINES_MAX: Final = 5_000
_EXISTS: Final = "external_ref_exists"


class ImportLine(NamedTuple):
    """One line of the table, by its number from 1: its submission, or the reason why it has none."""

    number: int
    body: Mapping[str, JsonValue] = {}
    refused: Refused | None = None


class FiledLine(BaseModel):
    """The intake's result for one list item."""

    referral_id: UUID | None = None
    state: str = ""
    problem: ReferenceTaken | Problem | None = None


class FiledLines(BaseModel):
    """The intake's answer to a list."""

    results: tuple[FiledLine, ...]


class LineResult(NamedTuple):
    """The result of a line: `said` is its state, or the problem with the whole line.

    `wrong` are the wrong columns, each with its rule and remedy.
    """

    line: int
    ok: bool
    said: str = ""
    wrong: Sequence[tuple[str, str]] = ()
    code: str = ""
    referral_id: UUID | None = None
    recipients: Sequence[str] = ()
    existing: bool = False


def lines_of(text: str, party: str, *, exercise: bool) -> list[ImportLine]:
    """Return the party's lines. The first line names the columns; raises `Refused` if it does not."""
    lines = text.lstrip("\ufeff").splitlines()
    if not any(each.strip() for each in lines):
        raise Refused("file_empty", "the table must have at least one referral", field="/table")
    if len(lines) > TABLE_LINES_MAX + 1:
        raise Refused(
            "table_too_long",
            f"the table may have at most {TABLE_LINES_MAX} lines after the first",
            field="/table",
            status=413,
        )
    table = ReferralTable.from_first_line(lines[0])
    seen: set[JsonValue] = set()
    return [
        line
        for number, each in enumerate(lines[1:], 2)
        if each.strip() and (line := _line(number, each, table, party=party, exercise=exercise, seen=seen)) is not None
    ]


def _line(
    number: int, text: str, table: ReferralTable, *, party: str, exercise: bool, seen: set[JsonValue]
) -> ImportLine | None:
    try:
        cells = table.cells(text)
        if cells.get("origin", party) != party:
            return None
        body = {"exercise": exercise} | submission(cells)
    except Refused as error:
        return ImportLine(number, refused=error)
    reference = body.get("external_ref")
    if reference in seen:
        return ImportLine(number, refused=Refused("external_ref_repeated", "an earlier line has the same reference"))
    seen |= {reference} - {None}
    return ImportLine(number, body)


def list_results(lines: Sequence[ImportLine], results: Sequence[Looked] | Sequence[FiledLine]) -> list[LineResult]:
    """Return the result of each line. `results` are those of the lines that can be read."""
    remaining = iter(results)
    return [_unread(each) if each.refused is not None else _build_result(each, next(remaining)) for each in lines]


def _build_result(line: ImportLine, result: Looked | FiledLine) -> LineResult:
    if isinstance(result, CheckPassed):
        return LineResult(line.number, True, result.state, recipients=[each.recipient for each in result.recipients])
    if result.problem is None:
        return LineResult(line.number, True, result.state, referral_id=result.referral_id)
    if result.problem.code == _EXISTS and isinstance(result, FiledLine):
        return LineResult(line.number, True, "filed before", existing=True)
    return _refused(line.number, result.problem)


def _refused(number: int, problem: Problem) -> LineResult:
    """Return a refusal with every broken rule, never the value."""
    wrong = [(column_at(each.field) or "", said_of(each.rule, each.expected)) for each in problem.errors]
    return _wrong(
        number, problem.code, wrong or [(column_at(problem.field) or "", _helped(problem.code, problem.title))]
    )


def _wrong(number: int, code: str, wrong: Sequence[tuple[str, str]]) -> LineResult:
    return LineResult(number, False, wrong=tuple(dict.fromkeys(wrong)), code=code)


def _helped(code: str, detail: str) -> str:
    remedy = find_remedy(code)
    return f"{detail}: {remedy}" if remedy else detail


def _unread(line: ImportLine) -> LineResult:
    assert line.refused is not None
    text = _helped(line.refused.code, line.refused.detail)
    return _wrong(line.number, line.refused.code, [(column_at(line.refused.field) or "", text)])


def as_rows(results: Sequence[LineResult]) -> Iterator[str]:
    """Return the refused lines as rows of a table, one for each column: line, code, column."""
    yield from (f"{each.line},{each.code},{at}" for each in results if not each.ok for at, _ in each.wrong)
