"""Why something is refused, and what to do about it."""

from __future__ import annotations

from typing import NamedTuple


class Why(NamedTuple):
    """One code: what has happened, and what whoever reads it does. Texts of ours, never a value."""

    cause: str
    mend: str
