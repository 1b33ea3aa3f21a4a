"""What a run is built from, and the history that it leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.runtime.post.consumer import Consumer
from shared.runtime.post.relay import Relay
from shared.runtime.post.talk import Talk
from shared.runtime.post.talk_loop import Speaker
from tests.simulation.accepting import Acceptor
from tests.simulation.auditor import Auditor
from tests.simulation.desks import Desk
from tests.support.memory_outbox import MemoryLanes, MemoryOutbox
from tests.support.memory_stores import MemoryInbox


@dataclass(frozen=True, slots=True)
class Parts:
    """What the simulation is built from: the real relay and consumer. A test puts a bug in by replacing one."""

    outbox: type[MemoryOutbox] = MemoryOutbox
    lanes: type[MemoryLanes] = MemoryLanes
    inbox: type[MemoryInbox] = MemoryInbox
    relay: type[Relay] = Relay
    consumer: type[Consumer] = Consumer
    talk: type[Talk] = Talk
    speaker: type[Speaker] = Speaker
    desk: type[Desk] = Desk
    acceptor: type[Acceptor] = Acceptor
    auditor: type[Auditor] = Auditor
    moves_early: bool = False
    #: What else is another: targets as `unittest.mock.patch` names them.
    patches: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Trace:
    """The history of one run as a running hash: same seed, same hash."""

    _hash: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))
    events: int = 0

    def note(self, *event: object) -> None:
        self.events += 1
        self._hash.update(repr(event).encode())

    def digest(self) -> str:
        text: str = self._hash.hexdigest()
        return text
