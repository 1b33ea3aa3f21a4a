"""The smaller lock files, derived from `dev.lock`: `run.lock` for an instance, `demo.lock` for the demo.

`python -m deploy.install.locks` writes both again. Each holds entries of `dev.lock` unchanged, hashes included.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import requires
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "requirements"
DEV: Final = FOLDER / "dev.lock"
#: By lock file, the optional groups of `pyproject.toml` that it adds to the project's own dependencies.
DERIVED: Final[Mapping[str, tuple[str, ...]]] = {"run.lock": (), "demo.lock": ("stack",)}
#: The markers of the oldest supported Python, which needs the most packages.
_OLDEST: Final = {"python_version": "3.11", "python_full_version": "3.11.0"}


def derive_lock(name: str) -> str:
    """Return the text of a derived lock file: the entries of `dev.lock` that its requirements need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project["optional-dependencies"]
    wanted = _reach([*project["dependencies"], *(text for group in DERIVED[name] for text in groups[group])])
    return "".join(entry for package, entry in lock_entries(DEV).items() if package in wanted)


def lock_entries(file: Path) -> dict[str, str]:
    """Return the entries of a lock file by the package's canonical name."""
    entries = re.split(r"^(?=[A-Za-z0-9])", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {canonicalize_name(entry.partition("==")[0]): entry for entry in entries if "==" in entry}


def _reach(texts: Iterable[str]) -> set[str]:
    """Return the names of all packages that these requirements need, with the extras that each asks for."""
    waiting, seen = [Requirement(text) for text in texts], set[tuple[str, frozenset[str]]]()
    while waiting:
        found = waiting.pop()
        name, extras = canonicalize_name(found.name), frozenset(found.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for text in requires(name) or ():
            further = Requirement(text)
            if further.marker is None or any(
                further.marker.evaluate({"extra": extra} | _OLDEST) for extra in ("", *extras)
            ):
                waiting.append(further)
    return {name for name, _ in seen}


if __name__ == "__main__":
    for written in DERIVED:
        (FOLDER / written).write_text(derive_lock(written), encoding="utf-8")
