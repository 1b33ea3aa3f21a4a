"""Topic names. The topic of an ordered pair of instances is derived from their two ids alone.

    causeway.inbox.<to>.<from>.v1     only <from> writes it; <to> and audit read it

Each topic has one writer, and no instance sees the offsets of another pair. The ids of the instances give the names of
all topics. No instance id contains a dot, so an `inbox_prefix` never covers a topic of another instance with a longer
id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: The instance that facts go to, and that reads every topic.
AUDIT: Final = "audit"
#: The common prefix of the topics of all pairs.
INBOXES: Final = "causeway.inbox."
#: `inbox_topic(to, sender)`: the topic from the instance `sender` to the instance `to`. It is a bound method, so that a
#: message enters no further module for it (`tests/services/test_walk.py`).
inbox_topic: Final[Callable[[str, str], str]] = (INBOXES + "{}.{}.v1").format


def inbox_prefix(to: str) -> str:
    """Return the common prefix of all topics that the instance `to` reads, including the last dot."""
    return f"{INBOXES}{to}."
