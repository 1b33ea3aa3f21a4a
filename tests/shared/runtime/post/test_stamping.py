"""A stamped row's headers: what the row says, written out without anything kept, at every sending."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.contracts.registry import NOTICE_ISSUED
from shared.envelope.headers import Attributes, Envelope, Previous, Proof, Tier, encode_headers
from shared.kernel.errors import Refused
from shared.kernel.ids import coarse, uuid7
from shared.runtime.post.ports import OutboxRow
from shared.runtime.post.stamping import Counter, counts_by_pair, stamp_rows, wire
from tests.shared.runtime.builders import EPOCH, KEY, NOW, TRACEPARENT, draft, stamped


def rows(count: int) -> list[OutboxRow]:
    return stamped([draft("topic", subject=f"subject-{number}", traceparent=TRACEPARENT) for number in range(count)])


def written_out(row: OutboxRow, instance: str) -> list[tuple[str, bytes]]:
    stamp, draft = row.stamp, row.draft
    assert stamp is not None
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
        key_id=stamp.key_id,
        sequence=stamp.sequence,
        exercise=draft.exercise,
        epoch=stamp.epoch,
        guard=draft.guard,
        previous=Previous(stamp.prev_epoch, stamp.prev_last) if stamp.sequence == 1 else None,
    )
    path = tuple(stamp.path[at : at + 32] for at in range(0, len(stamp.path), 32))
    proof = Proof(root=stamp.root, signature=stamp.signature, index=stamp.index, size=stamp.size, path=path)
    return encode_headers(Envelope(attributes, proof, draft.body, traceparent=draft.traceparent))


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_the_headers_of_a_row_are_the_same_at_every_sending(count: int) -> None:
    for row in rows(count):
        assert wire(row, "industry") == wire(row, "industry") == written_out(row, "industry")


@pytest.mark.parametrize(
    "changes",
    [
        {"message_id": uuid7()},
        {"message": NOTICE_ISSUED},
        {"subject": "other"},
        {"sender": "other.example"},
        {"recipient": "other.example"},
        {"exercise": False},
        {"created_at": NOW + timedelta(seconds=10)},
        {"traceparent": None},
        {"guard": f"{'0' * 32} released"},
    ],
)
def test_a_row_that_differs_in_anything_has_headers_of_its_own(changes: dict[str, Any]) -> None:
    [row] = rows(1)
    before = wire(row, "industry")
    other = replace(row, draft=replace(row.draft, **changes))
    assert wire(other, "industry") == written_out(other, "industry") != before


@pytest.mark.parametrize(
    "changes",
    [
        {"sequence": 77},
        {"epoch": uuid7()},
        {"prev_epoch": uuid7()},
        {"prev_last": 4},
        {"key_id": "other"},
        {"root": bytes(32)},
        {"size": 2},
        {"path": bytes(32)},
    ],
)
def test_a_stamp_that_differs_in_anything_has_headers_of_its_own(changes: dict[str, Any]) -> None:
    [row] = rows(1)
    assert row.stamp is not None
    before = wire(row, "industry")
    other = replace(row, stamp=replace(row.stamp, **changes))
    assert wire(other, "industry") == written_out(other, "industry") != before
    assert wire(row, "hotline") == written_out(row, "hotline") != before


def test_a_proof_says_nothing_of_what_others_were_sent() -> None:
    """One batch a recipient: size and index count its own messages alone."""
    recipients = ["a.example", "b.example", "a.example", "c.example", "a.example", "b.example"]
    drafts = [replace(draft("topic", subject=str(n)), recipient=each) for n, each in enumerate(recipients)]
    together = [OutboxRow(number, each, None) for number, each in enumerate(drafts, 1)]
    counters = {pair: Counter(EPOCH, count) for pair, count in counts_by_pair(together).items()}
    stamps = [row.stamp for row in stamp_rows(together, counters, instance="industry", key=KEY)[0]]
    found = [(each.index, each.size, each.sequence) for each in stamps if each is not None]
    assert found == [(0, 3, 1), (0, 2, 1), (1, 3, 2), (0, 1, 1), (2, 3, 3), (1, 2, 2)]
    assert len({each.root for each in stamps if each is not None}) == 3


def test_only_the_first_message_of_an_epoch_names_the_one_before() -> None:
    first, second = (dict(wire(row, "industry")) for row in rows(2))
    assert (first["ce_prevepoch"], first["ce_prevlast"]) == (b"unknown", b"unknown")
    assert not {"ce_prevepoch", "ce_prevlast"} & second.keys()
    [row] = rows(1)
    assert row.stamp is not None
    known = dict(wire(replace(row, stamp=replace(row.stamp, prev_epoch=EPOCH, prev_last=4)), "industry"))
    assert (known["ce_prevepoch"], known["ce_prevlast"]) == (str(EPOCH).encode(), b"4")


def test_a_row_that_cannot_be_written_is_refused_every_time() -> None:
    [row] = rows(1)
    other = replace(row, draft=replace(row.draft, subject="two words"))
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            wire(other, "industry")
        assert (caught.value.code, caught.value.field) == ("header_malformed", "ce_subject")
