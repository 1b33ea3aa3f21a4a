"""`causeway statistics`: what a month came to, published once."""

from __future__ import annotations

from collections.abc import Sequence
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

    Each origin's database is read as its accountant. Parties are counted together until each number other than zero
    has three contributors, none with more than 70 percent, and without any one of them at least five.

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
        _say(publish_files(files_of(asked, figures, directory, exercises=exercises), into), options)
        return output.DONE


@statistics_app.command
def biennial(first: int, /, *, published: Path, into: Path, options: Options = _OPTIONS) -> int:
    """Sum two years of published months by country: what a country reports of them. Nothing is counted anew.

    Parameters
    ----------
    first
        The first of the two years.
    published
        The folder with the tables of all 24 months.
    into
        The folder of what is written; made if it is not there. What is there and says otherwise stays.
    """
    with ending(options):
        from deploy.statistics.biennial import files_of
        from deploy.statistics.publication import publish as publish_files

        _say(publish_files(files_of(first, published), into), options)
        return output.DONE


def _say(written: Sequence[Path], options: Options) -> None:
    if options.json:
        output.document([path.name for path in written])
        return
    for path in written:
        output.line(path.name)
    if not written:
        output.line("nothing new: it was published before")
