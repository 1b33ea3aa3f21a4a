"""`causeway operator-list`: lines of messaging that a person must look at."""

from __future__ import annotations

from uuid import UUID

from cyclopts import App

from client.cli import output
from deploy.site.options import Options, ending
from shared.messaging.ports import OperatorKind

operator_list_app = App(name="operator-list")
_OPTIONS = Options()
_COLUMNS = ("kind", "peer", "subject", "act", "opened_at", "closed_by", "meaning")


@operator_list_app.command
async def show(name: str, /, *, closed: bool = False, options: Options = _OPTIONS) -> int:
    """Show the open lines of an instance, oldest first; exit code 1 if there is one.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    closed
        Show closed lines, too.
    """
    with ending(options):
        from deploy.operator.operator_list import list_lines
        from deploy.site.open import site

        lines = await list_lines(site(options).endpoints.database(name).service_url, closed=closed)
        found = [line.as_json() for line in lines]
        if options.json:
            output.document({"lines": found})
        else:
            output.table(_COLUMNS, [[each[column] or "" for column in _COLUMNS] for each in found])
        return output.FAILED if any(line.closed_at is None for line in lines) else output.DONE


@operator_list_app.command
async def close(
    name: str,
    kind: OperatorKind,
    peer: str,
    /,
    *,
    by: str,
    subject: UUID | None = None,
    act: UUID | None = None,
    options: Options = _OPTIONS,
) -> int:
    """Close lines that you have dealt with. The same finding opens a line again.

    Parameters
    ----------
    name
        The instance, by its name in the directory.
    kind
        The kind of line.
    peer
        The instance that the line names.
    by
        Your name, kept with the line.
    subject
        Only lines of this subject.
    act
        Only lines of this act.
    """
    with ending(options):
        from deploy.operator.operator_list import close_lines
        from deploy.site.open import site

        url = site(options).endpoints.database(name).service_url
        count = await close_lines(url, kind, peer, closed_by=by, subject=subject, act=act)
        if options.json:
            output.document({"closed": count})
        else:
            output.line(f"{count} closed")
        return output.DONE
