"""An import or a check of a whole file: every row gets its result, and an import that was cut short goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from client.api import CausewayClient
from client.cli.acceptances import AcceptanceFile
from client.cli.batches import RowResult, Send, checking, in_batches, results_of, submitting
from client.cli.import_state import ImportState
from client.cli.rows import RowError, RowFile
from client.problem import ApiProblem
from shared.kernel.errors import CausewayError, Unavailable

#: Told after each batch: the line of the file that is done, and how many rows were refused so far.
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended. `stopped` says why it ended before the last row; running it again goes on from there.

    `left_out` rows name another origin than the one that was asked for.
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
        """Rows by the state they reached (in a check: would reach), without those that were there before."""
        reached = (result.state or "accepted" for result in self.results if _reached_now(result))
        return dict(sorted(Counter(reached).items()))

    @property
    def existing(self) -> int:
        return sum(result.existing for result in self.results)

    @property
    def succeeded(self) -> bool:
        return self.stopped is None and not self.errors


@dataclass(frozen=True, slots=True)
class _Known:
    """What an import holds already, and how it keeps more."""

    state: ImportState
    keep: Callable[[Sequence[RowResult]], None]


async def import_file(
    file: RowFile,
    client: CausewayClient,
    state: ImportState,
    *,
    acceptances: AcceptanceFile,
    origin: str | None,
    on_progress: OnProgress,
) -> Summary:
    """Post every row that `state` does not hold yet, and keep each batch's results before the next is sent."""

    def keep(done: Sequence[RowResult]) -> None:
        # Acceptances first: a batch that `state` holds is not sent again, and nobody gives its acceptances twice.
        acceptances.keep(result.acceptance for result in done if result.acceptance is not None)
        if lasting := [result for result in done if not result.passing]:
            state.add(lasting)

    known = _Known(state, keep)
    return await _run(file, submitting(client, state.run), known, origin=origin, on_progress=on_progress)


async def check_file(file: RowFile, client: CausewayClient, *, origin: str | None, on_progress: OnProgress) -> Summary:
    """Ask for every row what would become of it."""
    return await _run(file, checking(client), None, origin=origin, on_progress=on_progress)


def state_path(file: Path) -> Path:
    """`FILE.state`."""
    return file.with_name(f"{file.name}.state")


async def _run(
    file: RowFile, send: Send, known: _Known | None, *, origin: str | None, on_progress: OnProgress
) -> Summary:
    results: dict[int, RowResult] = {}
    if known is not None:
        results.update((result.row, result) for result in known.state.results())
    refused = _refused(results.values())
    for batch in in_batches(file.rows(origin)):
        # Batches are cut before the finished rows are left out: a batch that was cut short keeps its key.
        left = [row for row in batch if known is None or row.number not in known.state]
        try:
            done = await results_of(left, send) if left else []
        except (ApiProblem, Unavailable) as error:
            return _summary(results, file.left_out, error)
        if known is not None and done:
            known.keep(done)
        results.update((result.row, result) for result in done)
        refused += _refused(done)
        on_progress(batch[-1].number, refused)
    # The last lines may be blank, or rows of another origin.
    on_progress(file.lines, refused)
    return _summary(results, file.left_out)


def _summary(results: dict[int, RowResult], left_out: int, stopped: CausewayError | None = None) -> Summary:
    return Summary(tuple(results[row] for row in sorted(results)), left_out, stopped)


def _refused(results: Iterable[RowResult]) -> int:
    return sum(bool(result.errors) for result in results)


def _reached_now(result: RowResult) -> bool:
    return not (result.errors or result.existing)
