"""Composing a message: clear part and sealed part into one body, addressed by the directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

from pydantic_core import to_json

from shared.contracts.acceptance import SignedAcceptance
from shared.contracts.base import Contract
from shared.contracts.facts import RECEIPT_ENTRIES_MAX
from shared.contracts.registry import MESSAGES_RECEIPTED, STATED_BY_INSTANCES, MessageType
from shared.envelope.base64url import to_base64url
from shared.envelope.keys import SealingKey, SigningKey
from shared.envelope.sealing import SealContext, Sealer
from shared.exchange.message import Copy, Draft
from shared.exchange.topics import AUDIT, inbox_topic
from shared.guard.edition import passed
from shared.kernel.canonical import signed_statement
from shared.kernel.clock import rfc3339
from shared.kernel.errors import Refused
from shared.kernel.ids import coarse_uuid7, uuid7
from shared.routing.directory_index import DirectoryIndex, InstanceEntry
from shared.vocabulary.answers import ReceiptOutcome

#: Stands before what an acceptance signs: the instance's signing key signs batches too, under a context of their own.
ACCEPTANCE: Final = "causeway-acceptance/v1"


#: The clear part: as its contract, or as the JSON of it.
Clear = Mapping[str, object] | Contract


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressing:
    """From whom to whom a message goes, about what and when. The times and `traceparent` are those of its draft.

    `place` is the instance that is told, where that is not the one which serves the recipient now. What is `released`
    was let go by a second person, over its budget.
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


@dataclass(slots=True, kw_only=True, repr=False, eq=False)  # what is to be sealed is never shown
class Letter:
    """A message that is addressed: seal it, then take its draft. One that has no sealed part needs no sealing."""

    message_id: UUID
    message: MessageType
    addressing: Addressing
    instance: InstanceEntry
    topic: str
    clear: Mapping[str, object]
    sealing: tuple[bytes, SealingKey, SealContext] | None
    _sealed: str | None = field(default=None, init=False)

    def seal(self, sealer: Sealer) -> None:
        """Raises `Refused("sealed_too_large")`. `sealer` is that of all messages of one transaction."""
        if self.sealing is not None:
            self._sealed = sealer.seal(*self.sealing)

    def draft(self) -> Draft:
        value: dict[str, object] = {"clear": self.clear}
        if self.sealing is not None:
            assert self._sealed is not None
            value["sealed"] = self._sealed
        addressing = self.addressing
        return Draft(
            message_id=self.message_id,
            message=self.message,
            subject=str(addressing.subject),
            sender=addressing.sender,
            recipient=addressing.recipient,
            recipient_instance=self.instance.id,
            topic=self.topic,
            exercise=addressing.exercise,
            body=to_json(value),
            created_at=addressing.at,
            decided_at=addressing.decided_at,
            traceparent=addressing.traceparent,
            guard=passed(released=addressing.released),
        )


def address(message: MessageType, clear: Clear, addressing: Addressing, *, sealed: bytes | None = None) -> Letter:
    """Address one message under a new id. `sealed` is the plaintext of its sealed part.

    Raises `Refused("recipient_unknown")` when the directory has no such recipient or no key to seal for it,
    `Refused("sender_unknown")` when it has no such sender.
    """
    message_id = coarse_uuid7(addressing.at)
    directory, sender, recipient = addressing.directory, addressing.sender, addressing.recipient
    served_by = directory.instance if message.family in STATED_BY_INSTANCES else directory.instance_of
    instance = served_by(recipient) if addressing.place is None else directory.instance(addressing.place)
    sender_instance = served_by(sender)
    if instance is None:
        raise Refused("recipient_unknown", field="/recipient")
    if sender_instance is None:
        raise Refused("sender_unknown", field="/sender")
    body = clear if isinstance(clear, Mapping) else clear.model_dump(mode="json", exclude_none=True)
    sealing = None
    if sealed is not None:
        context = seal_context(
            message, message_id, str(addressing.subject), clear=body, sender=sender, recipient=recipient
        )
        sealing = (sealed, _sealing_key(directory, instance.id, at=addressing.at), context)
    return Letter(
        message_id=message_id,
        message=message,
        addressing=addressing,
        instance=instance,
        topic=inbox_topic(instance.id, sender_instance.id),
        clear=body,
        sealing=sealing,
    )


def compose(
    message: MessageType,
    clear: Clear,
    addressing: Addressing,
    *,
    sealed: bytes | None = None,
    sealer: Sealer | None = None,
) -> Draft:
    """Address, seal and write one message: `address` says what it takes and raises.

    `sealer` is that of the transaction; without one the message is sealed by itself.
    """
    letter = address(message, clear, addressing, sealed=sealed)
    letter.seal(sealer or Sealer())
    return letter.draft()


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


class Verdict(NamedTuple):
    """What became of one message, by the digest of its covered bytes; `judged` is the copy of it that was looked at.

    `revision` and `edge` are those that the message names, where it could be read.
    """

    message_id: UUID
    digest: str
    outcome: ReceiptOutcome
    code: str | None
    judged: Copy
    revision: int | None = None
    edge: UUID | None = None

    def as_json(self) -> dict[str, object]:
        stated = {
            "message_id": str(self.message_id),
            "digest": self.digest,
            "outcome": self.outcome.value,
            "code": self.code,
            "edge_id": None if self.edge is None else str(self.edge),
            "revision": self.revision,
            "judged": self.judged.as_json(),
        }
        return {name: value for name, value in stated.items() if value is not None}


def compose_receipts(
    instance: str, to: str, verdicts: Sequence[Verdict], *, directory: DirectoryIndex, at: datetime
) -> list[Draft]:
    """The receipts of one consumed batch to one other instance.

    None for an instance that has left the directory since it sent: there is no topic to tell it in.
    """
    if directory.instance(to) is None:
        return []
    drafts = []
    for start in range(0, len(verdicts), RECEIPT_ENTRIES_MAX):
        stated = [each.as_json() for each in verdicts[start : start + RECEIPT_ENTRIES_MAX]]
        drafts.append(
            compose(
                MESSAGES_RECEIPTED,
                {"entries": stated},
                Addressing(subject=uuid7(), sender=instance, recipient=to, directory=directory, exercise=False, at=at),
            )
        )
    return drafts


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
    sealer: Sealer | None = None,
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
    return compose(message, clear, addressing, sealed=sealed, sealer=sealer)


def _sealing_key(directory: DirectoryIndex, instance: str, *, at: datetime) -> SealingKey:
    """That of the instance which serves the recipient: it opens what it guards."""
    entry = directory.sealing_key(instance, at)
    if entry is None:
        raise Refused("recipient_unknown", field="/recipient")
    return _loaded(entry.public)


@lru_cache(1024)
def _loaded(public: bytes) -> SealingKey:
    return SealingKey(public)


class Acceptor:
    """Signs acceptances for one instance, with its signing key. `shared.exchange.acceptance` checks them."""

    def __init__(self, instance: str, key: SigningKey, guard: str, *, merge_delay_s: int) -> None:
        """`guard` is the edition of the instance's guard, `merge_delay_s` how soon it tells audit, at most."""
        self._always = {"version": 1, "instance": instance, "guard": guard, "merge_delay_s": merge_delay_s}
        self._sign, self._key_id = key.sign, key.key_id

    def accept(self, referral_id: UUID, party: str, *, body_sha256: str, at: datetime) -> SignedAcceptance:
        """The acceptance of one referral of `party`. The same words give the same bytes: Ed25519 draws nothing."""
        stated = self._always | {
            "party": party,
            "referral_id": str(referral_id),
            "body_sha256": body_sha256,
            "accepted_at": rfc3339(at),
        }
        signature = to_base64url(self._sign(signed_statement(ACCEPTANCE, stated)))
        return SignedAcceptance.model_validate(stated | {"key_id": self._key_id, "signature": signature})
