"""The packages that an instance needs to run, locked: those of `dev.lock` to which the project's own lead.

`python -m deploy.install.run_lock` writes `requirements/run.lock` again. Whoever can change that file decides what is
installed: by hash, as in the file that it is taken from.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DEV = ROOT / "requirements" / "dev.lock"
RUN = ROOT / "requirements" / "run.lock"
#: As the oldest Python would have it: it needs the most.
_OLDEST = {"python_version": "3.11", "python_full_version": "3.11.0"}


def run_lock() -> str:
    """The text of the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = _reached(project["dependencies"])
    entries = re.split(r"^(?=\S)", DEV.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return "".join(entry for entry in entries if canonicalize_name(entry.partition("==")[0]) in wanted)


def _reached(texts: Iterable[str]) -> set[str]:
    """The names of packages that these requirements lead to, with the extras that each asks for."""
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
    RUN.write_text(run_lock(), encoding="utf-8")
