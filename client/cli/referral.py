"""`causeway referral check`, `submit`, `import`, `amend`: files of referrals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from cyclopts.types import ExistingFile, PositiveInt

from client.cli import output
from client.cli.settings import ClientOptions, access

if TYPE_CHECKING:
    from pydantic import JsonValue

    from client.cli.import_file import Summary
    from client.cli.rows import RowResult

_OPTIONS = ClientOptions()


async def check(file: ExistingFile, /, *, origin: str | None = None, options: ClientOptions = _OPTIONS) -> int:
    """Show the refusals of each row, and the recipients of the rest. Nothing is stored.

    The check ignores your daily quota: a referral above the rest of it is refused when you submit it (`day_spent`).

    Parameters
    ----------
    file
        Referrals as .csv (docs/csv.md has the columns), .jsonl with one per line, or .json with one.
    origin
        Leave out the rows that name another party as their origin.
    """
    async with output.service(options) as client:
        from client.cli.import_file import check_file, progress
        from client.cli.rows import RowFile

        rows = RowFile(file)
        with progress("checked", rows.lines) as on_progress:
            summary = await check_file(rows, client, origin=origin, on_progress=on_progress)
        if options.json:
            results = [_checked_row(result) for result in summary.results]
            output.document({**_counts(summary), "results": results})
        else:
            _print_checked(summary)
            _print_counts(summary, "would be")
        return output.DONE if summary.succeeded else output.FAILED


async def submit(
    file: ExistingFile,
    /,
    *,
    idempotency_key: str | None = None,
    acceptances: Path | None = None,
    options: ClientOptions = _OPTIONS,
) -> int:
    """Post the one referral in a file, and store the signed acceptance.

    Parameters
    ----------
    file
        A .json file with one referral.
    idempotency_key
        Post under this key; posting the same referral again with it changes nothing.
    acceptances
        File to which the acceptance is added; default FILE.acceptances.jsonl.
    """
    async with output.service(options) as client:
        from client.cli.import_file import AcceptanceFile

        referral = _only_referral(file, "use import for a file with several")
        kept = AcceptanceFile.beside(file, acceptances)
        accepted = await client.submit(referral, key=idempotency_key)
        kept.keep([] if accepted.acceptance is None else [accepted.acceptance])
        if options.json:
            output.document(accepted.model_dump(mode="json"))
        else:
            output.line(f"accepted {accepted.referral_id}: {_state(accepted.state, accepted.work_reason)}")
            rows = [(to.recipient, to.purpose, to.reason, " ".join(to.rules)) for to in accepted.recipients]
            output.table(("recipient", "purpose", "reason", "rules"), rows)
            if accepted.acceptance is not None:
                output.line(f"signed acceptance: {kept.path}")
        return output.DONE


async def import_(
    file: ExistingFile,
    /,
    *,
    origin: str | None = None,
    dry_run: bool = False,
    acceptances: Path | None = None,
    options: ClientOptions = _OPTIONS,
) -> int:
    """Post every row of a file.

    A refused row stops no other; repeat the command to continue after an interruption. Finished rows are stored in
    FILE.state, signed acceptances in FILE.acceptances.jsonl, refused rows in FILE.errors.csv or FILE.errors.jsonl.
    Removing FILE.state starts again, but nothing is created twice.

    Parameters
    ----------
    file
        Referrals as .csv (docs/csv.md has the columns), .jsonl with one per line, or .json with one.
    origin
        Leave out the rows that name another party as their origin.
    dry_run
        Check every row and write the report of errors, but post nothing.
    acceptances
        File to which the acceptances are added instead of FILE.acceptances.jsonl.
    """
    async with output.service(options) as client:
        from client.cli import import_file as files
        from client.cli.rows import RowFile

        rows = RowFile(file)
        found = access(options)
        going_on = "" if dry_run else f"finished rows are stored: causeway referral import {file} continues from there"
        verb = "checked" if dry_run else "imported"
        with output.exit_on_interrupt(going_on), files.progress(verb, rows.lines) as on_progress:
            if dry_run:
                summary = await files.check_file(rows, client, origin=origin, on_progress=on_progress)
            else:
                kept = files.AcceptanceFile.beside(file, acceptances)
                run = {"file_sha256": rows.sha256, "url": found.url, "key": found.key}
                state = files.ImportState(files.state_path(file), kept, origin=origin, **run)
                summary = await files.import_file(rows, client, state, origin=origin, on_progress=on_progress)
        _print_ended(summary, files.write_report(file, rows.format, summary.errors), dry_run=dry_run, options=options)
        return output.DONE if summary.succeeded else output.FAILED


async def amend(
    referral_id: UUID, file: ExistingFile, /, *, revision: PositiveInt | None = None, options: ClientOptions = _OPTIONS
) -> int:
    """Replace the content of your referral with the one in a file.

    Only affected recipients receive a message.

    Parameters
    ----------
    file
        A .json file with the whole new referral, under its own reference.
    revision
        The revision that it replaces, as `causeway referral show` prints it; default is the present one.
    """
    async with output.service(options) as client:
        from client.cli.shown import show_amended

        referral = _only_referral(file, "an amendment has one referral")
        follows = revision or (await client.show(referral_id)).revision
        amended = await client.amend(referral_id, referral, revision=follows)
        show_amended(amended.model_dump(mode="json"), options)
        return output.DONE


def _only_referral(file: Path, else_say: str) -> dict[str, JsonValue]:
    """Return the one referral of a file. Raises `Refused` for several, and for an unreadable one."""
    from client.cli.rows import RowFile
    from shared.core.errors import Refused

    rows = [*RowFile(file).rows()]
    if len(rows) != 1:
        raise Refused("one_referral_expected", else_say, status=400)
    if (error := rows[0].error) is not None:
        raise Refused(error.code, error.rule or "", field=error.field)
    return rows[0].referral or {}


def _print_ended(summary: Summary, report: Path | None, *, dry_run: bool, options: ClientOptions) -> None:
    """Print the result of an import, and the path of the `report` of refused rows."""
    if options.json:
        errors_file = None if report is None else str(report)
        output.document({**_counts(summary), "dry_run": dry_run, "errors_file": errors_file})
        return
    _print_counts(summary, "would be" if dry_run else "are")
    if report is not None:
        output.line(f"refused rows: {report}")


def _state(state: str, work_reason: str | None) -> str:
    return state if work_reason is None else f"{state} ({work_reason})"


def _counts(summary: Summary) -> dict[str, object]:
    return {
        "rows": len(summary.results),
        "states": summary.states,
        "existing": summary.existing,
        "left_out": summary.left_out,
        "refused": summary.refused,
        "stopped": None if summary.stopped is None else summary.stopped.code,
    }


def _print_counts(summary: Summary, verb: str) -> None:
    for state, count in summary.states.items():
        output.line(f"{count} {verb} {state}")
    if summary.existing:
        output.line(f"{summary.existing} existed before under their external_ref (their contents are not compared)")
    output.line(f"{summary.refused} {verb} refused")
    if summary.left_out:
        output.line(f"{summary.left_out} left out: they name another origin")
    if summary.stopped is not None:
        output.print_error(summary.stopped, as_json=False)
        output.line("stopped before the last row: repeat the command to continue")


def _print_checked(summary: Summary) -> None:
    """Print a line for each edge of each row, one for a row without recipients, and each error."""
    rows: list[tuple[object, ...]] = []
    for result in summary.results:
        if result.errors:
            continue
        state = _state(result.state or "", result.work_reason)
        rows += [(result.row, state, to.recipient, to.purpose, " ".join(to.rules)) for to in result.recipients]
        rows += [] if result.recipients else [(result.row, state, None, None, None)]
    if rows:
        output.table(("row", "state", "recipient", "purpose", "rules"), rows)
    if cut := [(each.row, of.n, " ".join(of.rules), of.target) for each in summary.results for of in each.cut]:
        output.line("removed from addresses, because it expires or tracks; set `uncut` on an item to keep it:")
        output.table(("row", "item", "by", "leads to"), cut)
    if spelt := [(each.row, n) for each in summary.results for n in each.respelled]:
        output.line("addresses that are stored in their canonical spelling:")
        output.table(("row", "item"), spelt)
    if summary.errors:
        wrong = [(error.row, *error.as_report().values()) for error in summary.errors]
        output.table(("row", "field", "code", "rule", "remedy"), wrong)


def _checked_row(result: RowResult) -> dict[str, object]:
    if result.errors:
        return {"row": result.row, "ok": False, "errors": [error.as_report() for error in result.errors]}
    return {
        "row": result.row,
        "ok": True,
        "state": result.state,
        "work_reason": result.work_reason,
        "recipients": [each.model_dump(mode="json") for each in result.recipients],
        "cut": [each.model_dump(mode="json") for each in result.cut],
        "respelled": list(result.respelled),
    }
