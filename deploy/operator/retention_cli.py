"""`causeway retention`: how long what is kept, and ending what is past its period."""

from __future__ import annotations

from cyclopts import App

from client.cli import output
from deploy.site.options import Options, ending
from shared.kernel.clock import SystemClock

retention_app = App(name="retention")
_OPTIONS = Options()


@retention_app.command
async def show(*names: str, options: Options = _OPTIONS) -> int:
    """Say of each table how long it keeps what, who decides on that, and how much there is now.

    `each` is bytes for each referral of a hotline, case, notice, or edge that audit was told of. What has no days stays
    for ever, or ends by itself: the reason says which.

    Parameters
    ----------
    names
        Instances, by their names in the directory; all of the site's if none is named.
    """
    with ending(options):
        from deploy.operator.database import chosen
        from deploy.operator.retention import show as held
        from deploy.site.open import owned_databases

        databases = chosen(owned_databases(options), names)
        found = {name: [each.as_json() for each in await held(database)] for name, database in databases.items()}
        if options.json:
            output.document(found)
        else:
            columns = ("table", "class", "way", "days", "owner", "rows", "bytes", "each", "reason")
            rows = [(name, *(each[column] for column in columns)) for name, held_ in found.items() for each in held_]
            output.table(("instance", *columns), rows)
        return output.DONE


@retention_app.command(name="apply")
async def apply_(*names: str, options: Options = _OPTIONS) -> int:
    """End what is past its period: drop months, delete rows, erase records by their keys. Run it every day.

    Parameters
    ----------
    names
        Instances, by their names in the directory; all of the site's if none is named.
    """
    with ending(options):
        from deploy.operator.database import chosen
        from deploy.operator.retention import apply
        from deploy.site.open import owned_databases

        now, databases = SystemClock().now(), chosen(owned_databases(options), names)
        found = {name: [each.as_json() for each in await apply(database, now)] for name, database in databases.items()}
        if options.json:
            output.document(found)
        else:
            columns = ("table", "way", "ended")
            rows = [(name, *(each[column] for column in columns)) for name, ended in found.items() for each in ended]
            output.table(("instance", *columns), rows)
        return output.DONE
