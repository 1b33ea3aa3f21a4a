"""The numbers that instances speak of in marks and gone statements, as audit keeps them. Pure."""

from __future__ import annotations

from typing import Final

from services.audit.domain.entries import Asked, Numbers, NumbersAre, Read
from shared.contracts.delivery import GoneClear, MarksClear, Numbering
from shared.envelope.headers import Attributes
from shared.exchange.senders import instance_of, serves
from shared.exchange.topics import inbox_topic
from shared.routing.directory_index import DirectoryIndex

_INSTANCES: Final = "/instances/"


def note_taken(topic: str, attributes: Attributes, read: Read) -> None:
    """That the number of a proven message was seen: its source is the instance that signed it."""
    numbering = attributes.sender, attributes.recipient, attributes.epoch
    instance, number = attributes.source.removeprefix(_INSTANCES), attributes.sequence
    read.numbers.append(Numbers(*numbering, instance, topic, NumbersAre.TAKEN, number, number))


def note_marks(clear: MarksClear, instance: str, read: Read, *, directory: DirectoryIndex) -> None:
    """How far the instance has numbered: what audit has not seen of it is a hole, though nothing came after."""
    for sent in clear.sent:
        given = _numbers(sent, instance, NumbersAre.GIVEN, directory=directory)
        read.numbers.append(given._replace(last=sent.last))
    if clear.asking:
        read.asked.append(Asked(instance, clear.nonce))


def note_gone(clear: GoneClear, instance: str, read: Read, *, directory: DirectoryIndex) -> None:
    """Which numbers nobody holds any more: audit waits for them no longer, and names them."""
    for each in clear.numbers:
        gone = _numbers(each, instance, NumbersAre.GONE, directory=directory)
        read.numbers += [gone._replace(first=first, last=last) for first, last in each.spans]


def _numbers(of: Numbering, instance: str, what: NumbersAre, *, directory: DirectoryIndex) -> Numbers:
    to = instance_of(of.recipient, directory)
    # To whom the directory does not have nobody can begin to number: made-up recipients would have no end.
    own = to is not None and serves(instance, of.sender, directory)
    topic = inbox_topic(to, instance) if to is not None else ""
    return Numbers(of.sender, of.recipient, of.epoch, instance, topic, what, 0, 0, own)
