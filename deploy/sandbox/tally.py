"""What a sandbox process did and what it met, as JSON lines on standard output. Parties and codes only."""

from __future__ import annotations

import json
import sys
from collections import Counter


class Tally:
    """Counts acts and problems. Each party's first problem of a code is told at once."""

    def __init__(self) -> None:
        self._acts: Counter[str] = Counter()
        self._problems: Counter[tuple[str, str]] = Counter()

    def did(self, act: str) -> None:
        self._acts[act] += 1

    def met(self, party: str, code: str) -> None:
        self._problems[party, code] += 1
        if self._problems[party, code] == 1:
            say("problem", party=party, code=code)

    def counts(self) -> dict[str, dict[str, int]]:
        """Acts by name, problems by code."""
        problems: Counter[str] = Counter()
        for (_, code), count in self._problems.items():
            problems[code] += count
        return {"acts": dict(sorted(self._acts.items())), "problems": dict(sorted(problems.items()))}


def say(event: str, **fields: object) -> None:
    """One line, at once."""
    sys.stdout.write(json.dumps({"event": event, **fields}, separators=(",", ":")) + "\n")
    sys.stdout.flush()
