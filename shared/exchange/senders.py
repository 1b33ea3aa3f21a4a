"""Who sent a record: the one answer for every reader, by the directory in force when the broker took the record.

The broker's time decides which keys and documents count, so it is not simply believed: it must be the broker's own, not
stated by a producer, and not ahead of our clock. A key revoked in the directory in force by *our* clock is refused
whatever time the broker says: else whoever can set that time back could speak with a stolen key.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from shared.contracts.registry import BETWEEN_PARTIES, MARKS, STATED_BY_INSTANCES, MessageType
from shared.envelope.attributes import Attributes, Envelope, Tier
from shared.envelope.batch import RootCache, verify
from shared.envelope.keys import VerifyKey
from shared.exchange.authority import check_may_say
from shared.exchange.message import Record
from shared.exchange.origin import ANSWERS
from shared.exchange.topics import AUDIT
from shared.kernel.errors import Refused
from shared.routing.derive import TOLERANCE
from shared.routing.directory_index import DirectoryIndex

#: How far the broker's clock may be ahead of ours.
AHEAD_MAX: Final = timedelta(minutes=10)
#: No message was written before it.
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
#: What begins the type of that which has no number, in every version.
_UNNUMBERED: Final = f"causeway.{MARKS.name}.v"


def check_broker_time(record: Record, now: datetime) -> None:
    """Raises `Refused` for a time that a producer has stated (`broker_time_stated`) or that has not come yet by `now`.

    A time long past is that of a record that waited, and no reason to refuse it.
    """
    if record.time_stated:
        raise Refused("broker_time_stated")
    if record.broker_time > now + AHEAD_MAX:
        raise Refused("broker_time_off")


def check_said_at(message: MessageType, said_at: datetime, broker_time: datetime) -> None:
    """What a party says is counted from the time that its message states, so that is no time which has not come.

    One long past is that of a message that waited. What carries a decision is bounded by that one's time instead: then
    it is decided again. Raises `Refused("message_time_off")`.
    """
    if message.family in BETWEEN_PARTIES and not _FIRST <= said_at <= broker_time + TOLERANCE:
        raise Refused("message_time_off", "written after the broker took it", field="ce_time")


def verify_sender(
    envelope: Envelope, directory: DirectoryIndex, *, at: datetime, in_force: DirectoryIndex, roots: RootCache
) -> str:
    """The instance that sent it. Success says: the sender's own signature, by a key valid at `at`, the broker's time.

    `in_force` is the directory of now, by our own clock. An instance that served the party before it moved is its
    sender too: what it may still say, `check_stated_by` says. Raises `Refused`: `sender_unknown`, `key_revoked`,
    the codes of `shared.envelope.batch.verify`, and `header_malformed` for what has no number and should.
    """
    attributes = envelope.attributes
    instance = attributes.source.removeprefix("/instances/")
    # The clocks of two sides differ: whoever is served elsewhere by now may have been, by the broker's, a moment ago.
    places = [each for each in (directory, in_force) if serves(instance, attributes.sender, each)]
    if not places or attributes.source != f"/instances/{instance}":
        raise Refused("sender_unknown", field="ce_sender")
    directory = places[0]

    if directory.revoked(attributes.key_id) or in_force.revoked(attributes.key_id):
        raise Refused("key_revoked", field="ce_keyid")

    def key_of(sender: str, key_id: str) -> VerifyKey | None:
        entry = directory.signing_key(key_id)
        # Tier `party` claims the party's own key, tier `hosted` that of the instance which serves it: no more, no less.
        owner = sender if attributes.tier is Tier.PARTY else instance
        if entry is None or entry.owner != owner or not entry.valid_at(at):
            return None
        return _verify_key(entry.public)

    verify(envelope, key_of, roots)
    if attributes.sequence == 0 and not attributes.type.startswith(_UNNUMBERED):
        raise Refused("header_malformed", "only marks have no number", field="ce_sequence")
    return instance


def check_stated_by(
    message: MessageType, attributes: Attributes, sender_instance: str, *, directory: DirectoryIndex
) -> None:
    """Receipts and facts are stated by an instance itself: a party cannot receipt for the one that serves it.

    Whoever served a party until it moved says no more for it than what it answers. Raises `Refused`: `sender_unknown`,
    and `statement_not_yours` for what the sender's kind may not say.
    """
    stated_by_instance = attributes.sender == sender_instance
    if stated_by_instance != (message.family in STATED_BY_INSTANCES):
        raise Refused("sender_unknown", field="ce_sender")
    if directory.served_before(sender_instance, attributes.sender) and message not in ANSWERS:
        raise Refused("sender_unknown", field="ce_sender")
    check_may_say(message, attributes.sender, attributes.recipient, directory=directory)


def instance_of(name: str, directory: DirectoryIndex) -> str | None:
    """The instance that is `name`, or that serves the party `name`; None for a name the directory does not have."""
    if name == AUDIT or directory.instance(name):
        return name
    served_by = directory.instance_of(name)
    return served_by.id if served_by else None


def serves(instance: str, name: str, directory: DirectoryIndex) -> bool:
    """Whether the instance is `name`, serves the party of this name, or served it before it moved."""
    return instance_of(name, directory) == instance or directory.served_before(instance, name)


@lru_cache(1024)
def _verify_key(public: bytes) -> VerifyKey:
    return VerifyKey(public)
