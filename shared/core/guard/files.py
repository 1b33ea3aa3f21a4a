"""Data files of the guard's editions. A file is used only if it has the digest in the release."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

FOLDER: Final[Traversable] = files("shared.core.guard").joinpath("data")


def verified(name: str, sha256: str) -> bytes:
    """Return the bytes of a file. Raises `ValueError` if they do not have this digest."""
    data = FOLDER.joinpath(name).read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"the guard's {name} is not the one of its edition: install the release again")
    return data
