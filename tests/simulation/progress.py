"""How far a run of many seeds came, in a file: whoever stops it goes on, as long as the code is the same."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]


@dataclass(slots=True)
class Progress:
    """Seeds done from the first on, how many had violations, and what happened in all of them."""

    file: Path | None
    done: int = 0
    failed: int = 0
    totals: dict[str, int] = field(default_factory=dict)
    _of: str = ""

    def begin(self, first: int) -> int:
        """How many seeds from `first` on are done by this code."""
        self._of = f"{first} {_digest()}"
        if self.file is not None and self.file.exists():
            noted = json.loads(self.file.read_text())
            if noted["of"] == self._of:
                self.done, self.failed, self.totals = noted["done"], noted["failed"], noted["totals"]
        return self.done

    def add(self, counts: Mapping[str, int], *, failed: bool) -> None:
        self.done += 1
        self.failed += failed
        self.totals = dict(Counter(self.totals) + Counter(counts))

    def note(self) -> None:
        if self.file is not None:
            noted = {"of": self._of, "done": self.done, "failed": self.failed, "totals": self.totals}
            self.file.write_text(json.dumps(noted))


def _digest() -> str:
    """Of what a seed's run is made of: every file of this checkout that is loaded."""
    loaded = {Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    found = hashlib.sha256()
    for path in sorted(each for each in loaded if each.is_relative_to(_ROOT) and ".venv" not in each.parts):
        found.update(path.read_bytes())
    return found.hexdigest()
