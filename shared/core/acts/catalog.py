"""The catalogue of a release: the messages and acts of all features, by name, type and subject. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from shared.core.acts.act import Act, Cause, Subject, Track
from shared.core.acts.table import ACTS
from shared.core.canonical import JsonView
from shared.core.contracts import registry
from shared.core.contracts.registry import Family, MessageType
from shared.core.errors import Defect


class Feature(NamedTuple):
    """The messages and acts of a feature, as data. `examples` has the values of each schema, by the schema's name.

    `kept` has the retention rule of each of its tables, as `deploy/operator/retention_policy.json` has those of others.

    An act of a feature outside the core leaves the tracks of its subject as they are (`Act.stays`); the feature has its
    own state in its own table. So the states of subjects need no catalogue.
    """

    name: str
    messages: tuple[MessageType, ...]
    acts: tuple[Act, ...]
    examples: Mapping[str, JsonView] = MappingProxyType({})
    kept: tuple[JsonView, ...] = ()


class Catalog:
    """The messages and acts that a release knows, in the order of its features. It never changes."""

    def __init__(self, features: Iterable[Feature]) -> None:
        """Raises `Defect("message_without_track")` for a feature whose messages and acts do not fit together."""
        self.features = tuple(features)
        for each in self.features:
            _check(each)
        self.messages = tuple(message for each in self.features for message in each.messages)
        self.acts = tuple(act for each in self.features for act in each.acts)
        self.examples = {name: values for each in self.features for name, values in each.examples.items()}
        self.by_type: Mapping[str, MessageType] = MappingProxyType({each.type: each for each in self.messages})
        in_order = sorted(self.messages, key=lambda message: message.version)
        self._newest = {message.name: message for message in in_order}
        sending = [(act, act.message.name) for act in self.acts if act.message is not None]
        self._acts = {name: tuple(act for act, sent in sending if sent == name) for name in self._newest}

    def knows(self, name: str) -> bool:
        """Return whether there is a message of this name, in any version."""
        return name in self._newest

    def newest(self, name: str) -> MessageType:
        """Return the highest version of a message that this release reads. Raises `KeyError` for an unknown name."""
        return self._newest[name]

    def acts_of(self, message: MessageType) -> tuple[Act, ...]:
        """Return the acts that a message tells, in any of its versions: one for each kind of subject."""
        return self._acts[message.name]

    def acts_on(self, subject: Subject) -> tuple[Act, ...]:
        """Return the acts on a kind of subject."""
        return tuple(each for each in self.acts if each.subject is subject)

    def personal(self, subject: Subject) -> tuple[Act, ...]:
        """Return the acts that a party's people and machines do on their subjects."""
        return tuple(each for each in self.acts_on(subject) if each.cause in (Cause.PERSON, Cause.SECOND_PERSON))


def _check(feature: Feature) -> None:
    sent = {each.message.name for each in feature.acts if each.message is not None}
    names = {message.name for message in feature.messages if message.family is not Family.FACT}
    for name in sorted(names ^ sent):
        part = "act that sends" if name in names else "message"
        raise Defect("message_without_track", f"feature {feature.name} has no {part} {name}")
    for act in feature.acts:
        if act.message is not None and act.message.is_answer != (act.track is Track.ANSWER):
            raise Defect("message_without_track", f"feature {feature.name}: the other side sends {act.message.name}")
        if feature.name != CORE.name and not act.stays:
            raise Defect("message_without_track", f"feature {feature.name}: {act.name} moves its subject")


#: The first feature: the messages and acts that the core uses by name.
CORE: Final = Feature("core", registry.ALL, ACTS)
