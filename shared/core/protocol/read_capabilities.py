"""Read capabilities: the versions that each instance reads, and the choice of a form for a recipient.

    highest version that the recipient reads  ──can hold the content?──▶ message in this version
                                              └─no─────────────────────▶ `recipient_cannot_read`: the edge waits

A version never changes, and its reader rejects every unlisted member. A new member needs a new version of its message,
which adds only optional members. A new code needs a new edition of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from shared.core import contracts
from shared.core.acts.catalog import Catalog
from shared.core.contracts.directory import ReadMessage, ReadsAnnouncedClear
from shared.core.contracts.referral import Classification
from shared.core.contracts.registry import MessageType
from shared.core.errors import Refused
from shared.core.guard.edition import edition, known
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.engine import ENGINE
from shared.core.vocabulary import edition as vocabulary
from shared.core.vocabulary.code import Code

#: The reason why an edge waits: its recipient's instance cannot read the message. It is not a rejection.
CANNOT_READ: Final = "recipient_cannot_read"
#: The read capabilities of the first release of this format, as it announces them. This file never changes.
FIRST_READS: Final = Path(contracts.__file__).with_name("first_reads.json")


@dataclass(frozen=True, slots=True)
class Reads:
    """The read capabilities of one instance: message versions, engines, vocabulary and guard editions."""

    messages: Mapping[str, int]
    engines: frozenset[int]
    vocabulary: str
    guards: frozenset[str]

    @classmethod
    def of(cls, stated: ReadsAnnouncedClear) -> Reads:
        """Convert the announcement of an instance."""
        messages = {each.name: each.version for each in stated.messages}
        return cls(messages, frozenset(stated.engines), stated.vocabulary, frozenset(stated.guards))


@cache
def own_reads(catalog: Catalog) -> ReadsAnnouncedClear:
    """Return the read capabilities of this code: the messages in the order of the first release, then later ones."""
    names = dict.fromkeys((*_first_reads().messages, *(message.name for message in catalog.messages)))
    return ReadsAnnouncedClear(
        messages=tuple(ReadMessage(name=name, version=catalog.newest(name).version) for name in names),
        engines=(ENGINE,),
        vocabulary=vocabulary.edition(),
        guards=tuple(sorted(known())),
    )


@cache
def _first_reads() -> Reads:
    """Return the minimum read capabilities of every release of this format."""
    return Reads.of(ReadsAnnouncedClear.model_validate_json(FIRST_READS.read_bytes(), strict=True))


@dataclass(frozen=True, slots=True)
class PeerReads:
    """The latest announcement of each instance, by id."""

    announced: Mapping[str, Reads] = field(default_factory=dict)

    def of(self, instance: str, directory: DirectoryIndex) -> Reads:
        """Return the capabilities of `instance`. Before its first announcement, those in the directory apply."""
        if (announced := self.announced.get(instance)) is not None:
            return announced
        entry = directory.instance(instance)
        if entry is None or entry.reads_floor is None:
            return _first_reads()
        return Reads.of(ReadsAnnouncedClear.model_validate_json(to_json(entry.reads_floor), strict=True))


def form_for(message: MessageType, reads: Reads, clear: object, *, sealed: object = None) -> MessageType:
    """Return the version of `message` for this JSON content that an instance with `reads` can read.

    Raises `Refused("recipient_cannot_read")` if there is none. The detail says which part it cannot read.
    """
    version, form = reads.messages.get(message.name, 0), message
    while form.version > version and form.earlier is not None:
        form = form.earlier
    if form.version > version:
        raise Refused(CANNOT_READ, "the message")
    if message.edge and ENGINE not in reads.engines:
        raise Refused(CANNOT_READ, "the engine")
    if edition() not in reads.guards:
        raise Refused(CANNOT_READ, "the guard's edition")
    later = vocabulary.later_than(reads.vocabulary)
    if form is not message or later:
        _check_holds(form, later, (form.clear, clear), (form.sealed, sealed))
    return form


def _check_holds(form: MessageType, later: frozenset[str], *parts: tuple[type[BaseModel] | None, object]) -> None:
    for model, part in parts:
        if model is None or part is None:
            continue
        try:
            held = model.model_validate_json(to_json(part), strict=True)
        except ValidationError:
            raise Refused(CANNOT_READ, f"version {form.version} cannot hold the content") from None
        if later and not later.isdisjoint(_codes_in(held)):
            raise Refused(CANNOT_READ, "a code")


def _codes_in(value: object) -> Iterator[str]:
    """Yield every code in the value, in the notation of the vocabulary."""
    match value:
        case Code():
            yield vocabulary.spelt(value)
        case BaseModel():
            if isinstance(value, Classification):
                yield vocabulary.spelt_value(value.scheme, value.value)
            for _, member in value:
                yield from _codes_in(member)
        case dict():
            for name, member in value.items():
                yield from _codes_in(name)
                yield from _codes_in(member)
        case list() | tuple() | set() | frozenset():
            for member in value:
                yield from _codes_in(member)
        case _:
            return
