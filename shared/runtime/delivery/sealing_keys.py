"""The keys that messages are sealed for: those of the instances that serve their recipients."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from shared.envelope.keys import SealingKey
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused
from shared.messaging.composition import RecipientKey
from shared.routing.directory_index import DirectoryIndex


class DirectorySealingKeys:
    """Finds the key of an instance in the directory in force (`composition.SealingKeys`)."""

    def __init__(self, directory: Callable[[], DirectoryIndex], clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    def __call__(self, instance: str, recipient: str) -> RecipientKey:
        """Return the key. Raises `Refused("recipient_unknown")` if the instance has none now."""
        entry = self._directory().sealing_key(instance, self._clock.now())
        if entry is None:
            raise Refused("recipient_unknown", field="/recipient")
        return RecipientKey(_load(entry.public))


@lru_cache(1024)
def _load(public: bytes) -> SealingKey:
    return SealingKey(public)
