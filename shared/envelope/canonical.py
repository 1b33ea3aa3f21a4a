"""The bytes a signature covers.

For each covered header, in sorted order: its name, `:`, its value, a line feed. Then one line feed, then the exact
body. The names are fixed and no value holds a line feed, so no two messages have the same covered bytes.
"""

from __future__ import annotations

from shared.envelope.headers import COVERED, Attributes
from shared.kernel.canonical import digest
from shared.ledger.tree import leaf_hash

_HEAD = "".join(f"{name}:%s\n" for name in COVERED) + "\n"


def covered_bytes(attributes: Attributes, body: bytes) -> bytes:
    """What is signed of a message with these attributes and exactly this body."""
    return (_HEAD % attributes.texts).encode() + body


def message_digest(attributes: Attributes, body: bytes) -> str:
    """SHA-256 of the covered bytes, 64 lower-case hexadecimal digits: how receipts name a message's content."""
    return digest(covered_bytes(attributes, body))


def leaf(attributes: Attributes, body: bytes) -> bytes:
    """The message's leaf hash in its batch's tree, 32 bytes."""
    return leaf_hash(covered_bytes(attributes, body))
