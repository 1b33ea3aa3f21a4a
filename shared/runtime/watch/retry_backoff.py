"""What a process does by its rules and could not do: each subject is set aside by itself, and tried again slowly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.runtime.watch.health import Check
from shared.runtime.watch.metrics import SUBJECTS_ASIDE

#: A pause doubles with each try that fails.
FIRST_PAUSE: Final = timedelta(minutes=1)
PAUSE_MAX: Final = timedelta(hours=1)
#: The subject and its party.
Key = tuple[UUID, str]


@dataclass(slots=True)
class SetAside:
    """What waits in this process, by act. A process that starts tries everything once."""

    #: Since when, and how long it pauses.
    _waits: dict[tuple[str, Key], tuple[datetime, timedelta]] = field(default_factory=dict)

    def put(self, act: str, key: Key, at: datetime) -> None:
        """Note what could not be done at `at`."""
        known = self._waits.get((act, key))
        pause = FIRST_PAUSE if known is None else min(known[1] * 2, PAUSE_MAX)
        self._waits[act, key] = at, pause
        SUBJECTS_ASIDE.set(len(self._waits))

    def done(self, act: str, key: Key) -> None:
        """Whatever it was, it waits no more."""
        if self._waits.pop((act, key), None) is not None:
            SUBJECTS_ASIDE.set(len(self._waits))

    def waiting(self, act: str, at: datetime) -> Sequence[Key]:
        """What is not to be tried yet. What lies ahead was noted before our clock was set back: it may be tried."""
        waits = self._waits.items()
        return [key for (of, key), (since, pause) in waits if of == act and timedelta(0) <= at - since < pause]

    def again(self, act: str, at: datetime) -> Sequence[Key]:
        """What has failed and may be tried once more."""
        waiting = set(self.waiting(act, at))
        return [key for of, key in self._waits if of == act and key not in waiting]

    async def check(self) -> Check:
        """For /readyz: always ready, since nothing else waits for it; that there is something is shown."""
        return Check("rules", True, "subjects_set_aside" if self._waits else "")
