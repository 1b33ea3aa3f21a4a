"""Real addresses for the report: each file of a folder, or each folder in it, is a list. None of them is opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.artifacts.charge_model import addresses

#: What has a host: a name or a literal, and no port but a number. Programs also have pieces of patterns and of formats,
#: `https://(www`, `https://%s/`, `host:port`, which lead nowhere; nobody reports one.
_HAS_HOST: Final = re.compile(
    r"https?://(?:[^/?#@]+@)?(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+\.?)(?::[0-9]*)?(?:[/?#].*)?",
    re.DOTALL,
)


def addresses_in(folder: Path | None) -> Iterator[tuple[str, list[str]]]:
    """Each list by its name, with its addresses, none of them twice."""
    for path in sorted(folder.iterdir()) if folder else ():
        if found := [each for each in addresses(path, most_of_a_host=None) if _HAS_HOST.fullmatch(each)]:
            yield path.stem, found
