"""Retry backoff of subjects for which a process could not apply a rule. Each subject is retried on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.platform.observability.health import Check
from shared.platform.observability.metrics import SUBJECTS_ASIDE

#: A pause doubles with each failed attempt.
FIRST_PAUSE: Final = timedelta(minutes=1)
PAUSE_MAX: Final = timedelta(hours=1)
#: The subject and its party.
Key = tuple[UUID, str]


@dataclass(slots=True)
class RetryBackoff:
    """The subjects in retry backoff in this process, by act. A process that starts tries every subject once."""

    #: The time of the last failure, and the pause after it.
    _waits: dict[tuple[str, Key], tuple[datetime, timedelta]] = field(default_factory=dict)

    def put(self, act: str, key: Key, at: datetime) -> None:
        """Record that an act on a subject failed at `at`."""
        known = self._waits.get((act, key))
        pause = FIRST_PAUSE if known is None else min(known[1] * 2, PAUSE_MAX)
        self._waits[act, key] = at, pause
        SUBJECTS_ASIDE.set(len(self._waits))

    def done(self, act: str, key: Key) -> None:
        """Remove a subject from retry backoff, if it is in it."""
        if self._waits.pop((act, key), None) is not None:
            SUBJECTS_ASIDE.set(len(self._waits))

    def waiting(self, act: str, at: datetime) -> Sequence[Key]:
        """Return the subjects that must not be tried yet.

        A failure in the future predates a clock set back: retry it.
        """
        waits = self._waits.items()
        return [key for (of, key), (since, pause) in waits if of == act and timedelta(0) <= at - since < pause]

    def again(self, act: str, at: datetime) -> Sequence[Key]:
        """Return the subjects that failed and may be tried again."""
        waiting = set(self.waiting(act, at))
        return [key for of, key in self._waits if of == act and key not in waiting]

    async def check(self) -> Check:
        """Return a check that is always ready, because no other work waits.

        It shows whether subjects are in backoff.
        """
        return Check("rules", True, "subjects_set_aside" if self._waits else "")
