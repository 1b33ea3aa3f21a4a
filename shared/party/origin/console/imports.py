"""Pages on which a table of referrals is looked at and filed, a hundred lines at a time: nothing of it is kept here.

How far it is stands in the form that goes on. A line that was filed before is told by its reference: whoever begins
again, in whatever way an import was cut short, files nothing twice.
"""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Sequence
from typing import Final, NamedTuple

from pydantic_core import to_json
from starlette.responses import Response

from shared.kernel.authority import Authority
from shared.kernel.errors import Refused
from shared.party.origin.api.doing import OriginApi
from shared.party.origin.console import importing
from shared.party.origin.console.filing import LookedAt, ToldProblem
from shared.party.origin.console.importing import LINES_MAX, FiledLines, Line, Result
from shared.runtime.console.asked import ONCE, Asked
from shared.runtime.console.forms import problems_of
from shared.runtime.console.frame import ROOT, Frame
from shared.runtime.http.edge import read_key
from shared.vocabulary.routing import Disposition

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

    def __init__(self, frame: Frame, use: OriginApi, *, authority: Authority) -> None:
        self._frame = frame
        self._use = use
        self._authority = authority
        frame.get("/import", self._begin)
        frame.post(f"/{PLACE}", self._go_on)

    async def _begin(self, asked: Asked) -> Response:
        self._require(asked)
        return self._page(asked)

    async def _go_on(self, asked: Asked) -> Response:
        """The next lines: looked at, or filed."""
        self._require(asked)
        look = asked.said("act") == _LOOK
        try:
            identity = asked.identity
            # Beside the loop: of a long table that takes a while.
            lines = await to_thread(importing.lines_of, _table(asked), identity.party, exercise=identity.exercise)
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
            return importing.looked(lines, ())
        if look:
            answer = await self._use.checked(asked.identity, body, "application/json")
            return importing.looked(lines, LookedAt.model_validate_json(answer).results)
        # A part of the file is one act: sending its form twice files it once.
        key = read_key(f"{asked.said(ONCE)}.{lines[0].number}")
        reply = await self._use.file_spelt(asked.identity, body, key=key, route=asked.path)
        if reply.status >= 400:
            problem = ToldProblem.model_validate_json(reply.body)
            raise Refused(problem.code, problem.title, status=reply.status)
        return importing.filed(lines, FiledLines.model_validate_json(reply.body).results)

    def _require(self, asked: Asked) -> None:
        self._authority.require("referral", asked.identity.role, action="submit", state=Disposition.ROUTED)

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
    report = [each for each in asked.said("report").splitlines() if each] + list(importing.as_rows(results))
    return Progress(of - len(left) + len(results), of, upto, filed, existing, refused, "\n".join(report))


def _table(asked: Asked) -> str:
    return next(iter(asked.form.get("table", ())), "")


def _number(asked: Asked, name: str) -> int:
    """A number that our own form carries on; 0 where there is none."""
    said = asked.said(name)
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 8 else 0
