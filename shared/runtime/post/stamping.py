"""Stamping, pure: the numbers, the epochs and the batch proofs that turn drafts into final records."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from shared.contracts.registry import BY_TYPE
from shared.envelope.batch import covered_bytes, digest_of, sign_batch
from shared.envelope.headers import Attributes, Envelope, Previous, Proof, Tier, decode_headers, encode_headers
from shared.envelope.keys import SigningKey
from shared.exchange.message import Draft
from shared.exchange.topics import inbox_topic
from shared.kernel.clock import coarse
from shared.runtime.post.ports import Outgoing, Signed

#: Sender, recipient, and the instance that reads it: a recipient that moves is numbered anew at its new place.
Pair = tuple[str, str, str]
#: The number of what is said and not kept: marks, for one. Nobody counts it.
UNNUMBERED = 0


class Counter(NamedTuple):
    """The counter of a pair once a batch has its numbers: `last` is that of the batch's last message of this pair.

    `epoch` is the counter's life. `prev_epoch` came before, with `prev_last` as its last number; None where unknown.
    """

    epoch: UUID
    last: int
    prev_epoch: UUID | None = None
    prev_last: int | None = None


class _Number(NamedTuple):
    epoch: UUID
    sequence: int
    previous: Previous | None


def counts_by_pair(drafts: Sequence[Draft]) -> dict[Pair, int]:
    """How many of `drafts` each pair has; pairs sorted, so that lock order is always the same."""
    return dict(sorted(collections.Counter(map(_pair, drafts)).items()))


def sign(drafts: Sequence[Draft], counters: Mapping[Pair, Counter], *, instance: str, key: SigningKey) -> list[Signed]:
    """Number drafts within their pairs, in order, and sign what goes to one recipient as one batch.

    So a proof's size and index say nothing of what others were sent.
    """
    numbers = _numbered(drafts, counters)
    attributes = [
        _attributes(draft, number, key.key_id, instance=instance) for draft, number in zip(drafts, numbers, strict=True)
    ]
    covered = [covered_bytes(each, draft.body) for each, draft in zip(attributes, drafts, strict=True)]
    proofs = _proofs(drafts, covered, key)
    return [
        Signed(draft, stated.epoch, stated.sequence, digest_of(text), _record(draft, stated, proof))
        for draft, stated, text, proof in zip(drafts, attributes, covered, proofs, strict=True)
    ]


def sign_unnumbered(draft: Draft, epoch: UUID, *, instance: str, key: SigningKey) -> Outgoing:
    """The record of a statement that has no number; `epoch` is there because every message has one."""
    attributes = _attributes(draft, _Number(epoch, UNNUMBERED, None), key.key_id, instance=instance)
    (proof,) = sign_batch([covered_bytes(attributes, draft.body)], key)
    return _record(draft, attributes, proof)


def draft_of(record: Outgoing, lane: str) -> Draft:
    """The draft that a record of this lane was made of, to be signed again. Raises `Refused`, `KeyError`."""
    envelope = decode_headers(record.headers, record.value)
    stated = envelope.attributes
    return Draft(
        message_id=stated.id,
        message=BY_TYPE[stated.type],
        subject=stated.subject,
        sender=stated.sender,
        recipient=stated.recipient,
        recipient_instance=lane,
        topic=inbox_topic(lane, stated.source.removeprefix("/instances/")),
        exercise=stated.exercise,
        body=record.value,
        created_at=stated.time,
        traceparent=envelope.traceparent,
        guard=stated.guard,
    )


def _numbered(drafts: Sequence[Draft], counters: Mapping[Pair, Counter]) -> list[_Number]:
    following = {pair: counters[pair].last - count + 1 for pair, count in counts_by_pair(drafts).items()}
    numbers = []
    for draft in drafts:
        pair = _pair(draft)
        counter, sequence = counters[pair], following[pair]
        previous = Previous(counter.prev_epoch, counter.prev_last) if sequence == 1 else None
        numbers.append(_Number(counter.epoch, sequence, previous))
        following[pair] = sequence + 1
    return numbers


def _pair(draft: Draft) -> Pair:
    return draft.sender, draft.recipient, draft.recipient_instance


def _proofs(drafts: Sequence[Draft], covered: Sequence[bytes], key: SigningKey) -> list[Proof]:
    places: dict[str, list[int]] = {}
    for place, draft in enumerate(drafts):
        places.setdefault(draft.recipient, []).append(place)
    proofs: dict[int, Proof] = {}
    for together in places.values():
        proofs |= zip(together, sign_batch([covered[place] for place in together], key), strict=True)
    return [proofs[place] for place in range(len(drafts))]


def _record(draft: Draft, attributes: Attributes, proof: Proof) -> Outgoing:
    headers = encode_headers(Envelope(attributes, proof, draft.body, traceparent=draft.traceparent))
    return Outgoing(draft.subject.encode(), tuple(headers), draft.body)


def _attributes(draft: Draft, number: _Number, key_id: str, *, instance: str) -> Attributes:
    return Attributes(
        id=draft.message_id,
        type=draft.message.type,
        source=f"/instances/{instance}",
        time=coarse(draft.created_at),
        subject=draft.subject,
        dataschema=draft.message.schema,
        sender=draft.sender,
        recipient=draft.recipient,
        tier=Tier.HOSTED,
        key_id=key_id,
        sequence=number.sequence,
        exercise=draft.exercise,
        epoch=number.epoch,
        guard=draft.guard,
        previous=number.previous,
    )
