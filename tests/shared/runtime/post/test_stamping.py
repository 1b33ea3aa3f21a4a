"""Numbers and proofs of drafts, and the segments that hold their records."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from shared.envelope.batch import message_digest
from shared.envelope.headers import decode_headers
from shared.kernel.errors import Defect, Refused
from shared.runtime.post.ports import Signed
from shared.runtime.post.segments import pack, unpack
from shared.runtime.post.stamping import UNNUMBERED, Counter, counts_by_pair, draft_of, sign, sign_unnumbered
from tests.shared.runtime.builders import EPOCH, KEY, TRACEPARENT, draft, signed

TOPIC = "causeway.inbox.hotline.industry.v1"


def some(count: int) -> list[Signed]:
    return signed([draft(TOPIC, subject=f"s{n}", body=b"%d" % n, traceparent=TRACEPARENT) for n in range(count)])


def test_a_proof_says_nothing_of_what_others_were_sent() -> None:
    """One batch a recipient: size and index count its own messages alone."""
    recipients = ["a.example", "b.example", "a.example", "c.example", "a.example", "b.example"]
    drafts = [replace(draft(TOPIC, subject=str(n)), recipient=each) for n, each in enumerate(recipients)]
    counters = {pair: Counter(EPOCH, count) for pair, count in counts_by_pair(drafts).items()}
    envelopes = [
        decode_headers(each.record.headers, each.record.value)
        for each in sign(drafts, counters, instance="industry", key=KEY)
    ]
    proofs = [each.proof for each in envelopes if each.proof is not None]
    found = [(proof.index, proof.size, of.attributes.sequence) for of, proof in zip(envelopes, proofs, strict=True)]
    assert found == [(0, 3, 1), (0, 2, 1), (1, 3, 2), (0, 1, 1), (2, 3, 3), (1, 2, 2)]
    assert len({proof.root for proof in proofs}) == 3


def test_only_the_first_message_of_an_epoch_names_the_one_before() -> None:
    first, second = (dict(each.record.headers) for each in some(2))
    assert (first["ce_prevepoch"], first["ce_prevlast"]) == (b"unknown", b"unknown")
    assert not {"ce_prevepoch", "ce_prevlast"} & second.keys()
    one = draft(TOPIC, subject="s")
    counters = {pair: Counter(EPOCH, count, EPOCH, 4) for pair, count in counts_by_pair([one]).items()}
    (known,) = sign([one], counters, instance="industry", key=KEY)
    headers = dict(known.record.headers)
    assert (headers["ce_prevepoch"], headers["ce_prevlast"]) == (str(EPOCH).encode(), b"4")


def test_a_draft_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        signed([draft(TOPIC, subject="two words")])
    assert (caught.value.code, caught.value.field) == ("header_malformed", "ce_subject")


@pytest.mark.parametrize("count", [1, 2, 40])
def test_the_digest_is_what_a_recipient_computes(count: int) -> None:
    for each in some(count):
        envelope = decode_headers(each.record.headers, each.record.value)
        assert each.digest == message_digest(envelope.attributes, envelope.body)
        assert (envelope.attributes.epoch, envelope.attributes.sequence) == (each.epoch, each.sequence)


def test_what_is_signed_again_is_made_from_its_record_alone() -> None:
    for each in some(3):
        again = draft_of(each.record, "hotline")
        assert again == each.draft


def test_what_is_said_unnumbered_has_the_number_of_nobody() -> None:
    record = sign_unnumbered(draft(TOPIC, subject="s"), EPOCH, instance="industry", key=KEY)
    attributes = decode_headers(record.headers, record.value).attributes
    assert (attributes.sequence, attributes.previous) == (UNNUMBERED, None)


def test_a_segment_gives_back_what_was_packed() -> None:
    records = [each.record for each in some(40)]
    assert unpack(pack(records)) == records


def test_what_holds_a_line_feed_is_not_packed_as_something_else() -> None:
    record = some(1)[0].record
    headers = record.headers
    for broken in (
        replace(record, key=record.key + b"\n"),
        replace(record, headers=(*headers[:-1], (headers[-1][0] + "\n", headers[-1][1]))),
        replace(record, headers=(*headers[:-1], (headers[-1][0], headers[-1][1] + b"\n"))),
    ):
        with pytest.raises(Defect, match="line_feed_in_header"):
            pack([broken])


def test_a_flipped_bit_costs_the_record_that_it_is_in_and_no_other() -> None:
    records = [each.record for each in some(5)]
    segment = pack(records)
    body = len(segment) - sum(len(each.value) for each in records)
    assert body > 44
    for at in range(4 + 5 * 8, len(segment), 97):
        broken = bytearray(segment)
        broken[at] ^= 1 << (at % 8)
        found = unpack(bytes(broken))
        assert [each for each in found if each is not None] == [
            record for record, each in zip(records, found, strict=True) if each is not None
        ]
        assert found.count(None) == 1


def test_whatever_the_bytes_are_reading_them_never_raises_and_invents_nothing() -> None:
    chance = Random(7)
    segment = pack([each.record for each in some(4)])
    whole = unpack(segment)
    for _ in range(2000):
        broken = bytearray(segment)
        for _ in range(chance.randint(1, 6)):
            broken[chance.randrange(60)] = chance.randrange(256)
        cut = bytes(broken[: chance.choice((len(broken), chance.randrange(len(broken))))])
        assert all(each is None or each in whole for each in unpack(cut))
