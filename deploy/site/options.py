"""What every verb that acts on a site takes, and how it ends: 0 well or done, 1 not so, 2 wrong call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from client.cli import output


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Options:
    """What every verb takes."""

    site: Path | None = None
    """Site file of the installation. Without it, CAUSEWAY_SITE."""
    state: Path | None = None
    """State directory of a development stack, instead of a site file. Without either, CAUSEWAY_DEV_STATE_DIR."""
    json: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Print one JSON document instead of text."""


#: Turns a coded failure inside it into a message and an exit code.
ending = output.coded
