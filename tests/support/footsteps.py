"""The files that a piece of work enters, in their order: the way that a reader of the code has to go."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from tests.architecture.source import PRODUCT, ROOT

#: Entered by everything that handles HTTP, and by its foundations. A reader does not stop there.
_ROOTS = ("authority", "canonical", "clock", "codes/__init__", "errors", "ids")
_UNDERFOOT = ("shared/platform/", "shared/instance/", *(f"shared/core/{root}.py" for root in _ROOTS))
_GUARD = "shared/core/guard/"
#: Code that is no function for a reader: a module's own body, and code within an expression.
_NO_STEP = {"<module>", "<lambda>", "<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>"}


@dataclass
class Footsteps:
    """The product's files in the order in which they are entered. Repeated entries in a row count once."""

    steps: list[str] = field(default_factory=list)
    calls: int = 0

    @property
    def files(self) -> list[str]:
        """Return the files, in the order of their first entry."""
        return list(dict.fromkeys(self.steps))

    @property
    def outside_the_guard(self) -> list[str]:
        """Return the files outside the guard, which is entered for every string and counts as one room for a reader."""
        return [file for file in self.files if not file.startswith(_GUARD)]

    @property
    def first_after_the_edge(self) -> str | None:
        """Return the first file outside `shared/platform`, `shared/instance` and the roots of `shared/core`."""
        return next((file for file in self.files if not file.startswith(_UNDERFOOT)), None)

    def figures(self) -> str:
        """Return the counts in one line."""
        folders = {file.rpartition("/")[0] for file in self.files}
        return (
            f"{len(self.files)} files in {len(folders)} folders, {len(self.outside_the_guard)} outside the guard; "
            f"{len(self.steps) - 1} moves, {self.calls} calls"
        )

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        """Note a call. The interpreter calls this profile function for other events, too."""
        if event != "call" or frame.f_code.co_name in _NO_STEP:
            return
        file = _file(frame.f_code.co_filename)
        if file is None:
            return
        self.calls += 1
        if self.steps[-1:] != [file]:
            self.steps.append(file)


@contextmanager
def footsteps() -> Iterator[Footsteps]:
    """Trace this thread until the block ends, including other tasks of its event loop."""
    steps, before = Footsteps(), sys.getprofile()
    sys.setprofile(steps)
    try:
        yield steps
    finally:
        sys.setprofile(before)


_KNOWN: dict[str, str | None] = {}


def _file(name: str) -> str | None:
    """Return the repository path of a product file, or None for any other file."""
    if name not in _KNOWN:
        path = Path(name)
        inside = path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in PRODUCT
        _KNOWN[name] = str(path.relative_to(ROOT)) if inside else None
    return _KNOWN[name]
