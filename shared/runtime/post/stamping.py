"""Stamping, pure: the numbers, the epochs and the batch proofs that turn drafts into final bytes."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from shared.envelope.batch import covered_bytes, sign_batch
from shared.envelope.headers import Attributes, Envelope, Previous, Proof, Tier, encode_headers
from shared.envelope.keys import SigningKey
from shared.kernel.canonical import digest
from shared.kernel.ids import coarse
from shared.ledger.tree import HASH_BYTES
from shared.runtime.post.ports import OutboxRow, Stamp

#: Sender, recipient, and the instance that reads it: a recipient that moves is numbered anew at its new place.
Pair = tuple[str, str, str]


class Counter(NamedTuple):
    """The counter of a pair once a batch has its numbers: `last` is that of the batch's last row of this pair.

    `epoch` is the counter's life. `prev_epoch` came before, with `prev_last` as its last number; None where unknown.
    """

    epoch: UUID
    last: int
    prev_epoch: UUID | None = None
    prev_last: int | None = None


class _Number(NamedTuple):
    epoch: UUID
    sequence: int
    prev_epoch: UUID | None
    prev_last: int | None


def counts_by_pair(rows: Sequence[OutboxRow]) -> dict[Pair, int]:
    """How many of `rows` each pair has; pairs sorted, so that lock order is always the same."""
    return dict(sorted(collections.Counter(map(_pair, rows)).items()))


def stamp_rows(
    rows: Sequence[OutboxRow], counters: Mapping[Pair, Counter], *, instance: str, key: SigningKey
) -> tuple[list[OutboxRow], list[str]]:
    """Number the rows within their pairs, in order, and sign what goes to one recipient as one batch.

    So a proof's size and index say nothing of what others were sent. Returns the stamped rows and, beside them, the
    digest of each one's covered bytes (64 hexadecimal digits).
    """
    stamps = _numbered(rows, counters)
    attributes = [_attributes(row, each, key.key_id, instance=instance) for row, each in zip(rows, stamps, strict=True)]
    covered = [covered_bytes(each, row.draft.body) for each, row in zip(attributes, rows, strict=True)]
    proofs = _proofs(rows, covered, key)
    stamped = [
        OutboxRow(row.outbox_id, row.draft, _stamp(row, each, key.key_id, proof=proof))
        for row, each, proof in zip(rows, stamps, proofs, strict=True)
    ]
    return stamped, [digest(each) for each in covered]


def wire(row: OutboxRow, instance: str) -> list[tuple[str, bytes]]:
    """The Kafka headers of a stamped row: the same bytes at every sending."""
    stamp = row.stamp
    assert stamp is not None
    path = tuple([stamp.path[at : at + HASH_BYTES] for at in range(0, len(stamp.path), HASH_BYTES)])
    proof = Proof(root=stamp.root, signature=stamp.signature, index=stamp.index, size=stamp.size, path=path)
    number = _Number(stamp.epoch, stamp.sequence, stamp.prev_epoch, stamp.prev_last)
    attributes = _attributes(row, number, stamp.key_id, instance=instance)
    return encode_headers(Envelope(attributes, proof, row.draft.body, traceparent=row.draft.traceparent))


def _numbered(rows: Sequence[OutboxRow], counters: Mapping[Pair, Counter]) -> list[_Number]:
    following = {pair: counters[pair].last - count + 1 for pair, count in counts_by_pair(rows).items()}
    numbers = []
    for row in rows:
        pair = _pair(row)
        counter, sequence = counters[pair], following[pair]
        before = (counter.prev_epoch, counter.prev_last) if sequence == 1 else (None, None)
        numbers.append(_Number(counter.epoch, sequence, *before))
        following[pair] = sequence + 1
    return numbers


def _pair(row: OutboxRow) -> Pair:
    return row.draft.sender, row.draft.recipient, row.draft.recipient_instance


def _proofs(rows: Sequence[OutboxRow], covered: Sequence[bytes], key: SigningKey) -> list[Proof]:
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(row.draft.recipient, []).append(place)
    proofs: dict[int, Proof] = {}
    for together in places.values():
        proofs |= zip(together, sign_batch([covered[place] for place in together], key), strict=True)
    return [proofs[place] for place in range(len(rows))]


def _attributes(row: OutboxRow, number: _Number, key_id: str, *, instance: str) -> Attributes:
    draft = row.draft
    named = (draft.message_id, draft.message.type, instance, draft.created_at, draft.subject, draft.message.schema)
    return _attributes_of(named, (draft.sender, draft.recipient, key_id, draft.exercise, draft.guard), number)


@lru_cache(1024)  # a row is stamped and then sent, perhaps more than once: two batches of the relay's usual size
def _attributes_of(
    named: tuple[UUID, str, str, datetime, str, str], sent: tuple[str, str, str, bool, str], number: _Number
) -> Attributes:
    message_id, type_, instance, created_at, subject, schema = named
    sender, recipient, key_id, exercise, guard = sent
    return Attributes(
        id=message_id,
        type=type_,
        source=f"/instances/{instance}",
        time=coarse(created_at),
        subject=subject,
        dataschema=schema,
        sender=sender,
        recipient=recipient,
        tier=Tier.HOSTED,
        key_id=key_id,
        sequence=number.sequence,
        exercise=exercise,
        epoch=number.epoch,
        guard=guard,
        previous=Previous(number.prev_epoch, number.prev_last) if number.sequence == 1 else None,
    )


def _stamp(row: OutboxRow, number: _Number, key_id: str, *, proof: Proof) -> Stamp:
    return Stamp(
        outbox_id=row.outbox_id,
        epoch=number.epoch,
        sequence=number.sequence,
        prev_epoch=number.prev_epoch,
        prev_last=number.prev_last,
        key_id=key_id,
        root=proof.root,
        signature=proof.signature,
        index=proof.index,
        size=proof.size,
        path=b"".join(proof.path),
    )
