"""An import or a check of a whole file: rows in batches, and a separate result for each row.

An interrupted import continues. `FILE.state` has one JSON line for each finished batch. A process that can modify it
can
make a run omit rows or send them again. Repeated rows are not created twice, because the service stores the idempotency
keys and the references. A process that can modify the acceptances can remove some or add lines that do not verify; it
cannot forge a valid one. No file holds a value of a row.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue, TypeAdapter

from client import views
from client.api import CausewayClient, in_batches
from client.cli.rows import ImportRow, RowError, RowFile, RowFormat, RowResult
from client.cli.settings import add_private, keep_private, read_whole_lines
from client.problem import ApiProblem, referral_in
from shared.core.canonical import canonical_json
from shared.core.errors import CausewayError, Refused, Unavailable
from shared.formats.referral_table import column_at

_ROWS: Final = TypeAdapter(list[RowResult])
#: The stored fields of a row.
_KEPT: Final = {"__all__": {"row", "state", "referral_id", "existing", "errors"}}


class ImportState:
    """The finished rows of one run.

    A run is one file's bytes, origin, service and key; any other starts again.
    """

    def __init__(
        self, path: Path, acceptances: AcceptanceFile, *, file_sha256: str, origin: str | None, url: str, key: str
    ) -> None:
        """Read the state in `path`. An incomplete last line is dropped: its batch is sent again."""
        self._path = path
        self._acceptances = acceptances
        self.run = _digest("\n".join((file_sha256, origin or "", url, _digest(key))))
        self._results: dict[int, RowResult] = {}
        for line in read_whole_lines(path):
            try:
                entry = json.loads(line)
                if entry["run"] == self.run:
                    self._results.update((each.row, each) for each in _ROWS.validate_python(entry["results"]))
            except (ValueError, LookupError, TypeError):
                raise Refused("state_unreadable", "remove FILE.state to start over: nothing is created twice") from None

    def __contains__(self, row: int) -> bool:
        return row in self._results

    def results(self) -> list[RowResult]:
        """Return every finished row, in order."""
        return [self._results[row] for row in sorted(self._results)]

    def add(self, results: list[RowResult]) -> None:
        """Store the results of one batch.

        When this returns they are on the disk, and the batch is not sent again. Acceptances come first: a stored batch
        is not sent again, and the service returns its acceptances once.
        """
        self._acceptances.keep(result.acceptance for result in results if result.acceptance is not None)
        if lasting := [result for result in results if not result.passing]:
            kept = _ROWS.dump_python(lasting, mode="json", include=_KEPT, exclude_defaults=True)
            entry = json.dumps({"run": self.run, "results": kept}, separators=(",", ":"))
            add_private(self._path, entry.encode() + b"\n")
            self._results.update((result.row, result) for result in lasting)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


#: An acceptance as received: `causeway verify` checks it later, with a directory.
Given = dict[str, JsonValue]


class AcceptanceFile:
    """The acceptances of one file of referrals. A repeated acceptance is stored once."""

    def __init__(self, path: Path) -> None:
        """Read the file. Its lines stay, except an incomplete last one: its service is asked again."""
        self.path = path
        self._kept = set(read_whole_lines(path))

    @classmethod
    def beside(cls, file: Path, chosen: Path | None = None) -> AcceptanceFile:
        """Return `FILE.acceptances.jsonl`, or the chosen file."""
        return cls(chosen or file.with_name(f"{file.name}.acceptances.jsonl"))

    def keep(self, acceptances: Iterable[Given]) -> None:
        """Add the missing ones. When this returns they are on the disk."""
        lines = [line for line in map(canonical_json, acceptances) if line not in self._kept]
        if lines:
            add_private(self.path, b"".join(line + b"\n" for line in lines))
            self._kept.update(lines)


_COLUMNS = ("row", "column", "field", "code", "rule", "remedy")


def write_report(file: Path, row_format: RowFormat, errors: Sequence[RowError]) -> Path | None:
    """Write the report in one step, or remove an earlier one and return None if there are no errors.

    It is `FILE.errors.csv` for a table, otherwise `FILE.errors.jsonl`.
    """
    text = io.StringIO()
    if row_format is RowFormat.CSV:
        table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows({"row": each.row, **each.as_report(), "column": column_at(each.field)} for each in errors)
    else:
        text.writelines(json.dumps({"row": each.row, **each.as_report()}) + "\n" for each in errors)
    path = file.with_name(f"{file.name}.errors.{'csv' if row_format is RowFormat.CSV else 'jsonl'}")
    return keep_private(path, text.getvalue().encode() if errors else None)


#: Refusals of a whole body that one of its rows may have caused; any other refusal stops the run.
_MAY_BE_ONE_ROW = frozenset({400, 413, 422})
_EXISTS = "external_ref_exists"
#: Answers of a service that could not process a row now: no verdict on the row.
_PASSING = frozenset({429, 500, 502, 503, 504})


Send = Callable[[Sequence[ImportRow]], Awaitable[list[RowResult]]]


async def results_of(batch: Sequence[ImportRow], send: Send) -> list[RowResult]:
    """Return one result for each row, in order. Unreadable rows are not sent.

    Raises `ApiProblem` or `Unavailable` for a fault that is not a row's: the state of the whole batch is then unknown.
    """
    readable = [row for row in batch if row.error is None]
    sent = await _in_halves(readable, send) if readable else []
    unread = [RowResult(row.number, errors=(row.error,)) for row in batch if row.error is not None]
    return sorted(sent + unread, key=lambda result: result.row)


def submitting(client: CausewayClient, run: str) -> Send:
    """Return a function that posts rows.

    Its idempotency key comes from the run and the bytes, so a rerun is safe.
    """

    async def send(rows: Sequence[ImportRow]) -> list[RowResult]:
        bodies = [row.referral or {} for row in rows]
        results = await client.submit_batch(bodies, key=_key(run, rows[0].number, rows[-1].number, bodies=bodies))
        return [_submitted(row.number, result) for row, result in zip(rows, results, strict=True)]

    return send


def checking(client: CausewayClient) -> Send:
    """Return a function that checks rows. Stores nothing."""

    async def send(rows: Sequence[ImportRow]) -> list[RowResult]:
        results = await client.check([row.referral or {} for row in rows])
        return [_checked(row.number, result) for row, result in zip(rows, results, strict=True)]

    return send


async def _in_halves(rows: Sequence[ImportRow], send: Send) -> list[RowResult]:
    """Send; if the whole body is refused, send its halves, until only the row that caused it is refused."""
    try:
        return await send(rows)
    except ApiProblem as problem:
        if problem.status not in _MAY_BE_ONE_ROW:
            raise
        if len(rows) == 1:
            return [RowResult(rows[0].number, errors=_row_errors(rows[0].number, problem))]
    middle = len(rows) // 2
    return await _in_halves(rows[:middle], send) + await _in_halves(rows[middle:], send)


def _key(run: str, first: int, last: int, *, bodies: list[dict[str, JsonValue]]) -> str:
    text = canonical_json({"run": run, "rows": [first, last], "referrals": bodies})
    return "import-" + hashlib.sha256(text).hexdigest()[:48]


def _submitted(row: int, result: views.BatchResult) -> RowResult:
    if result.problem is None and result.referral_id is not None:
        return RowResult(row, result.state, result.referral_id, acceptance=result.acceptance)
    if result.problem is not None and result.problem.code == _EXISTS:
        earlier = result.referral_id or referral_in(result.problem.referral)
        return RowResult(row, result.state, earlier, existing=True)
    errors = _item_errors(row, result.problem, result.status)
    return RowResult(row, errors=errors, passing=result.status in _PASSING)


def _checked(row: int, result: views.CheckResult) -> RowResult:
    if result.ok:
        return RowResult(
            row,
            result.state,
            work_reason=result.work_reason,
            recipients=result.recipients,
            cut=result.cut,
            respelled=result.respelled,
        )
    return RowResult(row, errors=_item_errors(row, result.problem, 422))


def _item_errors(row: int, problem: views.ItemProblem | None, status: int) -> tuple[RowError, ...]:
    if problem is None:
        return (RowError(row, "unexpected_answer"),)
    # Parsed like any problem, so that only codes, pointers and rules pass.
    body = problem.model_dump(mode="json")
    return _row_errors(row, ApiProblem.from_body(status, {**body, "errors": body["errors"] or [body]}))


def _row_errors(row: int, problem: ApiProblem) -> tuple[RowError, ...]:
    """Return one error for each field and rule of the problem, otherwise one with the code alone."""
    if not problem.errors:
        return (RowError(row, problem.code, _in_row(problem.field or "")),)
    named = zip(problem.errors, problem.expected, strict=True)
    return tuple(RowError(row, problem.code, _in_row(field), rule, wanted) for (field, rule), wanted in named)


def _in_row(pointer: str) -> str | None:
    """Return a pointer into a row instead of into its batch."""
    parts = pointer.split("/")
    in_batch = len(parts) > 3 and parts[1] == "referrals" and parts[2].isdigit()
    return "/" + "/".join(parts[3:]) if in_batch else pointer or None


#: Called after each batch with the last finished line of the file and the number of refused rows.
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Summary:
    """The end of a run.

    `stopped` has the reason of an end before the last row; a new run continues from there. `left_out` rows name another
    origin than the chosen one.
    """

    results: tuple[RowResult, ...]
    left_out: int = 0
    stopped: CausewayError | None = None

    @property
    def errors(self) -> list[RowError]:
        return [error for result in self.results for error in result.errors]

    @property
    def refused(self) -> int:
        return _refused(self.results)

    @property
    def states(self) -> dict[str, int]:
        """Return the number of rows by state (in a check: by expected state), without those that existed before."""
        reached = [each.state or "accepted" for each in self.results if not (each.errors or each.existing)]
        return dict(sorted(Counter(reached).items()))

    @property
    def existing(self) -> int:
        return sum(result.existing for result in self.results)

    @property
    def succeeded(self) -> bool:
        return self.stopped is None and not self.errors


async def import_file(
    file: RowFile, client: CausewayClient, state: ImportState, *, origin: str | None, on_progress: OnProgress
) -> Summary:
    """Post every row that `state` does not have, and store each batch's results before the next is sent."""
    return await _run(file, submitting(client, state.run), state, origin=origin, on_progress=on_progress)


async def check_file(file: RowFile, client: CausewayClient, *, origin: str | None, on_progress: OnProgress) -> Summary:
    """Check every row."""
    return await _run(file, checking(client), None, origin=origin, on_progress=on_progress)


def state_path(file: Path) -> Path:
    """Return `FILE.state`."""
    return file.with_name(f"{file.name}.state")


async def _run(
    file: RowFile, send: Send, state: ImportState | None, *, origin: str | None, on_progress: OnProgress
) -> Summary:
    results = {result.row: result for result in ([] if state is None else state.results())}
    refused = _refused(results.values())
    stopped: CausewayError | None = None
    for batch in in_batches(file.rows(origin)):
        # Batches are formed before finished rows are left out: an interrupted batch keeps its key.
        left = [row for row in batch if state is None or row.number not in state]
        try:
            done = await results_of(left, send) if left else []
        except (ApiProblem, Unavailable) as error:
            stopped = error
            break
        if state is not None and done:
            state.add(done)
        results.update((result.row, result) for result in done)
        refused += _refused(done)
        on_progress(batch[-1].number, refused)
    else:
        # The last lines may be blank, or rows of another origin.
        on_progress(file.lines, refused)
    return Summary(tuple(results[row] for row in sorted(results)), file.left_out, stopped)


def _refused(results: Iterable[RowResult]) -> int:
    return sum(bool(result.errors) for result in results)


_LINES_MAX = 20


@contextmanager
def progress(verb: str, lines_total: int) -> Iterator[OnProgress]:
    """Yield the function to call after each batch.

    It prints at most about 20 plain lines, for any size of file.
    """
    if not sys.stderr.isatty():
        yield _plain(verb, lines_total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(verb, total=lines_total)

        def print_progress(lines_done: int, refused: int) -> None:
            bar.update(task, completed=lines_done, description=f"{verb}, {refused} refused")

        yield print_progress


def _plain(verb: str, lines_total: int) -> OnProgress:
    printed = 0

    def print_progress(lines_done: int, refused: int) -> None:
        nonlocal printed
        step = lines_done * _LINES_MAX // max(lines_total, 1)
        if step > printed:
            printed = step
            print(f"{verb}: line {lines_done} of {lines_total}, {refused} refused", file=sys.stderr, flush=True)

    return print_progress
