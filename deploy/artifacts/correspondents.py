"""Who sends which message to whom, and through which topic: the table behind AsyncAPI and `docs/messages.md`.

The pages of the services (`services/*/README.md`) say the same; a test holds them against this table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared.contracts import registry
from shared.contracts.registry import MessageType
from shared.exchange.acts import ACTS, Subject, Track
from shared.runtime.kafka.documents import DIRECTORY_TOPIC

AUDIT_TOPIC: Final = "causeway.audit.v1"
TOPICS: Final = Path(__file__).parents[1] / "kafka" / "topics.json"
_ORIGINS = ("hotline", "industry")
_INSTANCES = ("hotline", "law_enforcement", "industry")


@dataclass(frozen=True, slots=True)
class Route:
    """The kinds of service that send a message and those that receive it."""

    senders: tuple[str, ...]
    recipients: tuple[str, ...]


#: The kind of service that has each kind of subject.
_HELD_BY: Final[Mapping[Subject, str]] = {
    Subject.OFFER: "hotline",
    Subject.CASE: "law_enforcement",
    Subject.NOTICE: "industry",
}


def _between_parties(message: MessageType) -> Route | None:
    """Between an origin and its recipients, as the rows of acts say; None for what instances state themselves."""
    rows = [row for row in ACTS if row.message is message]
    if not rows:
        return None
    recipients = tuple(_HELD_BY[row.subject] for row in rows)
    return Route(_ORIGINS, recipients) if rows[0].track is Track.OFFER else Route(recipients, _ORIGINS)


_STATED_BY_INSTANCES: Final[Mapping[MessageType, Route]] = {
    registry.MESSAGES_RECEIPTED: Route(_INSTANCES, _INSTANCES),
    registry.READS_ANNOUNCED: Route(_INSTANCES, (*_INSTANCES, "audit")),
    # Audit's own marks and wants will have topics of their own; until then it writes nowhere.
    registry.MARKS: Route(_INSTANCES, (*_INSTANCES, "audit")),
    registry.WANTED: Route(_INSTANCES, _INSTANCES),
    registry.GONE: Route(_INSTANCES, (*_INSTANCES, "audit")),
    registry.STANDING: Route(_INSTANCES, _INSTANCES),
    registry.REFERRAL_DECIDED: Route(_ORIGINS, ("audit",)),
    registry.REFERRAL_REFUSED: Route(_ORIGINS, ("audit",)),
    registry.MESSAGE_PARKED: Route(_INSTANCES, ("audit",)),
    registry.RECORD_REVEALED: Route(_INSTANCES, ("audit",)),
    registry.EPOCH_OPENED: Route(_INSTANCES, ("audit",)),
}
ROUTES: Final[Mapping[MessageType, Route]] = {
    message: _between_parties(message) or _STATED_BY_INSTANCES[message] for message in registry.ALL
}


def topic_of(recipient: str) -> str:
    """The topic that the default instance of this kind of service reads (the sample directory's)."""
    return AUDIT_TOPIC if recipient == "audit" else f"causeway.inbox.{recipient}.v1"


def topics() -> Mapping[str, Any]:
    """Partitions and configuration of every topic, as `causeway topics apply` makes them."""
    read: Mapping[str, Any] = json.loads(TOPICS.read_bytes())
    return read


def messages_on(topic: str) -> tuple[MessageType, ...]:
    """The messages that are written to a topic, in the order of the registry."""
    return tuple(message for message, route in ROUTES.items() if topic in map(topic_of, route.recipients))


def readers_of(topic: str) -> tuple[str, ...]:
    """The services that read a topic. Audit reads every one."""
    if topic == DIRECTORY_TOPIC:
        return (*_INSTANCES, "audit")
    return tuple(dict.fromkeys([*(name for name in _INSTANCES if topic_of(name) == topic), "audit"]))
