"""Who sends which message to whom, and through which topic: the table behind AsyncAPI and `docs/messages.md`.

The pages of the services (`services/*/README.md`) say the same; a test holds them against this table. It names kinds of
service; topics are those of default instances, whose ids are the names of their kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final, NamedTuple

from deploy.artifacts.schemas import OF_DIRECTORY, message_name
from deploy.kafka.derive import manifest_of
from deploy.kafka.provision import TopicRule
from shared.contracts import registry
from shared.contracts.registry import MessageType
from shared.exchange.authority import cells_of
from shared.exchange.correspondents import Pair, pairs_of
from shared.exchange.topics import AUDIT
from shared.runtime.delivery.control import CONTROL_TYPES
from shared.runtime.kafka.documents import DIRECTORY_TOPIC
from shared.vocabulary.routing import PartyKind

#: The default instances, by id with their kind.
KINDS: Final[Mapping[str, str]] = {
    **{name: name for name in ("hotline", "law_enforcement", "industry")},
    AUDIT: PartyKind.AUDITOR,
}
#: The messages of delivery itself, by the name of their CloudEvents type without `causeway.`.
CONTROL: Final = tuple(sorted(type_text.removeprefix("causeway.") for type_text in CONTROL_TYPES.values()))


class Route(NamedTuple):
    """The kinds of service that send a message and those that receive it."""

    senders: tuple[str, ...]
    recipients: tuple[str, ...]


def _route(message: MessageType) -> Route:
    """Who may say it to whom, in the order in which the kinds stand on every page."""
    cells = cells_of(message)
    senders, recipients = {cell.sender for cell in cells}, {cell.recipient for cell in cells}
    return Route(
        tuple(name for name, kind in KINDS.items() if kind in senders),
        tuple(name for name, kind in KINDS.items() if kind in recipients),
    )


ROUTES: Final[Mapping[MessageType, Route]] = {message: _route(message) for message in registry.ALL}


def topics() -> Mapping[str, TopicRule]:
    """Every topic of the default instances, as `causeway topics apply` makes them."""
    return manifest_of(KINDS).topics


@cache
def pairs() -> Mapping[str, Pair]:
    """Who may write to whom, by topic."""
    return {pair.topic: pair for pair in pairs_of(KINDS)}


def messages_on(topic: str) -> tuple[MessageType, ...]:
    """The messages that are written to a topic, in the order of the registry."""
    pair = pairs().get(topic)
    if pair is None:
        return ()
    return tuple(each for each, route in ROUTES.items() if pair.sender in route.senders and pair.to in route.recipients)


def names_on(topic: str) -> list[str]:
    """Return the names of all records that a topic may hold; none for a topic that is not of this installation.

    Of the records of delivery itself audit writes acknowledgements alone, and none of its messages is sent to audit.
    """
    if topic == DIRECTORY_TOPIC:
        return [*OF_DIRECTORY]
    if (pair := pairs().get(topic)) is None:
        return []
    proofs = [] if pair.sender == AUDIT else ["proof_record.v1"]
    control = () if AUDIT in (pair.sender, pair.to) else CONTROL
    return [*map(message_name, messages_on(topic)), *proofs, "acknowledgement.v1", *control]


def readers_of(topic: str) -> tuple[str, ...]:
    """The services that read a topic. Audit reads every one."""
    if topic == DIRECTORY_TOPIC:
        return tuple(KINDS)
    pair = pairs().get(topic)
    return () if pair is None else tuple(dict.fromkeys((pair.to, AUDIT)))
