"""Corresponding instances, derived from the allowed statements (`authority`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import product
from typing import Final, NamedTuple

from shared.core.contracts.registry import STATED_BY_INSTANCES
from shared.core.protocol.authority import cells
from shared.core.vocabulary.routing import PartyKind

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


class InstancePair(NamedTuple):
    """Two instances, of which `sender` may write to `to`. They may be the same instance."""

    to: str
    sender: str

    @property
    def topic(self) -> str:
        return inbox_topic(self.to, self.sender)


def pairs_of(instances: Mapping[str, str]) -> tuple[InstancePair, ...]:
    """Return the pairs among `instances` (id to kind) that may correspond, and those with audit; sorted."""
    kinds = _corresponding()
    pairs = {
        InstancePair(to, sender)
        for (to, to_kind), (sender, sender_kind) in product(instances.items(), repeat=2)
        if (sender_kind, to_kind) in kinds
    }
    stating = {name for name, kind in instances.items() if kind != PartyKind.AUDITOR}
    facts = {InstancePair(AUDIT, name) for name in stating if AUDIT in instances}
    acks = {InstancePair(pair.sender, AUDIT) for pair in facts}
    return tuple(sorted(pairs | facts | acks))


@cache
def _corresponding() -> frozenset[tuple[str, str]]:
    """Return (kind of sender, kind of recipient), in both directions for acknowledgements."""
    there = {
        (cell.sender.value, cell.recipient.value) for cell in cells() if cell.message.family not in STATED_BY_INSTANCES
    }
    return frozenset(there | {(to, sender) for sender, to in there})
