"""`causeway statistics`: what a month came to, published once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from deploy.site.options import OPTIONS, Options, Printed, verb

statistics_app = App(name="statistics", help="What the exchange came to, without anything that tells of few.")


@verb(statistics_app)
async def publish(
    month: str,
    /,
    *,
    into: Path,
    exercises: Annotated[bool, Parameter(negative="")] = False,
    options: Options = OPTIONS,
) -> Printed:
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
    from deploy.operator.documents import document_in_force
    from deploy.site.open import site
    from deploy.statistics import publication
    from deploy.statistics.figures import Month, read_figures
    from shared.kernel.clock import SystemClock
    from shared.routing.shelf import read_directory

    asked = Month.read(month)
    asked.require_over(SystemClock().now())
    here = site(options)
    figures = await read_figures(here.endpoints, asked, exercises=exercises)
    directory = read_directory(document_in_force(here.state, "directory"))
    files = publication.files_of(asked, figures, directory, exercises=exercises)
    return _printed(publication.publish(files, into))


@verb(statistics_app)
def biennial(first: int, /, *, published: Path, into: Path, options: Options = OPTIONS) -> Printed:
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
    from deploy.statistics.biennial import files_of
    from deploy.statistics.publication import publish as publish_files

    return _printed(publish_files(files_of(first, published), into))


def _printed(written: Sequence[Path]) -> Printed:
    names = [path.name for path in written]
    return Printed(names, names or ["nothing new: it was published before"])
