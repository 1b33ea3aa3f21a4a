"""Which files a piece of work enters, in which order: the way through the house that a reader has to go."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from tests.architecture.source import PRODUCT, ROOT

#: Entered on the way by everything that speaks or answers HTTP, and by what it stands on: no stop for a reader.
_UNDERFOOT = ("shared/runtime/", "shared/kernel/")
_GUARD = "shared/guard/"
#: Not functions that a reader goes to: a module's own body, and what is written within an expression.
_NO_STEP = {"<module>", "<lambda>", "<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>"}


@dataclass
class Footsteps:
    """The product's files in the order in which they are entered; one after itself counts once."""

    steps: list[str] = field(default_factory=list)
    calls: int = 0

    @property
    def files(self) -> list[str]:
        """The files, in the order of their first entry."""
        return list(dict.fromkeys(self.steps))

    @property
    def outside_the_guard(self) -> list[str]:
        """The files but those of the guard, which is entered for every string and is one room to a reader."""
        return [file for file in self.files if not file.startswith(_GUARD)]

    @property
    def first_after_the_edge(self) -> str | None:
        """The first file that is neither of the machinery nor of what everything stands on."""
        return next((file for file in self.files if not file.startswith(_UNDERFOOT)), None)

    def figures(self) -> str:
        """What was counted, in one line."""
        folders = {file.rpartition("/")[0] for file in self.files}
        return (
            f"{len(self.files)} files in {len(folders)} folders, {len(self.outside_the_guard)} outside the guard; "
            f"{len(self.steps) - 1} moves, {self.calls} calls"
        )

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        """The interpreter's profile function: told of every call, and of much else."""
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
    """Follow what this thread does, also in other tasks of its event loop, until the block ends."""
    steps, before = Footsteps(), sys.getprofile()
    sys.setprofile(steps)
    try:
        yield steps
    finally:
        sys.setprofile(before)


_KNOWN: dict[str, str | None] = {}


def _file(name: str) -> str | None:
    """A file of the product as the repository names it; None for every other."""
    if name not in _KNOWN:
        path = Path(name)
        inside = path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in PRODUCT
        _KNOWN[name] = str(path.relative_to(ROOT)) if inside else None
    return _KNOWN[name]
