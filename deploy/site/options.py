"""What every verb that acts on a site takes, and how it ends: 0 well or done, 1 not so, 2 wrong call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from client.cli import output
from shared.kernel.errors import CausewayError, Refused


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


@contextmanager
def ending(options: Options) -> Iterator[None]:
    """Turn a coded failure into a message and an exit code."""
    try:
        yield
    except CausewayError as error:
        output.failure(error, as_json=options.json)
        wrong_call = isinstance(error, Refused) and error.status == 400
        raise SystemExit(output.WRONG_CALL if wrong_call else output.FAILED) from None
