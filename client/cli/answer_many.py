"""`causeway notice|offer|case answer-many`: a table of answers, a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cyclopts.types import ExistingFile

from client.cli import output
from client.cli.settings import Options

if TYPE_CHECKING:
    from client.cli.answer_file import AnswerFile, Ended

_OPTIONS = Options()
_SHOWN_MAX: Final = 20


def _verb_of(subject: str) -> object:
    """The verb for one kind of subject."""

    async def answer_many(file: ExistingFile, /, *, options: Options = _OPTIONS) -> int:
        """Send a table of answers. A refused line stops no other; the same command again does nothing twice.

        Why lines were refused is kept in FILE.errors.csv, the lines themselves in FILE.refused.csv: mend them there,
        and send that file.

        Parameters
        ----------
        file
            Answers as .csv: docs/bulk.md has the columns.
        """
        async with output.service(options) as client:
            from client.cli.answer_file import AnswerFile, answer_file
            from client.cli.progress import progress
            from shared.exchange.act import Subject

            answers = AnswerFile(file, Subject(subject))
            again = "the same command again does nothing twice"
            with output.interrupted(again), progress("answered", answers.lines) as on_progress:
                ended = await answer_file(answers, client, on_progress=on_progress)
            _print(answers, ended, options)
            return output.DONE if ended.stopped is None and not ended.errors else output.FAILED

    return answer_many


notice, offer, case = map(_verb_of, ("notice", "offer", "case"))


def _print(file: AnswerFile, ended: Ended, options: Options) -> None:
    report, refused = file.keep_errors(ended.errors), file.keep_refused(ended.refused)
    taken = None if ended.stopped else ended.lines - len(ended.refused)
    if options.json:
        told: dict[str, object] = {"lines": ended.lines, "taken": taken, "refused": len(ended.refused)}
        told |= {"errors": [error._asdict() for error in ended.errors], "report": report, "refused_lines": refused}
        output.document(told | ({} if ended.stopped is None else {"stopped": ended.stopped.code}))
        return
    if ended.stopped is not None:
        output.failure(ended.stopped, as_json=False)
        output.line("what was sent is done: the same command again goes on, and does nothing twice")
        return
    output.line(f"{ended.lines} lines: {taken} taken, {len(ended.refused)} refused")
    if ended.errors:
        shown = ended.errors[:_SHOWN_MAX]
        output.table(("line", "column", "code", "rule", "remedy"), shown)
        output.line(f"why: {report}; the lines themselves: {refused}")
