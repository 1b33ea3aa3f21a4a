"""`causeway due`: deadlines, soonest first."""

from __future__ import annotations

from uuid import UUID

from cyclopts import App
from cyclopts.types import PositiveInt

from client.cli import output
from client.cli.settings import Options

app = App(name="due", help="List your deadlines and those of your counterparts, soonest first.")
_OPTIONS = Options()
_COLUMNS = ("subject", "due", "what", "by")


@app.default
async def due(*, subject: UUID | None = None, limit: PositiveInt = 20, options: Options = _OPTIONS) -> int:
    """List the first open deadline of each edge, soonest first, in UTC. `!` marks overdue ones.

    Parameters
    ----------
    subject
        List all open deadlines of this referral, case, offer or notice.
    limit
        The maximum number of lines.
    """
    async with output.service(options) as client:
        found = await output.first(client.due(subject=subject, limit=min(limit, output.PAGE_MAX)), limit)
        if options.json:
            output.document([each.model_dump(mode="json") for each in found])
        else:
            rows = [
                (each.subject, f"{each.due_at:%Y-%m-%d %H:%M}{'!' * each.overdue}", each.due, each.owed_by)
                for each in found
            ]
            output.table(_COLUMNS, rows)
        return output.DONE
