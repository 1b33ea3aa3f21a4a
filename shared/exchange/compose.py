"""Composing a message: clear part and plaintext of the sealed part, addressed by the directory; not sealed yet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from pydantic_core import from_json, to_json

from shared.contracts.base import Contract
from shared.contracts.facts import RecordRevealedClear
from shared.contracts.registry import RECORD_REVEALED, STATED_BY_INSTANCES, MessageType
from shared.envelope.headers import Attributes, Tier, covered_headers
from shared.envelope.segment_sealing import SealContext, check_sealable
from shared.exchange.message import Draft
from shared.exchange.topics import AUDIT
from shared.guard.edition import passed
from shared.kernel.clock import coarse
from shared.kernel.errors import Refused, not_found
from shared.kernel.ids import coarse_uuid7
from shared.routing.directory_index import DirectoryIndex

#: Of these types a value is JSON as it stands: most clear parts hold nothing else.
_PLAIN: Final = frozenset({str, int})
#: The clear part: as its contract, or as the JSON of it.
Clear = Mapping[str, object] | Contract


class Addressing(NamedTuple):
    """From whom to whom a message goes, about what and when. The times and `traceparent` are those of its draft.

    `place` is the instance that is told, where that is not the one which serves the recipient now. What is `released`
    was let go by a second person, over its budget. `is_p0`: the recipient is told of a child at risk. `origin`: the
    referral, which a message groups by and never states.
    """

    subject: UUID
    sender: str
    recipient: str
    directory: DirectoryIndex
    exercise: bool
    at: datetime
    decided_at: datetime | None = None
    traceparent: str | None = None
    place: str | None = None
    released: bool = False
    is_p0: bool = False
    origin: UUID | None = None


def compose(message: MessageType, clear: Clear, addressing: Addressing, *, sealed: bytes | None = None) -> Draft:
    """Address one message under a new id. `sealed` is the plaintext of its sealed part.

    Raises `Refused("recipient_unknown")` when the directory has no such recipient or no key to seal for it,
    `Refused("sender_unknown")` when it has no such sender, `Refused("sealed_too_large")` for too much to seal.
    """
    message_id, subject = coarse_uuid7(addressing.at), str(addressing.subject)
    directory, sender, recipient = addressing.directory, addressing.sender, addressing.recipient
    served_by = directory.instance if message.family in STATED_BY_INSTANCES else directory.instance_of
    instance = served_by(recipient) if addressing.place is None else directory.instance(addressing.place)
    if instance is None:
        raise Refused("recipient_unknown", field="/recipient")
    if served_by(sender) is None:
        raise Refused("sender_unknown", field="/sender")
    stated = _stated(clear)
    context = None
    if sealed is not None:
        if directory.sealing_key(instance.id, addressing.at) is None:
            raise Refused("recipient_unknown", field="/recipient")
        check_sealable(sealed)
        context = seal_context(message, message_id, subject, clear=stated, sender=sender, recipient=recipient)
    return Draft(
        message_id=message_id,
        message=message,
        subject=subject,
        sender=sender,
        recipient=recipient,
        recipient_instance=instance.id,
        exercise=addressing.exercise,
        clear=stated,
        plaintext=sealed,
        context=context,
        created_at=addressing.at,
        decided_at=addressing.decided_at,
        traceparent=addressing.traceparent,
        guard=passed(released=addressing.released),
        is_p0=addressing.is_p0,
        origin=addressing.origin,
    )


def _stated(clear: Clear) -> dict[str, object]:
    """The clear part as plain JSON values: ids, times and codes as their texts."""
    if isinstance(clear, Contract):
        return clear.model_dump(mode="json", exclude_none=True)
    if all(type(each) in _PLAIN for each in clear.values()):
        return {**clear}
    stated: dict[str, object] = from_json(to_json(clear))
    return stated


def headers_of(draft: Draft, *, instance: str) -> tuple[tuple[str, str], ...]:
    """Return the covered headers of a draft that `instance` sends. Raises `Refused("header_malformed")`."""
    attributes = Attributes(
        id=draft.message_id,
        type=draft.message.type,
        source=f"/instances/{instance}",
        time=coarse(draft.created_at),
        subject=draft.subject,
        dataschema=draft.message.schema,
        sender=draft.sender,
        recipient=draft.recipient,
        tier=Tier.HOSTED,
        exercise=draft.exercise,
        guard=draft.guard,
    )
    return covered_headers(attributes)


def compose_reachable(
    message: MessageType, clear: Clear, addressing: Addressing, *, sealed: bytes | None = None
) -> list[Draft]:
    """Compose a message; none where its recipient has left: what is done does not hang on who is to be told."""
    if addressing.directory.instance_of(addressing.recipient) is None:
        return []
    return [compose(message, clear, addressing, sealed=sealed)]


def seal_context(
    message: MessageType, message_id: UUID, subject: str, *, clear: Mapping[str, object], sender: str, recipient: str
) -> SealContext:
    """What binds a sealed part to its message: the same on both sides. What names no revision counts as 0."""
    revision = clear.get("revision", 0)
    assert isinstance(revision, int)
    return SealContext(
        schema=message.schema,
        message_id=message_id,
        subject=subject,
        revision=revision,
        sender=sender,
        recipient=recipient,
    )


def compose_fact(
    message: MessageType,
    clear: Clear,
    *,
    subject: UUID,
    instance: str,
    directory: DirectoryIndex,
    exercise: bool,
    at: datetime,
    traceparent: str | None = None,
    sealed: bytes | None = None,
) -> Draft:
    """A fact with no recipient but audit, stated by the instance itself; `sealed`: the plaintext of its sealed part."""
    addressing = Addressing(
        subject=subject,
        sender=instance,
        recipient=AUDIT,
        directory=directory,
        exercise=exercise,
        at=at,
        traceparent=traceparent,
    )
    return compose(message, clear, addressing, sealed=sealed)


def compose_revealed(
    subject: UUID, opened: RecordRevealedClear, *, exercise: bool, directory: DirectoryIndex, at: datetime
) -> Draft:
    """The fact for a referral or a notice, `subject`, that was opened at `at`. It goes with the reading.

    Raises `Refused("not_found")` for a party that no instance serves any more.
    """
    instance = directory.instance_of(opened.party)
    if instance is None:
        raise not_found()
    return compose_fact(
        RECORD_REVEALED,
        opened,
        subject=subject,
        instance=instance.id,
        directory=directory,
        exercise=exercise,
        at=at,
    )
