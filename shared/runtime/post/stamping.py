"""Stamping, pure: the sequence numbers and the batch proof that turn drafts into final bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from shared.envelope.batch import covered_bytes, sign_batch
from shared.envelope.headers import Attributes, Envelope, Proof, Tier, encode_headers
from shared.envelope.keys import SigningKey
from shared.kernel.canonical import digest
from shared.ledger.tree import HASH_BYTES
from shared.runtime.post.ports import OutboxRow, Stamp

Pair = tuple[str, str]


def counts_by_pair(rows: Sequence[OutboxRow]) -> dict[Pair, int]:
    """How many of `rows` each (sender, recipient) pair has; pairs sorted, so that lock order is always the same."""
    return dict(sorted(Counter((row.draft.sender, row.draft.recipient) for row in rows).items()))


def stamp_rows(
    rows: Sequence[OutboxRow], lasts: Mapping[Pair, int], *, instance: str, key: SigningKey
) -> tuple[list[OutboxRow], list[str]]:
    """Number the rows within their pairs, in order, and sign them all as one batch.

    `lasts` is the sequence number that the *last* row of each pair gets. Returns the stamped rows and, beside
    them, the digest of each one's covered bytes (64 hexadecimal digits).
    """
    following = {pair: lasts[pair] - count + 1 for pair, count in counts_by_pair(rows).items()}
    attributes = []
    for row in rows:
        pair = (row.draft.sender, row.draft.recipient)
        attributes.append(_attributes(row, following[pair], key.key_id, instance=instance))
        following[pair] += 1
    covered = [covered_bytes(each, row.draft.body) for each, row in zip(attributes, rows, strict=True)]
    stamped = [
        OutboxRow(row.outbox_id, row.draft, _stamp(row, each.sequence, key.key_id, proof=proof))
        for row, each, proof in zip(rows, attributes, sign_batch(covered, key), strict=True)
    ]
    return stamped, [digest(each) for each in covered]


def wire(row: OutboxRow, instance: str) -> list[tuple[str, bytes]]:
    """The Kafka headers of a stamped row: the same bytes at every sending."""
    stamp = row.stamp
    assert stamp is not None
    path = tuple([stamp.path[at : at + HASH_BYTES] for at in range(0, len(stamp.path), HASH_BYTES)])
    proof = Proof(root=stamp.root, signature=stamp.signature, index=stamp.index, size=stamp.size, path=path)
    attributes = _attributes(row, stamp.sequence, stamp.key_id, instance=instance)
    return encode_headers(Envelope(attributes, proof, row.draft.body, traceparent=row.draft.traceparent))


def _attributes(row: OutboxRow, sequence: int, key_id: str, *, instance: str) -> Attributes:
    draft = row.draft
    named = (draft.message_id, draft.message.type, instance, draft.created_at, draft.subject, draft.message.schema)
    return _attributes_of(named, (draft.sender, draft.recipient, key_id, sequence, draft.exercise))


@lru_cache(1024)  # a row is stamped and then sent, perhaps more than once: two batches of the relay's usual size
def _attributes_of(
    named: tuple[UUID, str, str, datetime, str, str], sent: tuple[str, str, str, int, bool]
) -> Attributes:
    message_id, type_, instance, created_at, subject, schema = named
    sender, recipient, key_id, sequence, exercise = sent
    return Attributes(
        id=message_id,
        type=type_,
        source=f"/instances/{instance}",
        time=created_at,
        subject=subject,
        dataschema=schema,
        sender=sender,
        recipient=recipient,
        tier=Tier.HOSTED,
        key_id=key_id,
        sequence=sequence,
        exercise=exercise,
    )


def _stamp(row: OutboxRow, sequence: int, key_id: str, *, proof: Proof) -> Stamp:
    return Stamp(
        outbox_id=row.outbox_id,
        sequence=sequence,
        key_id=key_id,
        root=proof.root,
        signature=proof.signature,
        index=proof.index,
        size=proof.size,
        path=b"".join(proof.path),
    )
