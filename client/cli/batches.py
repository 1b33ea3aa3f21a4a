"""Rows to the service in batches, each row with its own result, whatever happens to its neighbours."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic import JsonValue

from client import views
from client.api import BATCH_MAX, CausewayClient
from client.cli.rows import Row, RowError
from client.problem import ApiProblem, referral_in
from shared.kernel.canonical import canonical_json

#: Refusals of a whole body that one of its rows may have caused; any other is nobody's row and stops the run.
_MAY_BE_ONE_ROW = frozenset({400, 413, 422})
_EXISTS = "external_ref_exists"
#: What a service answers for a row that it could not deal with now: no verdict on the row.
_PASSING = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one row: a state, or the errors for which it is refused.

    `existing` rows were referred before, under their reference. A `passing` error is the service's, not the row's.
    `acceptance` is the signed one.
    A check alone knows `work_reason`, why a row would go nowhere, `recipients`, and what would be `cut`.
    """

    row: int
    state: str | None = None
    referral_id: UUID | None = None
    existing: bool = False
    passing: bool = False
    work_reason: str | None = None
    recipients: tuple[views.Recipient, ...] = ()
    cut: tuple[views.CutView, ...] = ()
    acceptance: dict[str, JsonValue] | None = None
    errors: tuple[RowError, ...] = ()


Send = Callable[[Sequence[Row]], Awaitable[list[RowResult]]]


def in_batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows in lists of at most 100. The same file gives the same lists each time."""
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH_MAX:
            yield batch
            batch = []
    if batch:
        yield batch


async def results_of(batch: Sequence[Row], send: Send) -> list[RowResult]:
    """One result for each row, in order. Rows that could not be read are not sent.

    Raises `ApiProblem` or `Unavailable` where the fault is not a row's: then nothing is known of the whole batch.
    """
    readable = [row for row in batch if row.error is None]
    sent = await _in_halves(readable, send) if readable else []
    unread = [RowResult(row.number, errors=(row.error,)) for row in batch if row.error is not None]
    return sorted(sent + unread, key=lambda result: result.row)


def submitting(client: CausewayClient, run: str) -> Send:
    """Posts rows. The idempotency key comes from the run and the bytes: a rerun repeats it and creates nothing new."""

    async def send(rows: Sequence[Row]) -> list[RowResult]:
        bodies = [row.referral or {} for row in rows]
        results = await client.submit_batch(bodies, key=_key(run, rows[0].number, rows[-1].number, bodies=bodies))
        return [_submitted(row.number, result) for row, result in zip(rows, results, strict=True)]

    return send


def checking(client: CausewayClient) -> Send:
    """Asks what would become of rows. Stores nothing."""

    async def send(rows: Sequence[Row]) -> list[RowResult]:
        results = await client.check([row.referral or {} for row in rows])
        return [_checked(row.number, result) for row, result in zip(rows, results, strict=True)]

    return send


async def _in_halves(rows: Sequence[Row], send: Send) -> list[RowResult]:
    """Send; if the whole body is refused, send its halves, until the row that caused it stands alone."""
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
            row, result.state, work_reason=result.work_reason, recipients=result.recipients, cut=result.cut
        )
    return RowResult(row, errors=_item_errors(row, result.problem, 422))


def _item_errors(row: int, problem: views.ItemProblem | None, status: int) -> tuple[RowError, ...]:
    if problem is None:
        return (RowError(row, "unexpected_answer"),)
    # Read like any problem, so that only codes, pointers and rules get through.
    body = problem.model_dump(mode="json")
    return _row_errors(row, ApiProblem.from_body(status, {**body, "errors": body["errors"] or [body]}))


def _row_errors(row: int, problem: ApiProblem) -> tuple[RowError, ...]:
    """One error for each field and rule that the problem names, else one with the code alone."""
    if not problem.errors:
        return (RowError(row, problem.code, _in_row(problem.field or "")),)
    named = zip(problem.errors, problem.expected, strict=True)
    return tuple(RowError(row, problem.code, _in_row(field), rule, wanted) for (field, rule), wanted in named)


def _in_row(pointer: str) -> str | None:
    """A pointer into a row instead of into the batch that carried it."""
    parts = pointer.split("/")
    in_batch = len(parts) > 3 and parts[1] == "referrals" and parts[2].isdigit()
    return "/" + "/".join(parts[3:]) if in_batch else pointer or None
