"""Filling templates: what escapes, what a missing name does, and how times, codes and locations are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

_HERE: Final = Path(__file__).parent
#: How many characters of an id a list shows: its end, where those made in one moment differ.
_ID_END: Final = 8


def environment(*folders: Path) -> Environment:
    """Templates of these folders, then those of the frame. Everything is escaped; a missing name is an error."""
    made = Environment(
        loader=ChoiceLoader([FileSystemLoader([*folders, _HERE / "templates"])]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"at": written_time, "word": written_code, "defang": defanged, "short": short_id, "due": due_in}
    return made


def written_time(instant: datetime) -> str:
    """A time as people read it. All are UTC, which the page says once."""
    return f"{instant:%d %b %Y %H:%M}"


def due_in(instant: datetime, now: datetime) -> str:
    """How long until then, or since, in the largest unit that says something."""
    seconds = abs((instant - now).total_seconds())
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    spelt = f"{days:.0f} d" if days >= 2 else f"{hours:.0f} h" if hours >= 2 else f"{minutes:.0f} min"
    return f"in {spelt}" if instant > now else f"{spelt} overdue"


def written_code(code: object) -> str:
    """A code as words: `not_ours` is `not ours`. Parties, rules and ids are shown as they are, not by this."""
    return str(code).replace("_", " ")


def short_id(identifier: object) -> str:
    """The end of an id, for lists."""
    return str(identifier)[-_ID_END:]


def defanged(location: str) -> str:
    """A location that nothing opens and nobody follows by accident."""
    text = re.sub(r"(?i)^http", "hxxp", location)
    return re.sub(r"(?<=[^\[])([.:])(?=[^\]])", r"[\1]", text)


def folders_of(module_files: Sequence[str]) -> list[Path]:
    """The folders `templates` beside several modules."""
    return [Path(each).parent / "templates" for each in module_files]
