"""Real addresses for the report: each file of a folder, or each folder in it, is a list. None of them is opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.artifacts.charge_model import addresses

#: Addresses with a host: a name or a literal, and only a numeric port. Lists of programs also contain parts of patterns
#: and formats, such as `https://(www`, `https://%s/` and `host:port`, which are no addresses.
_HAS_HOST: Final = re.compile(
    r"https?://(?:[^/?#@]+@)?(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+\.?)(?::[0-9]*)?(?:[/?#].*)?",
    re.DOTALL,
)


def addresses_in(folder: Path | None) -> Iterator[tuple[str, list[str]]]:
    """Return each list by its name, with its unique addresses."""
    for path in sorted(folder.iterdir()) if folder else ():
        if found := [each for each in addresses(path, most_of_a_host=None) if _HAS_HOST.fullmatch(each)]:
            yield path.stem, found
