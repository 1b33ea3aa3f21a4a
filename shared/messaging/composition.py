"""Composition of segments: group, seal, salt and prove the messages of one transaction, before any lock on streams.

    value  the clear part as canonical JSON ‖ line feed ‖ the sealed part as bytes (absent: nothing after the line feed)

A transaction with fewer than 16 referrals has a group for each recipient party, so that two providers of one referral
share no byte of evidence. A party with an opening key of its own always has its own groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from shared.envelope.content_proof import GROUP_MESSAGES_MAX, draw_salt, leaf_digest, prove_content
from shared.envelope.keys import SealingKey, SigningKey
from shared.envelope.sealing import SealContext
from shared.envelope.segment_sealing import GroupSealer
from shared.kernel.canonical import canonical_json
from shared.kernel.errors import Refused
from shared.messaging.placement import SALT, covered_bytes
from shared.messaging.segments import OutgoingMessage, RecordBytes, Unplaced
from shared.messaging.streams import Lane, Pair

#: From so many referrals a transaction has one group an instance instead of one a recipient party.
SHARED_GROUP_REFERRALS: Final = 16
TRACEPARENT: Final = "traceparent"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ComposedMessage:
    """A message before it is sealed: its addressee, its covered headers, its clear part and its sealed plaintext.

    `headers`: the covered headers with their values (`ce_…` and the content type). `origin`: the referral, or the
    subject where there is none; the number of origins decides how messages are grouped. `plaintext` is None for a
    message without a sealed part.
    """

    message_id: UUID
    kind: str
    pair: Pair
    lane: Lane
    recipient: str
    subject: UUID
    origin: UUID
    headers: tuple[tuple[str, str], ...]
    clear: Mapping[str, Any]
    plaintext: bytes | None = None
    context: SealContext | None = None
    traceparent: str | None = None
    is_own_state: bool = False
    is_p0: bool = False


class RecipientKey(NamedTuple):
    """The key that a recipient's messages are sealed for; `is_own`: the party holds it, not its instance."""

    key: SealingKey
    is_own: bool = False


#: (instance, recipient party) → the key to seal for.
SealingKeys = Callable[[str, str], RecipientKey]


def compose_segments(
    messages: Sequence[ComposedMessage], *, key: SigningKey, sealing_keys: SealingKeys
) -> list[Unplaced]:
    """Seal and prove the messages of one transaction; return one unplaced segment for each pair and lane.

    Their order within a stream is the order given. Raises `Refused("sealed_too_large")`.
    """
    is_shared = len({message.origin for message in messages}) >= SHARED_GROUP_REFERRALS
    streams: dict[tuple[Pair, Lane], list[ComposedMessage]] = {}
    for message in messages:
        streams.setdefault((message.pair, message.lane), []).append(message)
    return [
        _compose(pair, lane, together, key=key, keys=sealing_keys, is_shared=is_shared)
        for (pair, lane), together in sorted(streams.items(), key=lambda each: each[0])
    ]


def split_value(value: bytes) -> tuple[bytes, bytes | None]:
    """Split a record's value into the clear part's JSON and the sealed part. Raises `Refused("body_invalid")`."""
    clear, found, sealed = value.partition(b"\n")
    if not found:
        raise Refused("body_invalid")
    return clear, sealed or None


def _compose(
    pair: Pair, lane: Lane, messages: list[ComposedMessage], *, key: SigningKey, keys: SealingKeys, is_shared: bool
) -> Unplaced:
    sent: dict[int, OutgoingMessage] = {}
    groups: list[tuple[tuple[int, ...], bytes]] = []
    for recipient_key, members in _grouped(messages, keys, is_shared=is_shared):
        sealer = GroupSealer(recipient_key.key) if recipient_key else None
        for member in members:
            sent[member] = _sealed(messages[member], sealer)
        groups.append((members, b"" if sealer is None else sealer.wrap))
    ordered = tuple(sent[index] for index in range(len(messages)))
    return Unplaced(pair, lane, ordered, prove_content(groups, [message.digest for message in ordered], key))


def _grouped(
    messages: Sequence[ComposedMessage], keys: SealingKeys, *, is_shared: bool
) -> Iterable[tuple[RecipientKey | None, tuple[int, ...]]]:
    """Yield the groups of a stream: the key to seal for (None: nothing is sealed), and the indexes of the messages."""
    groups: dict[tuple[str, bool], list[int]] = {}
    found: dict[tuple[str, bool], RecipientKey | None] = {}
    for index, message in enumerate(messages):
        is_sealed = message.plaintext is not None
        recipient_key = keys(message.pair.addressee, message.recipient) if is_sealed else None
        is_alone = not is_shared or (recipient_key is not None and recipient_key.is_own)
        name = (message.recipient if is_alone else "", is_sealed)
        groups.setdefault(name, []).append(index)
        found[name] = recipient_key
    for name, members in groups.items():
        for start in range(0, len(members), GROUP_MESSAGES_MAX):
            yield found[name], tuple(members[start : start + GROUP_MESSAGES_MAX])


def _sealed(message: ComposedMessage, sealer: GroupSealer | None) -> OutgoingMessage:
    sealed = b""
    if sealer is not None and message.plaintext is not None and message.context is not None:
        sealed = sealer.seal(message.plaintext, message.context)
    value = canonical_json(dict(message.clear)) + b"\n" + sealed
    headers = tuple((name, text.encode()) for name, text in message.headers)
    salt = draw_salt()
    digest = leaf_digest(salt, covered_bytes(headers, value))
    telemetry = () if message.traceparent is None else ((TRACEPARENT, message.traceparent.encode()),)
    record = RecordBytes(str(message.subject).encode(), (*headers, (SALT, salt), *telemetry), value)
    return OutgoingMessage(
        message_id=message.message_id,
        kind=message.kind,
        subject=message.subject,
        digest=digest,
        record=record,
        is_own_state=message.is_own_state,
        is_p0=message.is_p0,
    )
