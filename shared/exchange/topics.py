"""Where a message travels: the topic of an ordered pair of instances, worked out from their two ids and nothing else.

    causeway.inbox.<to>.<from>.v1     <from> alone writes it; <to> and audit read it

So a topic has one writer, nobody sees the offsets of another pair, and whoever knows the instances knows the topics.
No id of an instance holds a dot: `inbox_prefix` of one never covers a topic of another whose id merely begins alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: The instance that facts go to, and that reads every topic.
AUDIT: Final = "audit"
#: What the name of every topic of a pair begins with.
INBOXES: Final = "causeway.inbox."
#: `inbox_topic(to, sender)`: the topic in which the instance `to` is told something by the instance `sender`. It is on
#: every message's way, which enters no file for it (`tests/services/test_walk.py`).
inbox_topic: Final[Callable[[str, str], str]] = (INBOXES + "{}.{}.v1").format


def inbox_prefix(to: str) -> str:
    """What the name of every topic begins with that the instance `to` reads, the last dot included."""
    return f"{INBOXES}{to}."
