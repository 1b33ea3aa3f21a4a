"""Tracks: messaging's view of a message between parties, computed equally by sender and recipient.

A subject (a referral, a notice, a preservation) has one track for each pair of its owner and another party. Everything
on a track is an act with an id: an edge in one revision, or an act of either party. Facts have no track.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from hashlib import sha256
from typing import Final
from uuid import UUID

from shared.core.acts.catalog import Catalog
from shared.core.contracts.registry import WITHDRAWALS, Family, MessageType, name_of
from shared.core.ids import uuid_of
from shared.messaging.exceptions import MALFORMED, NamedMessage
from shared.messaging.streams import DIGEST_BYTES, WireRole

#: All content consists of acts, so a held subject always has this revision and these bytes as content.
REVISION: Final = 1
CONTENT: Final = bytes(DIGEST_BYTES)

#: The kind of a message whose type is not known here. The type's own name is input, and is not stored.
UNKNOWN: Final = "unknown"

_TRACK_CONTEXT: Final = b"causeway-track/v1\n"
_EDGE_CONTEXT: Final = b"causeway-edge-act/v1\n"
_LOW_BITS: Final = (1 << 74) - 1
_FORM_OF_8: Final = (0x8 << 76) | (0b10 << 62)


@cache
def role_of(message: MessageType) -> WireRole:
    """Return the role of a message type in the protocol."""
    if message in WITHDRAWALS:
        return WireRole.WITHDRAWAL
    if message.family is Family.FACT:
        return WireRole.FACT
    return WireRole.ANSWER if message.is_answer else WireRole.STATE


def track_of(message: MessageType, sender: str, recipient: str, *, subject: UUID) -> UUID | None:
    """Return the key of the track that a message is about, or None for a fact.

    The key keeps the first 48 bits of the subject's id, which are its day. The rest is a digest of owner, other party
    and subject. The owner is the sender, or the recipient of an answer.
    """
    role = role_of(message)
    if role is WireRole.FACT:
        return None
    return key_of(*parties_of(role, sender, recipient), subject=subject)


@lru_cache(4096)  # each step of a batch names the tracks of its messages
def key_of(owner: str, other: str, *, subject: UUID) -> UUID:
    """Return the key of the track of a subject of `owner` with another party."""
    return _form(subject.int >> 80, sha256(_TRACK_CONTEXT + f"{owner}\n{other}\n{subject}\n".encode()).digest())


def parties_of(role: WireRole, sender: str, recipient: str) -> tuple[str, str]:
    """Return owner and other party of a track."""
    return (recipient, sender) if role is WireRole.ANSWER else (sender, recipient)


def act_of(message_id: UUID, clear: Mapping[str, object]) -> UUID:
    """Return the act that a message states: its own id for an act, a digest of edge and revision, or the message's id.

    Raises `ValueError` for invalid ids.
    """
    if (act := clear.get("act")) is not None:
        return UUID(str(act))
    if (edge_id := clear.get("edge_id")) is not None:
        return edge_act(UUID(str(edge_id)), clear.get("revision") or 1)
    return message_id


def edge_act(edge_id: UUID, revision: object) -> UUID:
    """Return the act of an edge in one revision."""
    digest = sha256(_EDGE_CONTEXT + f"{edge_id}\n{revision}\n".encode()).digest()
    return _form(int.from_bytes(digest[10:16]), digest)


def named_of(
    message_id: UUID, message: MessageType, *, sender: str, recipient: str, subject: UUID, clear: Mapping[str, object]
) -> NamedMessage:
    """Return the name of a message for messaging. Raises `ValueError` for invalid ids in `clear`."""
    role = role_of(message)
    track = track_of(message, sender, recipient, subject=subject)
    if role in (WireRole.FACT, WireRole.WITHDRAWAL):
        return NamedMessage(message_id, role, message.name, track)
    has_content = role is WireRole.STATE and message.edge
    return NamedMessage(
        message_id,
        role,
        message.name,
        track,
        REVISION if has_content else None,
        CONTENT if has_content else None,
        (act_of(message_id, clear),),
    )


def name_unread(
    message_id: UUID,
    type_text: str,
    catalog: Catalog,
    *,
    sender: str,
    recipient: str,
    subject: UUID,
    clear: Mapping[str, object],
) -> NamedMessage:
    """Return the name of a message whose CloudEvents type this release may not read.

    Another version of a known message is named as the newest that is known. An unknown message has no track: it is
    named as a fact and stays an exception until a release reads it.
    """
    name = name_of(type_text)
    if catalog.knows(name):
        message = catalog.by_type.get(type_text) or catalog.newest(name)
        return named_of(message_id, message, sender=sender, recipient=recipient, subject=subject, clear=clear)
    return NamedMessage(message_id, WireRole.FACT, UNKNOWN if name else MALFORMED, None)


def _form(high: int, digest: bytes) -> UUID:
    """Return a UUID of version 8 from 48 bits and the last 74 bits that a digest has in its first 80."""
    low = int.from_bytes(digest[:10]) & _LOW_BITS
    return uuid_of((high << 80) | _FORM_OF_8 | ((low >> 62) << 64) | (low & ((1 << 62) - 1)))
