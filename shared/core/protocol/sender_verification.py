"""Verification of a record's sender and recipient, by the directory in force at the broker's time.

The broker's time decides which keys and documents count, so it is checked. It must be the broker's own time, not stated
by a producer, and not ahead of our clock. A key that is revoked in the directory in force by *our* clock is rejected
for every broker time. Otherwise an attacker who can set that time back could use a stolen key.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Final

from shared.core.acts.catalog import Catalog
from shared.core.clock import Clock
from shared.core.contracts.registry import BETWEEN_PARTIES, STATED_BY_INSTANCES, WITHDRAWALS, MessageType
from shared.core.envelope.attributes import Attributes
from shared.core.envelope.keys import VerifyKey
from shared.core.errors import Refused, Unavailable
from shared.core.protocol.authority import AUDIT, STATEMENT_NOT_YOURS, check_may_say
from shared.core.protocol.message import Record
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import TOLERANCE, DocumentSeries
from shared.core.vocabulary.routing import PartyStatus

#: Maximum time by which the broker's clock may be ahead of the own clock.
AHEAD_MAX: Final = timedelta(minutes=10)
#: The earliest valid message time.
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)


def check_broker_time(record: Record, now: datetime) -> None:
    """Raise `Refused` for a time that a producer stated (`broker_time_stated`) or that is ahead of `now`.

    A time in the distant past means that the record waited, and is no reason to reject it.
    """
    if record.time_stated:
        raise Refused("broker_time_stated")
    if record.broker_time > now + AHEAD_MAX:
        raise Refused("broker_time_off")


def check_said_at(message: MessageType, said_at: datetime, broker_time: datetime) -> None:
    """Check that the time of a party's message is not in the future, since its acts count from that time.

    An early time means that the message waited. A message that carries a decision is limited by the time of its
    decision instead; if too old, it is decided again. Raises `Refused("message_time_off")`.
    """
    if message.family in BETWEEN_PARTIES and not _FIRST <= said_at <= broker_time + TOLERANCE:
        raise Refused("message_time_off", "its time is after the time at which the broker received it", field="ce_time")


class SigningKeys:
    """The keys of instances for proofs: (instance, key id, the broker's time) → the key, or None.

    A key counts if the directory in force at the broker's time lists it as a valid key of the instance. The directory
    in force by our own clock must not have revoked it. None while this instance has no directory.
    """

    __slots__ = ("_clock", "_directories")

    def __init__(self, directories: DocumentSeries[DirectoryIndex], clock: Clock) -> None:
        self._directories = directories
        self._clock = clock

    def __call__(self, instance: str, key_id: str, at: datetime) -> VerifyKey | None:
        try:
            directory, in_force = self._directories.active(at), self._directories.active(self._clock.now())
        except Unavailable:
            return None
        return signing_key(instance, key_id, directory, at=at, in_force=in_force)


def signing_key(
    instance: str, key_id: str, directory: DirectoryIndex, *, at: datetime, in_force: DirectoryIndex
) -> VerifyKey | None:
    """Return the instance's own key if it is valid at `at`, and revoked neither then nor now."""
    entry = directory.signing_key(key_id)
    if entry is None or entry.owner != instance or not entry.valid_at(at):
        return None
    if directory.revoked(key_id) or in_force.revoked(key_id):
        return None
    return _verify_key(entry.public)


def verify_sender(attributes: Attributes, directory: DirectoryIndex, *, writer: str, in_force: DirectoryIndex) -> None:
    """Check that the instance that wrote the stream (`writer`) serves the sender.

    The directory of the broker's time or the current one (`in_force`) must say so, because the clocks of two sides
    differ. An instance that served the party before it moved is also accepted; `check_stated_by` limits its messages.
    The writer's signature is checked elsewhere. Raises `Refused("sender_unknown")`.
    """
    served = any(serves(writer, attributes.sender, each) for each in (directory, in_force))
    if not served or attributes.source != f"/instances/{writer}":
        raise Refused("sender_unknown", field="ce_sender")


def check_stated_by(
    message: MessageType,
    attributes: Attributes,
    sender_instance: str,
    *,
    directory: DirectoryIndex,
    catalog: Catalog,
) -> None:
    """Check that instances state facts, and parties all other messages.

    A party cannot state facts for its instance. A former instance of a party may send only answers for it. Raises
    `Refused`: `sender_unknown`, and `statement_not_yours` for a message that the sender's kind may not send.
    """
    stated_by_instance = attributes.sender == sender_instance
    if stated_by_instance != (message.family in STATED_BY_INSTANCES):
        raise Refused("sender_unknown", field="ce_sender")
    if directory.served_before(sender_instance, attributes.sender) and not message.is_told_to_origin:
        raise Refused("sender_unknown", field="ce_sender")
    check_may_say(message, attributes.sender, attributes.recipient, directory=directory, catalog=catalog)


def instance_of(name: str, directory: DirectoryIndex) -> str | None:
    """Return the instance `name`, or the instance that serves the party `name`; None if unknown."""
    if name == AUDIT or directory.instance(name):
        return name
    served_by = directory.instance_of(name)
    return served_by.id if served_by else None


def serves(instance: str, name: str, directory: DirectoryIndex) -> bool:
    """Return whether the instance is `name`, serves the party of this name, or served it before it moved."""
    return instance_of(name, directory) == instance or directory.served_before(instance, name)


@lru_cache(1024)
def _verify_key(public: bytes) -> VerifyKey:
    return VerifyKey(public)


class ServingStatus(Enum):
    """The relation of the recipient to this instance."""

    NOW = "now"
    BEFORE_IT_MOVED = "before_it_moved"
    PERHAPS_SOON = "perhaps_soon"


def served_here(recipient: str, instance: str, directory: DirectoryIndex, *, in_force: DirectoryIndex) -> ServingStatus:
    """Return the recipient's relation to this instance, by the broker's time and by our own clock.

    Raises `Refused("recipient_not_served")`.
    """
    if in_force.served_before(instance, recipient):
        return ServingStatus.BEFORE_IT_MOVED
    if instance in (instance_of(recipient, directory), instance_of(recipient, in_force)):
        return ServingStatus.NOW
    here, there = in_force.instance(instance), in_force.instance_of(recipient)
    if here is not None and there is not None and here.kind == there.kind:
        return ServingStatus.PERHAPS_SOON
    raise Refused("recipient_not_served", field="ce_recipient")


def check_served(message: MessageType, served: ServingStatus) -> None:
    """Check that a message is for a party here, or an answer or withdrawal for a party that has moved.

    A party may have moved here by a directory that has not arrived yet; then the record waits for the directory.
    Withdrawals do not wait.
    """
    if served is ServingStatus.PERHAPS_SOON and message not in WITHDRAWALS:
        raise Refused("recipient_awaited", field="ce_recipient")
    if served is ServingStatus.BEFORE_IT_MOVED and message.edge:
        raise Refused("recipient_moved", field="ce_recipient")


def check_status(message: MessageType, attributes: Attributes, directory: DirectoryIndex) -> None:
    """Check that exercise records go between sandbox parties only, and that the sender is not suspended.

    For a suspended recipient the directory does not state whether it is a sandbox party. It receives nothing new, but
    it still receives withdrawals.
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
    """Check that the sender may repeat the recipient's answers: only if the recipient has moved.

    A restored database also needs its lost answers again. The code that has the database checks that case.
    """
    if not any(directory.places_of(recipient)[1:] for directory in directories):
        raise Refused(STATEMENT_NOT_YOURS, "the recipient has not moved", field="/sealed/again")
