"""What messages bring: the row of a new item, its record and the message as it came sealed under a key of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.contracts.base import Contract
from shared.contracts.decision import Edge
from shared.contracts.referral import ReferralRecord
from shared.envelope.datakeys import DataKey, KeyEncryptionKey, Place, protect, wrap
from shared.exchange.message import Received
from shared.kernel.errors import Defect
from shared.party.recipient.domain import revision_of
from shared.runtime.database.columns import Json
from shared.runtime.delivery.kept_record import pack


@dataclass(frozen=True, slots=True)
class NewItem:
    """A new row: its edge as JSON; its record, and the message as it came, encrypted under a data key of its own."""

    subject_id: UUID
    party: str
    sender: str
    exercise: bool
    purpose: str
    edge: Json
    content: bytes
    evidence: bytes
    wrapped_key: bytes
    priority: str | None
    revision: int


def new_items(messages: Sequence[Received], kek: KeyEncryptionKey, *, table: str) -> list[NewItem]:
    """What messages bring, one row of `table` each.

    Each sealed part is under a new data key: deleting the key erases it.
    """
    contents = seal_contents(messages, kek, table=table)
    return [
        NewItem(
            UUID(message.subject),
            message.recipient,
            message.filed_by,
            message.exercise,
            edge.purpose.value,
            spelt.edge.decode(),
            *protected,
            _priority(message.sealed, edge),
            revision_of(message),
        )
        for message, protected in zip(messages, contents, strict=True)
        if (edge := message.edge) is not None and (spelt := message.spelt) is not None
    ]


def _priority(record: Contract | None, edge: Edge) -> str | None:
    """As the record says, or the facts that the edge was derived from."""
    if isinstance(record, ReferralRecord):
        return record.priority.level.value
    return edge.facts.priority.value if edge.facts.priority is not None else None


def content_place(table: str, subject_id: UUID, *, party: str, purpose: str) -> Place:
    """The row in which an item's content belongs: one for each subject, party and purpose."""
    return Place(table, f"{subject_id}.{purpose}", party)


def seal_contents(
    messages: Sequence[Received], kek: KeyEncryptionKey, *, table: str
) -> list[tuple[bytes, bytes, bytes]]:
    """(protected content, protected evidence, wrapped key) of each message, bound to its place.

    The content is its opened record, the evidence the message: both as they came.
    """
    contents = []
    for message in messages:
        if message.spelt is None or message.edge is None:
            raise Defect("sealed_part_missing")
        key, subject = DataKey.generate(), UUID(message.subject)
        place = content_place(table, subject, party=message.recipient, purpose=message.edge.purpose.value)
        content = protect(message.spelt.record, key, place.column("content"))
        evidence = protect(pack(message.record), key, place.column("evidence"))
        contents.append((content, evidence, wrap(key, kek, place.column("wrapped_key"))))
    return contents
