"""`causeway statistics`: what a month came to, published once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from client.cli import output
from deploy.site.options import Options, ending

statistics_app = App(name="statistics", help="What the exchange came to, without anything that tells of few.")
_OPTIONS = Options()


@statistics_app.command
def publish(
    month: str,
    /,
    *,
    into: Path,
    exercises: Annotated[bool, Parameter(negative="")] = False,
    options: Options = _OPTIONS,
) -> int:
    """Write the tables and plots of a month that is over, once: figures that were published stay as they are.

    Each origin's database is read as its accountant. Parties are counted together until no number of theirs is below
    five.

    Parameters
    ----------
    month
        As YYYY-MM, in UTC.
    into
        The folder of what is published; made if it is not there.
    exercises
        Count exercises, and nothing else. They are never counted among the rest.
    """
    with ending(options):
        import asyncio

        from deploy.operator.documents import document_in_force
        from deploy.site.open import site
        from deploy.statistics.figures import Month, read_figures
        from deploy.statistics.publication import files_of
        from deploy.statistics.publication import publish as publish_files
        from shared.kernel.clock import SystemClock
        from shared.routing.shelf import read_directory

        asked = Month.read(month)
        asked.require_over(SystemClock().now())
        here = site(options)
        figures = asyncio.run(read_figures(here.endpoints, asked, exercises=exercises))
        directory = read_directory(document_in_force(here.state, "directory"))
        written = publish_files(files_of(asked, figures, directory, exercises=exercises), into)
        if options.json:
            output.document([path.name for path in written])
        else:
            for path in written:
                output.line(path.name)
            if not written:
                output.line("nothing new: it was published before")
        return output.DONE
