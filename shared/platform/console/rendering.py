"""Template rendering: escaping, missing names, and the formats of times, codes and locations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

_HERE: Final = Path(__file__).parent
#: The number of characters of an id that a list shows. Ids of one moment differ only at their end.
_ID_END: Final = 8


def environment(*folders: Path) -> Environment:
    """Load templates of these folders, then those of the frame. Every value is escaped; a missing name is an error."""
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
    """Format a time for people. All times are UTC; the page says so once."""
    return f"{instant:%d %b %Y %H:%M}"


def due_in(instant: datetime, now: datetime) -> str:
    """Format the time until, or since, `instant` in the largest useful unit."""
    seconds = abs((instant - now).total_seconds())
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    spelt = f"{days:.0f} d" if days >= 2 else f"{hours:.0f} h" if hours >= 2 else f"{minutes:.0f} min"
    return f"in {spelt}" if instant > now else f"{spelt} overdue"


def written_code(code: object) -> str:
    """Return a code as words: `not_ours` becomes `not ours`. Parties, rules and ids are shown unchanged."""
    return str(code).replace("_", " ")


def short_id(identifier: object) -> str:
    """Return the end of an id, for lists."""
    return str(identifier)[-_ID_END:]


def defanged(location: str) -> str:
    """Defang a location, so that neither a program nor a person opens it by accident."""
    text = re.sub(r"(?i)^http", "hxxp", location)
    return re.sub(r"(?<=[^\[])([.:])(?=[^\]])", r"[\1]", text)


def folders_of(module_files: Sequence[str]) -> list[Path]:
    """Return the folder `templates` next to each module."""
    return [Path(each).parent / "templates" for each in module_files]
