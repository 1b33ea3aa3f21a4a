"""The data of the guard's editions: files that are what the release says they are, or are not used."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

FOLDER: Final[Traversable] = files("shared.guard").joinpath("data")


def verified(name: str, sha256: str) -> bytes:
    """The bytes of a file. Raises `ValueError` where it is not the one of this digest."""
    data = FOLDER.joinpath(name).read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"the guard's {name} is not the one of its edition: install the release again")
    return data
