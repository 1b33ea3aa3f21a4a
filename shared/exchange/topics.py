"""Where a message travels: the topic of an ordered pair of instances, worked out from their two ids and nothing else.

    causeway.inbox.<to>.<from>.v1     <from> alone writes it; <to> and audit read it

So a topic has one writer, nobody sees the offsets of another pair, and whoever knows the instances knows the topics.
No id of an instance holds a dot: `inbox_prefix` of one never covers a topic of another whose id merely begins alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import product
from typing import Final, NamedTuple

from shared.contracts import registry
from shared.exchange.correspondents import between_parties
from shared.vocabulary.routing import PartyKind

#: The instance that facts go to, and that reads every topic.
AUDIT: Final = "audit"
#: What the name of every topic of a pair begins with.
INBOXES: Final = "causeway.inbox."


class Pair(NamedTuple):
    """Two instances, of which `sender` may write to `to`; they may be one and the same."""

    to: str
    sender: str

    @property
    def topic(self) -> str:
        return inbox_topic(self.to, self.sender)


def inbox_topic(to: str, sender: str) -> str:
    """The topic in which the instance `to` is told something by the instance `sender`."""
    return f"{inbox_prefix(to)}{sender}.v1"


def inbox_prefix(to: str) -> str:
    """What the name of every topic begins with that the instance `to` reads, the last dot included."""
    return f"{INBOXES}{to}."


def pairs_of(instances: Mapping[str, str]) -> tuple[Pair, ...]:
    """The pairs among `instances` (id to kind) that may correspond, and each one's with audit; sorted."""
    kinds = _corresponding()
    pairs = {
        Pair(to, sender)
        for (to, to_kind), (sender, sender_kind) in product(instances.items(), repeat=2)
        if (sender_kind, to_kind) in kinds
    }
    stating = {name for name, kind in instances.items() if kind != PartyKind.AUDITOR}
    facts = {Pair(AUDIT, name) for name in stating if AUDIT in instances}
    return tuple(sorted(pairs | facts))


@cache
def _corresponding() -> frozenset[tuple[str, str]]:
    """(kind of the sender, kind of the recipient): where a message goes one way, its receipt comes back."""
    routes = [route for message in registry.ALL if (route := between_parties(message)) is not None]
    there = {(sender, to) for route in routes for sender, to in product(route.senders, route.recipients)}
    return frozenset(there | {(to, sender) for sender, to in there})
