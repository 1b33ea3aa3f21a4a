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


_TO_AGENCIES_AND_HOTLINES = Route(_ORIGINS, ("hotline", "law_enforcement"))
_BACK_FROM_THEM = Route(("hotline", "law_enforcement"), _ORIGINS)
_TO_PROVIDERS, _FROM_PROVIDERS = Route(_ORIGINS, ("industry",)), Route(("industry",), _ORIGINS)
_FROM_AGENCIES = Route(("law_enforcement",), _ORIGINS)
_FROM_ORIGINS_TO_AUDIT = Route(_ORIGINS, ("audit",))

ROUTES: Final[Mapping[MessageType, Route]] = {
    registry.REFERRAL_OFFERED: _TO_AGENCIES_AND_HOTLINES,
    registry.REFERRAL_WITHDRAWN: _TO_AGENCIES_AND_HOTLINES,
    registry.WITHDRAWAL_ACKNOWLEDGED: _BACK_FROM_THEM,
    registry.NOTICE_ISSUED: _TO_PROVIDERS,
    registry.NOTICE_WITHDRAWN: _TO_PROVIDERS,
    registry.NOTICE_WITHDRAWAL_ACKNOWLEDGED: _FROM_PROVIDERS,
    registry.NOTICE_ACKNOWLEDGED: _FROM_PROVIDERS,
    registry.NOTICE_ACTIONED: _FROM_PROVIDERS,
    registry.NOTICE_REJECTED: _FROM_PROVIDERS,
    registry.NOTICE_NOT_OURS: _FROM_PROVIDERS,
    registry.CASE_ACCEPTED: _FROM_AGENCIES,
    registry.CASE_DECLINED: _FROM_AGENCIES,
    registry.OUTCOME_REPORTED: _FROM_AGENCIES,
    registry.MESSAGES_RECEIPTED: Route(_INSTANCES, _INSTANCES),
    registry.REFERRAL_DECIDED: _FROM_ORIGINS_TO_AUDIT,
    registry.REFERRAL_REFUSED: _FROM_ORIGINS_TO_AUDIT,
    registry.MESSAGE_PARKED: Route(_INSTANCES, ("audit",)),
    registry.RECORD_REVEALED: Route(_INSTANCES, ("audit",)),
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
