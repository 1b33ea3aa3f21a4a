"""Whether an instance serves a recipient: now, before it moved away, or perhaps by a directory that is to come.

And whether the directory lets its sender and it have to do with each other.
"""

from __future__ import annotations

from enum import Enum

from shared.contracts.registry import BETWEEN_PARTIES, WITHDRAWALS, MessageType
from shared.envelope.headers import Attributes
from shared.exchange.authority import STATEMENT_NOT_YOURS
from shared.exchange.senders import instance_of
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.routing import PartyStatus


class Served(Enum):
    """Whether the recipient is served here."""

    NOW = "now"
    BEFORE_IT_MOVED = "before_it_moved"
    PERHAPS_SOON = "perhaps_soon"


def served_here(recipient: str, instance: str, directory: DirectoryIndex, *, in_force: DirectoryIndex) -> Served:
    """By the broker's time, and by our own clock. Raises `Refused("recipient_not_served")`."""
    if in_force.served_before(instance, recipient):
        return Served.BEFORE_IT_MOVED
    if instance in (instance_of(recipient, directory), instance_of(recipient, in_force)):
        return Served.NOW
    here, there = in_force.instance(instance), in_force.instance_of(recipient)
    if here is not None and there is not None and here.kind == there.kind:
        return Served.PERHAPS_SOON
    raise Refused("recipient_not_served", field="ce_recipient")


def check_served(message: MessageType, served: Served) -> None:
    """Check that a message is for us: for somebody here, or an answer or withdrawal of what has moved away.

    A party may have moved here by a directory that has not come yet: then the record waits for it. A
    withdrawal waits for nothing.
    """
    if served is Served.PERHAPS_SOON and message not in WITHDRAWALS:
        raise Refused("recipient_awaited", field="ce_recipient")
    if served is Served.BEFORE_IT_MOVED and message.edge:
        raise Refused("recipient_moved", field="ce_recipient")


def check_status(message: MessageType, attributes: Attributes, directory: DirectoryIndex) -> None:
    """Sandbox parties send and get exercise records, live parties none; a suspended party sends nothing.

    Of a suspended recipient the directory does not say which it is. It is sent nothing new, and is told all the same
    what is taken back from it.
    """
    if message.family not in BETWEEN_PARTIES:
        return
    sender, recipient = directory.party(attributes.sender), directory.party(attributes.recipient)
    if sender is not None and sender.status == PartyStatus.SUSPENDED:
        raise Refused("sender_suspended", field="ce_sender")
    for party in (sender, recipient):
        status = party.status if party is not None else None
        if status != PartyStatus.SUSPENDED and (not status or attributes.exercise != (status == PartyStatus.SANDBOX)):
            raise Refused("exercise_mismatch", field="ce_exercise")


def check_told_of(recipient: str, *directories: DirectoryIndex) -> None:
    """What a recipient has answered is its own to say. Its sender tells of it only where it was elsewhere before.

    What it has forgotten is told to a restored database alone: that is for whoever has the database to look at.
    """
    if not any(directory.places_of(recipient)[1:] for directory in directories):
        raise Refused(STATEMENT_NOT_YOURS, "its recipient has not moved", field="/sealed/again")
