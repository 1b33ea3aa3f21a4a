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
from shared.exchange.authority import cells_of
from shared.runtime.kafka.documents import DIRECTORY_TOPIC
from shared.vocabulary.routing import PartyKind

AUDIT_TOPIC: Final = "causeway.audit.v1"
TOPICS: Final = Path(__file__).parents[1] / "kafka" / "topics.json"
#: The service of each kind of party.
_SERVICES: Final[Mapping[PartyKind, str]] = {
    PartyKind.HOTLINE: "hotline",
    PartyKind.LAW_ENFORCEMENT: "law_enforcement",
    PartyKind.INDUSTRY: "industry",
    PartyKind.AUDITOR: "audit",
}
_INSTANCES = ("hotline", "law_enforcement", "industry")


@dataclass(frozen=True, slots=True)
class Route:
    """The kinds of service that send a message and those that receive it."""

    senders: tuple[str, ...]
    recipients: tuple[str, ...]


def _route(message: MessageType) -> Route:
    """Who may say it to whom, in the order in which the kinds stand on every page."""
    cells = cells_of(message)
    senders = {_SERVICES[cell.sender] for cell in cells}
    recipients = {_SERVICES[cell.recipient] for cell in cells}
    order = _SERVICES.values()
    return Route(tuple(name for name in order if name in senders), tuple(name for name in order if name in recipients))


ROUTES: Final[Mapping[MessageType, Route]] = {message: _route(message) for message in registry.ALL}


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
