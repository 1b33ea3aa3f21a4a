"""Real addresses for the report: each file of a folder, or each folder in it, is a list. None of them is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deploy.artifacts.charge_model import addresses


def addresses_in(folder: Path | None) -> Iterator[tuple[str, list[str]]]:
    """Each list by its name, with its addresses, none of them twice."""
    for path in sorted(folder.iterdir()) if folder else ():
        if found := list(addresses(path, most_of_a_host=None)):
            yield path.stem, found
