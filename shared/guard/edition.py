"""Which guard a message passed: the guard names itself by what it is, not by a number that somebody must remember."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Final

from shared.guard.charge import shipped

_DIGITS = 32
#: How `ce_guard` ends: after the edition, whether the record kept to its budget or was let go by a second person.
NORMAL, RELEASED = " normal", " released"
#: Editions of earlier releases whose texts are taken as well: what they let pass, the guard of today looks at again.
READ_EDITIONS: Final[frozenset[str]] = frozenset()


@lru_cache(1)
def edition() -> str:
    """The guard as it is, 32 hexadecimal digits: the first 128 bits of a SHA-256 over its modules, model and templates.

    Any change of the guard is another edition. Each file counts with its name and its length. Raises `ValueError` when
    the model is not the one that `charge` names: who serves asks this first, and does not start.
    """
    shipped()
    guard = hashlib.sha256()
    here = files("shared.guard")
    parts = [*here.iterdir(), *here.joinpath("data").iterdir()]
    for part in sorted((each for each in parts if each.is_file()), key=lambda each: each.name):
        text = part.read_bytes()
        guard.update(f"{part.name}:{len(text)}\n".encode() + text)
    return guard.hexdigest()[:_DIGITS]


def passed(*, released: bool = False) -> str:
    """What a message states of the guard that its texts passed: `ce_guard`. `released`: by two, to the ceiling."""
    return edition() + (RELEASED if released else NORMAL)
