"""Who sent a record: the one answer for every reader, by the directory in force when the broker took the record."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from shared.contracts.registry import Family, MessageType
from shared.envelope.attributes import BEFORE_EPOCHS, Attributes, Envelope, Tier
from shared.envelope.batch import RootCache, verify
from shared.envelope.keys import VerifyKey
from shared.exchange.topics import AUDIT
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex


def verify_sender(envelope: Envelope, directory: DirectoryIndex, *, at: datetime, roots: RootCache) -> str:
    """The instance that sent it. Success says: the sender's own signature, by a key valid at `at`, the broker's time.

    Raises `Refused`: `sender_unknown`, and the codes of `shared.envelope.batch.verify`.
    """
    attributes = envelope.attributes
    instance = instance_of(attributes.sender, directory)
    if instance is None or attributes.source != f"/instances/{instance}":
        raise Refused("sender_unknown", field="ce_sender")

    def key_of(sender: str, key_id: str) -> VerifyKey | None:
        entry = directory.signing_key(key_id)
        # Tier `party` claims the party's own key, tier `hosted` that of the instance which serves it: no more, no less.
        owner = sender if attributes.tier is Tier.PARTY else instance
        if entry is None or entry.owner != owner or not entry.valid_at(at):
            return None
        return _verify_key(entry.public)

    verify(envelope, key_of, roots)
    return instance


def check_format(attributes: Attributes) -> None:
    """What the first release signed is read by nobody: its sender is told that this is why."""
    if attributes.epoch == BEFORE_EPOCHS:
        raise Refused("format_superseded", "the format of the first release", field="ce_epoch")


def check_stated_by(message: MessageType, attributes: Attributes, sender_instance: str) -> None:
    """Receipts and facts are stated by an instance itself: a party cannot receipt for the one that serves it."""
    stated_by_instance = attributes.sender == sender_instance
    if stated_by_instance != (message.family in (Family.RECEIPT, Family.FACT)):
        raise Refused("sender_unknown", field="ce_sender")


def instance_of(name: str, directory: DirectoryIndex) -> str | None:
    """The instance that is `name`, or that serves the party `name`; None for a name the directory does not have."""
    if name == AUDIT or directory.instance(name):
        return name
    served_by = directory.instance_of(name)
    return served_by.id if served_by else None


@lru_cache(1024)
def _verify_key(public: bytes) -> VerifyKey:
    return VerifyKey(public)
